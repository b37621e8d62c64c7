"""What is to be started, and when."""

from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.schedule.job import ScheduledRun, checked_name, start_times


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
