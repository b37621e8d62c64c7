"""Odd tables, drivers and answers: ids and characters that cannot be stored, jsonb, a login that may only read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sandbox.simulator.faults import Fault
from api_pipeline.sql.identifiers import Dialect
from tests.faults.outages import before_answer
from tests.support.commands import ROOT
from tests.support.databases import TestDatabase, one_kind
from tests.support.layouts import make_table
from tests.support.logins import another_login
from tests.support.postgres import PostgresServer
from tests.support.staging import EPISODE, change, child, row_of, staged
from tests.support.world import World, recorded


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("option", ["UseDeclareFetch=1", "UseServerSidePrepare=0"])
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_options_of_postgresqls_driver_keep_nothing_from_being_sent(world: World, option: str, deltas: str) -> None:
    world.stage(15)
    text = f"{world.database.connection_string};{option}"
    assert world.run(DB_CONNECTION_STRING=text, BATCH_SIZE=10, USE_PARTIAL_PAYLOAD=deltas).code == 0


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


def _sql_of(database: TestDatabase, page: str, heading: str) -> str:
    """Return the statement of a section, that for SQL Server behind the one for the others where they differ."""
    section = re.split(r"\n##+ ", (ROOT / "docs" / page).read_text(encoding="utf-8").split(heading)[1])[0]
    statements: list[str] = re.findall(r"```sql\n(.+?);\n```", section, re.DOTALL)
    statement = statements[-1 if database.dialect is Dialect.SQLSERVER else 0]
    return re.sub(r"ssd_api_\w+", lambda found: database.named(found[0]), statement)


def test_what_stands_under_an_old_id_is_found_and_deleted_as_the_page_says(world: World) -> None:
    world.fill([staged("OLD1"), staged("2")])
    assert world.run().code == 0
    table = world.database.table
    world.database.execute(
        f"UPDATE {table} SET person_id = 'NEW1', submission_status = 'pending' WHERE person_id = 'OLD1'"
    )
    change(world.database, table, "NEW1", json_payload=json.dumps(child("NEW1")), current_hash=b"n" * 32)
    assert world.run().code == 0
    found = _sql_of(world.database, "governance.md", "### Whom does DfE hold who has no row")
    deletion = _sql_of(world.database, "what-is-sent.md", "## When a child's id changes")
    assert [row[1] for row in world.database.rows(found)] == ["OLD1"]
    world.database.execute(deletion)
    assert world.run().code == 0
    assert [world.server.simulator.held(one) for one in ("OLD1", "NEW1")] == [None, child("NEW1")]
    assert world.database.rows(found) == []


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


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_a_login_that_may_not_write_back_sends_nothing(world: World, postgres_server: PostgresServer) -> None:
    world.stage(3)
    with another_login(world.database, postgres_server, "SELECT ON ALL TABLES IN SCHEMA public") as reader:
        done = world.run(DB_CONNECTION_STRING=reader.connection_string)
    assert (done.code, world.requests()) == (3, 0)
    assert "cannot be written to. The login may not do this" in done.text
