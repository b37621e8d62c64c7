"""The main job as a council sees it: the command, a database of each kind, the receiver over HTTP."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import CLIENT_SECRET, SimulatorServer
from api_pipeline.sandbox.simulator.answer import Answer
from tests.support.commands import invoke_cli, run_cli
from tests.support.databases import TestDatabase, one_kind
from tests.support.effort import IS_LONG
from tests.support.staging import Staged, change, child, fill, row_of, staged, table_rows
from tests.support.world import live_settings

RECEIPT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def live(database: TestDatabase, server: SimulatorServer, **settings: str) -> dict[str, str]:
    return {**database.settings, **live_settings(server), **settings}


def mixed_rows(count: int) -> list[Staged]:
    """Return rows of every state and letter case, due and not due."""
    rng = random.Random(count)
    states = ["New", "NEW", "new", "Updated", "updated", "Unchanged", "unchanged", "Deleted", "DELETED", None]
    statuses = ["Pending", "PENDING", "pending", "Error", "error", "Testing", "Sent", "sent", "held", None]
    rows = []
    for number in range(count):
        person = f"P{number}"
        details = {"first_name": f"N{number}", "surname": "O'Brien"}
        payload = json.dumps({"la_child_id": person, "child_details": details}, indent=rng.choice([None, 1]))
        if rng.random() < 0.02:
            payload = rng.choice(["", "   ", "{broken", "[]", "{}", '{"la_child_id": null}'])
        was_sent = rng.random() < 0.4
        rows.append(
            staged(
                person,
                payload,
                rng.choice(statuses),
                rng.choice(states),
                previous=child(person, mis_child_id="M1") if was_sent else None,
                hash=None if rng.random() < 0.1 else payload.encode().ljust(32)[:32],
            )
        )
    return rows


def is_due(row: dict[str, Any]) -> bool:
    status, state = (row["submission_status"] or "").lower(), (row["row_state"] or "").lower()
    if not row["json_payload"].strip():
        return False
    if state == "deleted":
        return row["previous_hash"] is not None or row["previous_json_payload"] is not None
    return status in ("pending", "error", "testing")


def is_deleted(row: dict[str, Any]) -> bool:
    return (row["row_state"] or "").lower() == "deleted"


def is_sendable(row: dict[str, Any]) -> bool:
    """Return whether a due row makes a record; a deletion needs no more than the child's last payload."""
    texts = [row["json_payload"], *([row["previous_json_payload"]] if is_deleted(row) else [])]
    return any(is_readable(text) for text in texts if text)


def is_readable(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("la_child_id"), str)


