"""Tables and settings that invite a mistake: two rows of a child, no purging, a limit, a log that is all one has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import Reading, SimulatorServer
from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from tests.faults.outages import before_answer
from tests.support.commands import ROOT, invoke_cli
from tests.support.databases import TestDatabase, one_kind
from tests.support.layouts import make_table
from tests.support.postgres import PostgresServer
from tests.support.staging import change, child, row_of, staged, table_rows
from tests.support.world import World, recorded

EPISODE = {"social_care_episode_id": "E1", "referral_date": "2026-01-05"}


@pytest.mark.strict
def test_a_deletion_is_history_where_a_newer_row_of_the_child_lives(world: World) -> None:
    world.fill([staged("D1", state="Deleted", previous=child("D1"))])
    assert world.run().code == 0
    assert world.server.simulator.held("D1") is None
    world.fill([staged("D1")])
    for _ in range(3):
        assert world.run().code == 0
        assert world.server.simulator.held("D1") == child("D1")
    old, new = table_rows(world.database, world.database.table)
    assert (old["row_state"], new["row_state"], new["submission_status"]) == ("deleted", "unchanged", "sent")


@pytest.mark.strict
def test_a_deletion_is_due_where_only_an_older_row_of_the_child_lives(world: World) -> None:
    world.fill([staged("D1"), staged("D1", state="Deleted", previous=child("D1"))])
    assert world.run().code == 0
    assert world.server.simulator.held("D1") is None


@pytest.mark.strict
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_only_the_newest_row_of_a_person_is_sent(world: World, deltas: str) -> None:
    older = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    newest = child("1", social_care_episodes=[EPISODE])
    world.fill([staged("1", older), staged("1", older, "Error", "Updated"), staged("1", older, state="Deleted")])
    world.fill([staged("1", "  "), *(staged(str(number)) for number in range(2, 20)), staged("1", newest)])
    done = world.run(BATCH_SIZE=1, USE_PARTIAL_PAYLOAD=deltas)
    assert done.code == 0
    assert "3 older rows were closed" in done.text
    assert world.server.simulator.held("1") == newest
    assert len(world.server.simulator.receipts("1")) == 1
    *closed, blank, newest_row = rows_of(world, "1")
    assert [(row["submission_status"], row["row_state"]) for row in closed] == [
        ("sent", "unchanged"),
        ("sent", "unchanged"),
        ("sent", "Deleted"),
    ]
    assert {row["api_response"] for row in closed} == {f"NOT SENT: superseded by row {newest_row['id']}"}
    assert blank["submission_status"] == "Pending"
    assert newest_row["submission_status"] == "sent"


@one_kind
def test_older_rows_stay_as_they_are_until_the_newest_is_accepted(world: World) -> None:
    world.fill([staged("1", child("1", mis_child_id="M1")), staged("1")])
    world.server.simulator.add_fault(Fault(status=422))
    assert world.run().code == 1
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["Pending", "error"]
    assert world.run("--testing", "--table", world.database.table).code == 0
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["Pending", "testing"]
    assert world.run().code == 0
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["sent", "sent"]
    assert world.server.simulator.held("1") == child("1")


@pytest.mark.strict
def test_rows_without_a_person_stand_for_themselves(world: World) -> None:
    world.fill([staged(None, child("A")), staged(None, child("B"))])
    assert world.run().code == 0
    assert world.server.simulator.held("A")
    assert world.server.simulator.held("B")


@one_kind
def test_adopted_baseline_never_replaces_a_later_one(world: World) -> None:
    one = child("1", social_care_episodes=[EPISODE])
    two = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    world.fill([staged("1", one)])
    assert world.run().code == 0
    # As today's tool leaves it: the row alone says what was sent.
    world.database.execute(f"DELETE FROM {world.database.named('ssd_api_held')}")
    world.database.execute(f"DELETE FROM {world.database.named('ssd_api_submission_log')}")
    change(world.database, world.database.table, "1", submission_status="pending")
    world.fill([staged("1", two), *(staged(str(number)) for number in range(2, 12))])
    assert world.run(BATCH_SIZE=1).code == 0
    assert world.server.simulator.held("1") == two
    assert {"la_child_id": "1", **recorded(world.database)["1"]} == two


@pytest.mark.strict
def test_up_to_date_row_keeps_the_in_doubt_mark_of_the_other_row(world: World) -> None:
    one = child("1", social_care_episodes=[EPISODE])
    two = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    world.fill([staged("1", one)])
    assert world.run().code == 0
    change(world.database, world.database.table, "1", submission_status="error")
    world.fill([staged("1", two), *(staged(str(number)) for number in range(2, 6))])
    world.server.simulator.add_fault(Fault(kind=FaultKind.DROP, when=When.AFTER_ACCEPTING))
    assert world.run(BATCH_SIZE=1, MAX_ATTEMPTS=1).code == 5
    newest = max(row["id"] for row in table_rows(world.database, world.database.table) if row["person_id"] == "1")
    world.database.execute(
        f"UPDATE {world.database.table} SET submission_status = 'pending', json_payload = ? WHERE id = ?",
        [json.dumps({**one, "mis_child_id": "M1"}), newest],
    )
    assert world.run().code == 0
    assert world.server.simulator.held("1") == {**one, "mis_child_id": "M1"}


def rows_of(world: World, person: str) -> list[dict[str, Any]]:
    return [row for row in table_rows(world.database, world.database.table) if row["person_id"] == person]


@pytest.mark.strict
@pytest.mark.parametrize("command", [(), ("requeue",)])
def test_failed_row_is_closed_where_a_newer_one_was_sent(world: World, command: tuple[str, ...]) -> None:
    one, two = child("1", mis_child_id="M1"), child("1")
    world.fill([staged("1", one, "Error"), staged("2")])
    assert world.run().code == 0
    change(world.database, world.database.table, "1", submission_status="error")
    world.fill([staged("1", two)])
    newest = rows_of(world, "1")[1]["id"]
    world.database.execute(f"UPDATE {world.database.table} SET submission_status = 'sent' WHERE id = {newest}")
    if command:
        assert invoke_cli(list(command), world.environment(), world.folder).code == 0
    requests = world.requests()
    assert world.run().code == 0
    assert world.requests() == requests
    assert rows_of(world, "1")[0]["api_response"] == f"NOT SENT: superseded by row {newest}"


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("option", ["UseDeclareFetch=1", "UseServerSidePrepare=0"])
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_options_of_postgresqls_driver_keep_nothing_from_being_sent(world: World, option: str, deltas: str) -> None:
    world.stage(15)
    text = f"{world.database.connection_string};{option}"
    assert world.run(DB_CONNECTION_STRING=text, BATCH_SIZE=10, USE_PARTIAL_PAYLOAD=deltas).code == 0


@one_kind
def test_without_purging_a_payload_goes_even_where_something_only_vanished(world: World) -> None:
    closed = child("1", social_care_episodes=[{**EPISODE, "closure_date": "2026-02-01"}])
    world.fill([staged("1", closed)])
    assert world.run(PURGE_VANISHED="false").code == 0
    world.server.simulator.change(reading=Reading.REPLACE)
    opened = child("1", social_care_episodes=[EPISODE])
    text = json.dumps(opened)
    world.restage("1", text)
    assert world.run(PURGE_VANISHED="false").code == 0
    assert world.server.simulator.accepted_records[-1] == text.encode()
    assert world.server.simulator.held("1") == opened
    assert "NOT SENT" not in row_of(world.database, world.database.table, "1")["api_response"]


@one_kind
def test_without_purging_a_lost_answer_leaves_the_baseline_in_doubt(world: World) -> None:
    first, second = child("1", mis_child_id="M1"), child("1", mis_child_id="M2", social_care_episodes=[EPISODE])
    world.fill([staged("1", first)])
    assert world.run(PURGE_VANISHED="false").code == 0
    for payload, code in ((second, 5), (first, 0), ({**second, "mis_child_id": "M1"}, 0), (first, 0)):
        world.restage("1", payload)
        if code:
            world.server.simulator.add_fault(Fault(kind=FaultKind.DROP, when=When.AFTER_ACCEPTING))
        assert world.run(PURGE_VANISHED="false", MAX_ATTEMPTS=1).code == code
        assert "NOT SENT" not in (row_of(world.database, world.database.table, "1")["api_response"] or "")
        assert (world.server.simulator.held("1") or {})["mis_child_id"] == payload["mis_child_id"]


@one_kind
def test_a_purge_flag_in_a_payload_goes_even_where_all_else_is_held(world: World) -> None:
    world.fill([staged("1")])
    assert world.run().code == 0
    payload = child("1", purge=True)
    world.restage("1", payload)
    assert world.run().code == 0
    assert world.server.simulator.held("1") is None
    assert "1" not in recorded(world.database)


@pytest.mark.strict
def test_outcome_of_a_row_that_was_removed_is_recorded(world: World) -> None:
    world.fill([staged("1"), staged("2")])
    gone = f"DELETE FROM {world.database.table} WHERE person_id = '1'"
    with before_answer(world, 1, lambda: world.database.execute(gone)):
        assert world.run().code == 0
    assert {"la_child_id": "1", **recorded(world.database)["1"]} == child("1")
    log = world.database.rows(f"SELECT person_id, outcome FROM {world.database.named('ssd_api_submission_log')}")
    assert sorted(tuple(line) for line in log) == [("1", "accepted"), ("2", "accepted")]


@pytest.mark.strict
@pytest.mark.parametrize("state", ["New", "Deleted"])
def test_unstorable_id_stops_only_its_own_row(world: World, state: str) -> None:
    long = "X" * 49
    world.fill([staged("1", child(long), state=state, previous=child(long)), staged("2")])
    assert world.run(SCHEMA_CHECK="warn").code == 1
    assert row_of(world.database, world.database.table, "2")["submission_status"] == "sent"
    assert "la_child_id" in row_of(world.database, world.database.table, "1")["api_response"]


@pytest.mark.strict
# A null character between the letters of a value would hide the value from the mask, so it goes without a trace.
@pytest.mark.parametrize(("odd", "stored"), [("\\ud83d", r"An\? is"), ("\\u0000", "An is")])
def test_answer_with_unstorable_characters_is_stored_approximately(world: World, odd: str, stored: str) -> None:
    persons = world.stage(6)
    body = json.dumps({"errors": [{"path": "[0].child_details.first_name", "message": "value AnODD is odd"}]}).replace(
        "ODD", odd
    )
    world.server.simulator.add_fault(Fault(status=400, first=2, last=2, body=body))
    assert world.run(BATCH_SIZE=2).code == 1
    world.check({**dict.fromkeys(persons, "sent"), persons[2]: f"error: value {stored} odd"})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_rows_of_a_person_are_in_one_shard(world: World) -> None:
    people = [str(number) for number in range(8)]
    world.fill([staged(person, child(person, mis_child_id="M1")) for person in people] + [staged("x")])
    world.fill([staged(person) for person in people])
    for shard in ("1/2", "2/2"):
        assert world.run("--shard", shard).code == 0
    assert all(world.server.simulator.held(person) == child(person) for person in people)
    assert all(len(world.server.simulator.receipts(person)) == 1 for person in people)
    assert {row["submission_status"] for row in table_rows(world.database, world.database.table)} == {"sent"}


def _sql_of(page: str, heading: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    statements: list[str] = re.findall(r"```sql\n(.+?);\n```", text.split(heading)[1], re.DOTALL)
    return statements[0]


def test_what_stands_under_an_old_id_is_found_and_deleted_as_the_page_says(world: World) -> None:
    world.fill([staged("OLD1"), staged("2")])
    assert world.run().code == 0
    table = world.database.table
    world.database.execute(
        f"UPDATE {table} SET person_id = 'NEW1', submission_status = 'pending' WHERE person_id = 'OLD1'"
    )
    change(world.database, table, "NEW1", json_payload=json.dumps(child("NEW1")), current_hash=b"n" * 32)
    assert world.run().code == 0
    found = _sql_of("governance.md", "### Whom does DfE hold who has no row")
    deletion = _sql_of("what-is-sent.md", "## When a child's id changes")
    assert [row[1] for row in world.database.rows(found)] == ["OLD1"]
    world.database.execute(deletion)
    assert world.run().code == 0
    assert [world.server.simulator.held(one) for one in ("OLD1", "NEW1")] == [None, child("NEW1")]
    assert world.database.rows(found) == []


@one_kind
@pytest.mark.parametrize("deltas", ["false", "true"])
@pytest.mark.parametrize("gone", ["closure", "identifier"])
def test_retained_part_is_sent_again_after_a_purge_of_its_parent(world: World, deltas: str, gone: str) -> None:
    plan = {"child_in_need_plan_id": "OLD", "start_date": "2019-01-01", "end_date": "2019-05-01"}
    closed = {**EPISODE, "closure_date": "2026-02-01", "closure_reason": "RC1"} if gone == "closure" else EPISODE
    members = {"mis_child_id": "M1"} if gone == "identifier" else {}
    world.fill([staged("1", child("1", social_care_episodes=[{**closed, "child_in_need_plans": [plan]}], **members))])
    assert world.run().code == 0
    left = json.dumps([["social_care_episodes", "E1", "child_in_need_plans", "OLD"]])
    keep = f"INSERT INTO {world.database.named('ssd_api_left_window')} (person_id, elements) VALUES ('1', ?)"
    world.database.execute(keep, [left])
    payload = child("1", social_care_episodes=[EPISODE])
    world.restage("1", payload)
    assert world.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    expected = child("1", social_care_episodes=[{**EPISODE, "child_in_need_plans": [plan]}])
    assert world.server.simulator.held("1") == expected
    assert {"la_child_id": "1", **recorded(world.database)["1"]} == expected


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_a_table_whose_payloads_are_jsonb_gets_through_its_nights(database: TestDatabase, tmp_path: Path) -> None:
    make_table(database, database.table, "older", text="JSONB", time="TIMESTAMPTZ")
    database.deploy()
    two = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    one = child("1", social_care_episodes=[{**EPISODE, "referral_source": "1A"}])
    with SimulatorServer() as server:
        world = World(database, server, tmp_path)
        columns = "person_id, json_payload, submission_status, row_state"
        stage = f"INSERT INTO {database.table} ({columns}) VALUES ('1', ?, 'Pending', 'New')"
        database.execute(stage, [json.dumps(two)])
        assert world.run(USE_PARTIAL_PAYLOAD="true").code == 0
        database.execute(
            f"UPDATE {database.table} SET json_payload = ?, submission_status = 'pending'", [json.dumps(one)]
        )
        assert world.run(USE_PARTIAL_PAYLOAD="true").code == 0
        assert server.simulator.held("1") == one
        assert b'"purge":true' in server.simulator.accepted_records[-1]
        database.execute(f"UPDATE {database.table} SET row_state = 'Deleted'")
        assert world.run(USE_PARTIAL_PAYLOAD="true").code == 0
        assert server.simulator.held("1") is None


@one_kind
def test_a_receiver_is_the_same_however_its_host_is_written(world: World) -> None:
    world.fill([staged("1")])
    assert world.run().code == 0
    change(world.database, world.database.table, "1", submission_status="pending")
    assert world.run(API_ENDPOINT=world.server.base_url.replace("http://", "HTTP://")).code == 0
    assert "NOT SENT" in row_of(world.database, world.database.table, "1")["api_response"]


@one_kind
def test_run_reports_rows_left_out_by_its_limit(world: World) -> None:
    world.stage(5)
    done = world.run("--limit", "3")
    assert (done.code, "the rest is due still" in done.text) == (0, True)
    done = world.run("--limit", "2")
    assert (done.code, "everything due was accepted" in done.text) == (0, True)


@one_kind
def test_run_that_ends_early_counts_the_rows_it_did_not_reach(world: World) -> None:
    world.stage(330)
    change(world.database, world.database.table, "P0329", submission_status="sent")
    world.server.simulator.add_fault(Fault(status=401, times=None))
    done = world.run(BATCH_SIZE=10)
    assert done.code == 4
    assert re.search(r"^ +due +329$", done.text, re.MULTILINE)
    assert re.search(r"^ +not tried +329$", done.text, re.MULTILINE)
    runs = world.database.rows(f"SELECT due, not_tried FROM {world.database.named('ssd_api_runs')}")
    assert [tuple(run) for run in runs] == [(329, 329)]


@one_kind
def test_the_log_tells_a_run_from_its_beginning_to_its_end(world: World) -> None:
    world.stage(5)
    log = world.folder / "run.log"
    assert world.run("--quiet", "--log-file", str(log), BATCH_SIZE=2).code == 0
    text = log.read_text(encoding="utf-8")
    for part in ("live mode, full payloads, table", "POST of 2 records: HTTP 20", "batch 3 written back: 1 accepted"):
        assert part in text
    assert "exit code 0: 5 due, 5 accepted" in text


@one_kind
def test_the_log_tells_why_a_run_did_not_begin(world: World) -> None:
    log = world.folder / "run.log"
    assert world.run("--quiet", "--log-file", str(log), TABLE_NAME="no_such_table").code == 3
    text = log.read_text(encoding="utf-8")
    assert "ended with exit code 3: The" in text
    assert "no_such_table" in text


@one_kind
def test_bundle_without_certificates_stops_before_the_database(world: World) -> None:
    world.stage(1)
    bundle = world.folder / "bundle.pem"
    bundle.write_text("no certificate", encoding="ascii")
    done = world.run(CA_BUNDLE=str(bundle))
    assert (done.code, "CA_BUNDLE names" in done.text) == (2, True)
    assert not table_rows(world.database, world.database.named("ssd_api_runs"), "run_id")


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_a_login_that_may_not_write_back_sends_nothing(world: World, postgres_server: PostgresServer) -> None:
    world.stage(3)
    world.database.execute("CREATE ROLE csc_api_reader LOGIN PASSWORD 'invented'")
    try:
        world.database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO csc_api_reader")
        name = str(world.database.rows("SELECT current_database()")[0][0])
        text = postgres_server.connection_string(name, user="csc_api_reader", password="invented")
        done = world.run(DB_CONNECTION_STRING=text)
    finally:
        world.database.execute("DROP OWNED BY csc_api_reader")
        world.database.execute("DROP ROLE csc_api_reader")
    assert (done.code, world.requests()) == (3, 0)
    assert "cannot be written to. The login may not do this" in done.text
