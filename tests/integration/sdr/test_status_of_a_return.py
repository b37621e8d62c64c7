"""What `returns`, `status`, `results` and the table itself say of a return and its records."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest

from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


def check_reports_are_replaced_whole(provider: Provider) -> None:
    """Check that the page and the list of before stay as they are while the same report is written again."""
    paths = sorted((provider.folder / "reports").iterdir())
    for path in paths:
        (provider.folder / path.name).hardlink_to(path)
    assert provider.sdr("results", PERIOD, "--report", "reports").code == 0
    assert sorted((provider.folder / "reports").iterdir()) == paths
    for path in paths:
        assert not path.samefile(provider.folder / path.name), f"{path.name} is written in place"
        assert path.read_bytes() == (provider.folder / path.name).read_bytes()
    assert [path.suffix for path in paths if path.read_bytes().startswith(b"\xef\xbb\xbf")] == [".csv"]


def test_validation_results_are_stored_and_tied_on_every_database(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.stage_wrong_enrolment()
    provider.stage("course-enrolments", "=e2", studentIdentificationCode="nobody", courseCode="none")
    done = provider.sdr("submit", PERIOD, "--validate", "--report", "reports")
    assert done.code == 1
    assert "SIM102" in done.out
    rows = provider.database.rows(
        f"SELECT local_id, validation_errors FROM {provider.table} WHERE validation_errors > 0 ORDER BY local_id"
    )
    assert [tuple(row) for row in rows] == [("=e2", 2), ("e1", 1)]
    found = provider.sdr("results", PERIOD, "--csv")
    lines = list(csv.reader(io.StringIO(found.out)))
    assert len(lines) == 4
    assert {line[4] for line in lines[1:]} == {"e1", "'=e2"}, "a cell that a spreadsheet would calculate is quoted"
    pages = list((provider.folder / "reports").glob("*.html"))
    assert len(pages) == 1
    assert "SIM102" in pages[0].read_text(encoding="utf-8")
    modes = {path.stat().st_mode & 0o777 for path in (provider.folder / "reports").iterdir()}
    assert os.name == "nt" or modes == {0o600}, "other accounts may read the report"
    check_reports_are_replaced_whole(provider)
    provider.stage("courses", "none", courseCode="none", courseTitle="Weaving")
    provider.database.execute(f"DELETE FROM {provider.table} WHERE local_id = '=e2'")
    done = provider.sdr("submit", PERIOD, "--allow-deletes", "--validate")
    assert done.code == 0, done.text
    assert "0 new, 0 still, 3 gone" in done.out


@EMBEDDED
def test_returns_lists_the_indicative_one_and_pages_to_the_end(provider: Provider) -> None:
    provider.simulator.change(page_size=1, page_base=0)
    done = provider.sdr("returns", "--json")
    assert [one["return_id"] for one in json.loads(done.out)] == [202603, 202604, 202608, 202612]


@EMBEDDED
def test_record_of_no_collection_is_named_and_the_others_are_sent(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("Learners", "s9", gender="F")
    done = provider.sdr("submit", PERIOD)
    assert done.code == 1
    assert "Check collection: 1 in Learners: 1 staged records are in no collection of a return" in done.out
    assert set(provider.held()) == {"s0"}
    for command in (["check"], ["status"]):
        assert "in no collection of a return" in provider.sdr(*command).out
    checked = json.loads(provider.sdr("check", "--json").out)
    assert {"collection": "Learners", "rule": "collection", "count": 1} in checked["rules"]


@EMBEDDED
def test_status_word_goes_to_no_other_record_of_a_table_filled_anew(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.database.execute(
        "CREATE TRIGGER refilled AFTER INSERT ON sdr_held BEGIN "
        "UPDATE sdr_staging SET local_id = 'other' WHERE local_id = 's0'; END"
    )
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert provider.database.rows("SELECT local_id, submission_status FROM sdr_staging") == [("other", None)]


@EMBEDDED
def test_return_that_was_not_begun_is_no_word_of_tec(provider: Provider) -> None:
    for command in ("status", "results"):
        done = provider.sdr(command, "202604")
        assert (done.code, "was not begun with these tables" in done.err) == (1, True), done.text


@EMBEDDED
def test_validation_that_is_not_asked_for_is_told(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("learners", "s1", studentIdentificationCode="s1", localId="other")
    done = provider.sdr("submit", PERIOD, "--validate", "--report", "reports")
    assert (done.code, "was not asked to validate" in done.out) == (1, True), done.text
    assert "was not asked" not in provider.sdr("submit", PERIOD).out


@EMBEDDED
def test_record_put_back_to_what_tec_holds_loses_its_mark(provider: Provider) -> None:
    provider.submit_learners(1)
    payload = provider.database.rows("SELECT json_payload FROM sdr_staging")[0][0]
    provider.database.execute("UPDATE sdr_staging SET json_payload = 'nonsense'")
    assert provider.sdr("submit", PERIOD).code == 1
    provider.database.execute("UPDATE sdr_staging SET json_payload = ?", [payload])
    assert provider.sdr("submit", PERIOD).code == 0
    rows = provider.database.rows("SELECT submission_status, api_response FROM sdr_staging")
    assert [tuple(row) for row in rows] == [("sent", None)]
    assert "may be older" not in provider.sdr("status", PERIOD).out


def test_record_that_tec_never_took_is_not_older_there(provider: Provider) -> None:
    provider.simulator.change(refused=("BAD",))
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="BAD")
    provider.sdr("submit", PERIOD)
    assert "may be older" not in provider.sdr("status", PERIOD).out
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="F")
    provider.sdr("submit", PERIOD)
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="BAD")
    provider.sdr("submit", PERIOD)
    assert "1 record at TEC may be older than yours" in provider.sdr("status", PERIOD).out


@EMBEDDED
def test_rehearsal_says_what_the_submission_would_say(provider: Provider) -> None:
    provider.stage("Learners", "s1", studentIdentificationCode="s1")
    done = provider.sdr("submit", "202612", "--dry-run")
    assert (done.code, "Check collection: 1 in Learners" in done.out) == (0, True), done.text
    assert "would be refused with exit code 6: The return 202612, 2026-12 is not open yet" in done.out
    assert provider.sdr("submit", "202612").code == 6


@EMBEDDED
@pytest.mark.parametrize("json_option", [(), ("--json",)])
@pytest.mark.parametrize("command", [("submit", PERIOD, "--validate"), ("validate", PERIOD)])
def test_report_that_cannot_be_written_changes_no_exit_code(
    provider: Provider, command: tuple[str, ...], json_option: tuple[str, ...]
) -> None:
    provider.submit_learners(1)
    (provider.folder / "file").write_text("")
    done = provider.sdr(*command, "--report", "file", *json_option)
    assert (done.code, done.err.count("\n")) == (0, 1), done.text
    assert "The report could not be written to file" in done.err
    assert "assed" in done.out, "the results are printed all the same"


@EMBEDDED
@pytest.mark.parametrize(("is_reset", "code"), [(True, 6), (False, 0)])
def test_resume_keeps_the_last_validation_where_none_is_at_work(provider: Provider, is_reset: bool, code: int) -> None:
    provider.submit_learners(1)
    provider.sdr("validate", PERIOD)
    before = [line for line in provider.sdr("status", PERIOD).out.splitlines() if "last validation" in line]
    if is_reset:
        provider.simulator.reset_by_another(int(PERIOD))
    else:
        provider.simulator.change(separate_results=True)
        one = provider.simulator.submission(int(PERIOD))
        one.status = one.runs[-1]["status"] = "Submitted"
    done = provider.sdr("validate", PERIOD, "--resume")
    assert done.code == code, done.text
    assert before[0].endswith("0 errors, 0 warnings")
    assert before[0] in provider.sdr("status", PERIOD).out
