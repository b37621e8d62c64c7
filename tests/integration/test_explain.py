"""`explain`: one child's story, against a receiver that really took the records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, SimulatorServer
from tests.support.altering import rename_table
from tests.support.commands import clean_environment, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.staging import EPISODE, change, child, fill, hash_of, staged, text_of
from tests.support.world import live_settings

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
RECEIPT = "2563b628-36e8-4443-bb2f-858750a2be9e"
ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def settings(deployed: TestDatabase, server: SimulatorServer) -> dict[str, str]:
    return {**deployed.settings, **live_settings(server)}


@BOTH
def test_story_of_a_child_that_was_sent_and_has_changed(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1"), staged("P2")])
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    now = child("P1", mis_child_id="M1")
    now["child_details"]["surname"] = "Changed"
    change(deployed, deployed.table, "P1", json_payload=text_of(now), current_hash=hash_of(now))
    change(deployed, deployed.table, "P1", submission_status="Pending", row_state="Updated")

    done = invoke_cli(["explain", "P1", "--json"], {**settings, "USE_PARTIAL_PAYLOAD": "true"}, tmp_path)

    assert done.code == 0, done.text
    story = json.loads(done.out)
    (row,) = story["rows"]
    assert (row["is_due"], row["reason"]) == (True, "its status is pending")
    assert story["baseline"]["state"] == "known"
    (sent,) = story["records"]
    assert (sent["kind"], sent["outcome"]) == ("full", "accepted")
    assert sent["answer"] == story["baseline"]["receipt"]
    assert story["difference"] == [
        {"path": "child_details.surname", "change": "changed"},
        {"path": "mis_child_id", "change": "new"},
    ]
    (planned,) = story["tonight"]["records"]
    assert planned["kind"] == "delta"
    text = invoke_cli(["explain", "P1"], settings, tmp_path).out
    assert "changed child_details.surname" in text
    for value in ("Changed", "Sample", "2014-03-09"):
        assert value not in text + done.out


@ONE
def test_of_a_list_that_left_the_payload_each_element_is_retained_or_gone(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    held = child("P1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    fill(deployed, deployed.table, [staged("P1", held)])
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    now = child("P1")
    change(deployed, deployed.table, "P1", json_payload=text_of(now), current_hash=hash_of(now))
    change(deployed, deployed.table, "P1", submission_status="pending", row_state="updated")
    deployed.execute(
        f"INSERT INTO {deployed.named('ssd_api_left_window')} (person_id, elements) VALUES ('P1', ?)",
        ['[["social_care_episodes", "E1"]]'],
    )

    story = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)

    assert story["difference"] == [
        {"path": "social_care_episodes[E1]", "change": "retained"},
        {"path": "social_care_episodes[E2]", "change": "gone"},
    ]


@ONE
def test_a_child_of_whom_nothing_was_accepted_yet_is_in_doubt(
    deployed: TestDatabase, settings: dict[str, str], server: SimulatorServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    assert invoke_cli(["run"], {**settings, "MAX_ATTEMPTS": "1"}, tmp_path).code == 5

    done = invoke_cli(["explain", "P1"], settings, tmp_path)

    assert "in doubt: a record of this child was sent and its answer was lost; nothing else is recorded" in done.out


@ONE
def test_a_child_sent_by_a_run_without_the_submission_log_is_in_doubt_and_was_accepted(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    change(deployed, deployed.table, "P1", submission_status="pending")
    now = child("P1", mis_child_id="M1")
    change(deployed, deployed.table, "P1", json_payload=text_of(now), current_hash=hash_of(now))
    rename_table(deployed, "ssd_api_submission_log", "log_away")
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    rename_table(deployed, "log_away", "ssd_api_submission_log")

    done = invoke_cli(["explain", "P1"], settings, tmp_path)

    assert "a run without all control tables sent a later record of this child" in done.out
    assert "answer was lost" not in done.out


@BOTH
def test_records_of_nights_that_spelled_the_table_otherwise_are_shown(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    assert invoke_cli(["run"], {**settings, "TABLE_NAME": deployed.table.upper()}, tmp_path).code == 0

    done = invoke_cli(["explain", "P1", "--json"], settings, tmp_path)

    assert [record["outcome"] for record in json.loads(done.out)["records"]] == ["accepted"]


@pytest.mark.strict
@BOTH
def test_older_rows_and_sent_rows_say_why_they_are_not_due(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1", status="Sent"), staged("P1", status="Odd"), staged("P3")])
    change(deployed, deployed.table, "P3", json_payload="  ")
    story = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)
    assert [row["is_due"] for row in story["rows"]] == [False, False]
    assert story["rows"][0]["reason"] == "its status is odd, which is none of the known words"
    assert story["rows"][1]["reason"].endswith("of the same person is newer")
    assert story["tonight"]["records"] == []
    blank = json.loads(invoke_cli(["explain", "P3", "--json"], settings, tmp_path).out)
    assert (blank["rows"][0]["reason"], blank["unreadable"]) == ("its json_payload is blank", "json_payload is blank")


@BOTH
def test_a_child_that_another_tool_sent_has_no_time_of_acceptance(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    payload = child("P1")
    fill(deployed, deployed.table, [staged("P1", payload)])
    change(deployed, deployed.table, "P1", previous_json_payload=text_of(payload), previous_hash=hash_of(payload))
    change(deployed, deployed.table, "P1", api_response=RECEIPT, row_state="Unchanged")
    before = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)
    assert before["tonight"]["sentence"].endswith("holds this payload already; the row's status would become sent.")
    assert invoke_cli(["run"], settings, tmp_path).code == 0

    story = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)

    assert story["baseline"] == before["baseline"]
    assert (story["baseline"]["receipt"], story["baseline"]["accepted_at"]) == (RECEIPT, None)
    assert "sent by another tool" in story["baseline"]["source"]


@BOTH
def test_deleted_child_loses_everything_and_then_is_known_to_be_held_no_longer(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    change(deployed, deployed.table, "P1", submission_status="Pending", row_state="Deleted")

    before = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    after = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)
    text = invoke_cli(["explain", "P1"], settings, tmp_path).out

    assert {one["change"] for one in before["difference"]} == {"gone"}
    assert (after["difference"], after["baseline"]["structure"]) == ([], [])
    assert (after["baseline"]["state"], after["baseline"]["receipt"]) == ("known", after["records"][0]["answer"])
    assert "holds nothing of it" in after["baseline"]["source"]
    assert "Difference from what the receiver holds\n  none\n" in text

    change(deployed, deployed.table, "P1", submission_status="Pending", row_state="New")
    text = invoke_cli(["explain", "P1"], settings, tmp_path).out
    assert "everything is new: the receiver holds nothing" in text


@ONE
def test_of_a_child_to_be_deleted_everything_is_gone_where_what_is_held_is_not_known(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    row = staged("P1", status="sent", state="Deleted", previous={"la_child_id": "another"}, response=RECEIPT)
    fill(deployed, deployed.table, [row])

    text = invoke_cli(["explain", "P1"], settings, tmp_path).out

    assert "A run would send a deletion record" in text
    assert "everything is gone: what the receiver holds is not known" in text


@ONE
def test_own_answers_of_rows_are_shown_whole(deployed: TestDatabase, settings: dict[str, str], tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("P1"), staged("P1", child("P1", mis_child_id="M1"))])
    rehearsal = invoke_cli(["run", "--testing", "--table", deployed.table, "--json"], settings, tmp_path)
    assert json.loads(rehearsal.out)["superseded"] == 0
    (newest, _) = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)["rows"]
    assert newest["answer"].startswith("TESTING: simulated receipt ")
    assert invoke_cli(["run"], settings, tmp_path).code == 0

    story = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)

    assert story["rows"][1]["answer"] == f"NOT SENT: superseded by row {newest['id']}"


@ONE
def test_invalid_payload_shows_its_findings_and_that_nothing_would_be_sent(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1", child("P1", no_such_member=1)), staged("P2", '{"la_child_id": ')])
    story = json.loads(invoke_cli(["explain", "P1", "--json"], settings, tmp_path).out)
    assert story["checks"][0]["severity"] == "schema"
    assert story["tonight"]["sentence"].startswith("Nothing would be sent, and the row would be in error")
    broken = invoke_cli(["explain", "P2"], settings, tmp_path)
    assert broken.code == 0
    assert "json_payload is not valid JSON" in broken.out


@ONE
def test_explain_of_a_person_without_rows_says_so(
    deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    done = invoke_cli(["explain", "P404"], settings, tmp_path)
    assert done.code == 2
    assert "has no row with person_id P404" in done.err


@ONE
@pytest.mark.parametrize("arguments", [["--with-values"], ["--with-values", "--json"]])
def test_values_are_never_written_to_a_file_or_as_json(
    arguments: list[str], deployed: TestDatabase, settings: dict[str, str], tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    done = invoke_cli(["explain", "P1", *arguments], settings, tmp_path)
    assert done.code == 2
    assert "Sample" not in done.text


@ONE
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_values_are_shown_on_a_terminal(deployed: TestDatabase, settings: dict[str, str], tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    try:
        ours, theirs = os.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminal")
    command = [sys.executable, "-m", "api_pipeline", "explain", "P1", "--with-values"]
    with subprocess.Popen(
        command, env=clean_environment(settings), cwd=tmp_path, stdout=theirs, stderr=subprocess.STDOUT
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:
            pass  # Linux ends a terminal that nobody holds any more so
        os.close(ours)
    assert process.returncode == 0
    assert 'child_details.surname = "Sample"' in shown.decode()
