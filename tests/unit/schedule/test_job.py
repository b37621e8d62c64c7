"""What is to be started, and when."""

from pathlib import Path, PureWindowsPath

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.schedule.job import ScheduledRun, checked_name, mapped_drives, start_times


def job(*times: str) -> ScheduledRun:
    return ScheduledRun("csc-api", ("/opt/d2i-csc-api", "run"), Path("/var/lib/csc-api"), start_times(times))


@pytest.mark.parametrize(
    ("times", "minutes"),
    [
        (["02:00"], 360),
        (["02:00", "05:00"], 165),
        (["23:30", "0:30"], 45),
    ],
)
def test_a_run_ends_before_the_next_start(times: list[str], minutes: int) -> None:
    assert job(*times).longest_run_min == minutes


def test_times_are_sorted_and_each_is_there_once() -> None:
    assert [str(time) for time in start_times(["5:00", "02:00", "05:00"])] == ["02:00", "05:00"]


@pytest.mark.parametrize("time", ["2", "24:00", "02:60", "", "02:00:00", "-1:00"])
def test_what_is_not_a_time_of_day_is_refused(time: str) -> None:
    with pytest.raises(SettingsError, match="expected a time of day such as 02:00"):
        start_times([time])


@pytest.mark.parametrize("times", [["02:00", "02:10"], ["23:50", "00:05"]])
def test_starts_that_meet_each_other_are_refused(times: list[str]) -> None:
    with pytest.raises(SettingsError, match="at least 30 minutes apart"):
        start_times(times)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a\nb", "-x", "x" * 61])
def test_a_name_that_could_be_a_path_or_an_option_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="--name"):
        checked_name(name)


def test_mapped_drives_of_the_folder_and_every_path_are_found_once() -> None:
    folder = PureWindowsPath("z:\\csc")
    program = ("C:\\csc-api\\d2i-csc-api.exe", "run", "--log-file", "Z:\\csc\\run.log", "--report", "y:\\reports")
    run = ScheduledRun("csc-api", program, folder, start_times(["02:00"]), "COUNCIL\\svc", (PureWindowsPath("S:\\r"),))
    assert mapped_drives(run, {"Y:", "Z:"}.__contains__) == ("Y:", "Z:")


def test_share_by_its_own_path_and_paths_of_other_systems_are_no_mapped_drives() -> None:
    share = ScheduledRun("csc-api", ("run",), PureWindowsPath("\\\\server\\share\\csc"), start_times(["02:00"]))
    assert mapped_drives(share, lambda _: True) == ()
    assert mapped_drives(job("02:00"), lambda _: True) == ()