def test_rows_of_every_state_are_sent_once_and_written_back(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    # As many as a council has on one kind of database, and some batches on the others.
    fill(deployed, deployed.table, mixed_rows(5000 if IS_LONG or deployed.name == "sqlite" else 700))
    before = {row["id"]: row for row in table_rows(deployed, deployed.table)}
    done = invoke_cli(["run", "--max-in-flight", "3"], live(deployed, server), tmp_path)
    assert done.code == 1, done.text
    sent = [json.loads(record)["la_child_id"] for record in server.simulator.accepted_records]
    due = {row["person_id"]: row for row in before.values() if is_due(row)}
    expected = sorted(person for person, row in due.items() if is_sendable(row))
    assert sorted(sent) == expected
    for row in table_rows(deployed, deployed.table):
        check_row(server, before[row["id"]], row)


def check_row(server: SimulatorServer, before: dict[str, Any], after: dict[str, Any]) -> None:
    person, text = before["person_id"], before["json_payload"]
    if not is_due(before):
        assert after == before
        return
    if not is_sendable(before):
        assert after.pop("submission_status") == "error"
        assert after.pop("api_response").startswith("Payload refused before sending: json_payload")
        assert after.items() <= before.items()
        return
    (token,) = server.simulator.receipts(person)
    stamp, _, uuid = token.removesuffix(".json").rpartition("_")
    assert after["submission_status"] == "sent"
    assert after["api_response"] == uuid
    assert after["submission_timestamp"].strftime("%Y-%m-%d_%H:%M:%S") == stamp.split(".")[0]
    if is_deleted(before):
        assert after["row_state"] == "deleted"
        assert after["previous_json_payload"] is None
        assert after["previous_hash"] is None
        assert server.simulator.held(person) is None
    else:
        assert after["row_state"] == "unchanged"
        assert after["previous_json_payload"] == text
        assert after["previous_hash"] == before["current_hash"]
        assert server.simulator.held(person) == json.loads(text)
    for untouched in ("json_payload", "current_hash", "last_updated", "person_id", "legacy_id"):
        assert after[untouched] == before[untouched]


def test_a_second_run_finds_nothing_due(deployed: TestDatabase, server: SimulatorServer, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2", state="Deleted", previous={"la_child_id": "2"})])
    assert invoke_cli(["run"], live(deployed, server), tmp_path).code == 0
    requests = len(server.simulator.log)
    again = invoke_cli([], live(deployed, server), tmp_path)
    assert again.code == 0
    assert "nothing was due" in again.out
    assert len(server.simulator.log) == requests


@pytest.mark.strict
def test_row_changed_during_the_run_stays_due(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    newer = child("1", mis_child_id="newer")
    handle = server.simulator.handle
    changes: list[str] = []

    def change_while_under_way(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        given = handle(method, path, headers, body)
        if path.endswith("/children") and not changes:
            # The records are accepted and the answer is not on its way yet: nothing can be written back before this.
            changes.append(path)
            change(deployed, deployed.table, "1", json_payload=json.dumps(newer), current_hash=b"2" * 32)
        return given

    monkeypatch.setattr(server.simulator, "handle", change_while_under_way)
    done = invoke_cli(["run"], live(deployed, server), tmp_path)
    assert done.code == 0, done.text
    assert changes
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "Pending"
    assert row_of(deployed, deployed.table, "2")["submission_status"] == "sent"
    assert invoke_cli(["run"], live(deployed, server), tmp_path).code == 0
    assert server.simulator.held("1") == newer
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "sent"


def test_names_of_every_script_arrive_byte_for_byte_as_they_were_staged(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    names = [
        "O'Brien",
        'Jones "Jack"',
        "Świętosława Błaszczyk",
        "Siân Ŵyn ap Llŷr",
        "名前",
        "Star 🌟",
        "back\\slash",
        "%_[x]",
    ]
    texts = [
        json.dumps(child(f"N{number}", child_details={"first_name": name}), ensure_ascii=number % 2 == 0)
        for number, name in enumerate(names)
    ]
    texts[0] = '{ "la_child_id" : "N0" ,\n\t"child_details":{"first_name":"O\'Brien","uasc_flag":false}}'
    fill(deployed, deployed.table, [staged(f"N{number}", text) for number, text in enumerate(texts)])
    assert invoke_cli(["run"], live(deployed, server), tmp_path).code == 0
    assert server.simulator.accepted_records == [text.encode() for text in texts]


@one_kind
def test_testing_mode_is_the_default_and_reaches_nobody(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2", state="Deleted", previous={"la_child_id": "2"})])
    settings = {name: value for name, value in live(deployed, server).items() if name != "TESTING_MODE"}
    before = {row["id"]: row for row in table_rows(deployed, deployed.table)}
    done = invoke_cli(["run", "--log-file", "run.log"], settings, tmp_path)
    assert done.code == 0, done.text
    assert "TESTING" in done.out
    assert server.simulator.log == []
    log = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert log
    assert all("[TESTING]" in line for line in log)
    for row in table_rows(deployed, deployed.table):
        assert row.pop("submission_status") == "testing"
        assert row.pop("api_response").startswith("TESTING")
        row.pop("submission_timestamp")
        assert row.items() <= before[row["id"]].items()
    assert invoke_cli(["run", "--live"], settings, tmp_path).code == 0
    assert server.simulator.held("1") == child("1")


def test_limit_takes_so_many_rows_and_leaves_the_others(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged(str(number)) for number in range(7)])
    assert invoke_cli(["run", "--limit", "3", "--batch-size", "2"], live(deployed, server), tmp_path).code == 0
    statuses = [row["submission_status"] for row in table_rows(deployed, deployed.table)]
    assert statuses == ["sent"] * 3 + ["Pending"] * 4


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [
        ({"CLIENT_SECRET": ""}, 2, "CLIENT_SECRET"),
        ({"LA_CODE": "12"}, 2, "LA_CODE"),
        ({"BATCH_SIZE": "101"}, 2, "BATCH_SIZE"),
        ({"TABLE_NAME": "x; DROP TABLE y"}, 2, "TABLE_NAME"),
        ({"TABLE_NAME": "no_such_table"}, 3, "no_such_table"),
        ({"DB_CONNECTION_STRING": "sqlite:///no/such/file.db"}, 3, "does not exist"),
        ({"CLIENT_SECRET": "wrong-secret-9"}, 4, "CLIENT_SECRET"),
        ({"SUPPLIER_KEY": "wrong-key-9"}, 4, "SUPPLIER_KEY"),
        ({"SCOPE": "wrong"}, 4, "SCOPE"),
        ({"API_ENDPOINT": "http://receiver.example/1"}, 2, "API_ENDPOINT"),
        ({"API_ENDPOINT": "http://127.0.0.1:9/1", "MAX_ATTEMPTS": "1"}, 5, "could not be reached"),
        ({"TOKEN_ENDPOINT": "http://127.0.0.1:9/token", "MAX_ATTEMPTS": "1"}, 5, "token"),
    ],
)
def test_a_wrong_setting_gives_its_exit_code_and_one_sentence(
    deployed: TestDatabase,
    server: SimulatorServer,
    tmp_path: Path,
    settings: dict[str, str],
    code: int,
    sentence: str,
) -> None:
    fill(deployed, deployed.table, [staged("1")])
    done = run_cli(["run"], live(deployed, server, **settings), tmp_path)
    assert done.code == code, done.text
    assert sentence in done.text
    assert "Traceback" not in done.text
    assert CLIENT_SECRET not in done.text
    assert "wrong-secret-9" not in done.text
    assert "wrong-key-9" not in done.text
    assert row_of(deployed, deployed.table, "1")["submission_status"] == (
        "error" if "9/1" in str(settings) else "Pending"
    )


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_without_control_tables_full_payloads_go_and_deltas_refuse(
    database: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    database.deploy()
    for control_table in ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed", "ssd_api_runs"):
        database.execute(f"DROP TABLE {control_table}")
    fill(database, database.table, [staged("1")])
    refused = invoke_cli(["run", "--deltas"], live(database, server), tmp_path)
    assert refused.code == 2
    assert "deploy-schema --apply" in refused.text
    assert server.simulator.log == []
    done = invoke_cli(["run"], live(database, server), tmp_path)
    assert done.code == 0, done.text
    assert done.err.count("control tables") == 1
    assert row_of(database, database.table, "1")["submission_status"] == "sent"


@one_kind
def test_the_program_works_on_a_console_of_code_page_1252(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    if deployed.name != "sqlite":
        pytest.skip("the console has nothing to do with the database")
    payload = {"la_child_id": "Ł1", "child_details": {"first_name": "Ŵyn"}}
    fill(deployed, deployed.table, [staged("Ł1", payload)])
    done = run_cli(["run", "--verbose"], {**live(deployed, server), "PYTHONIOENCODING": "cp1252"}, tmp_path)
    assert done.code == 1, done.text
    assert "Traceback" not in done.text
