"""Databases that take a change and do not keep it, or take none: known before the first POST, or never a success."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.db import connect
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import try_to_write
from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sql.identifiers import table_names
from tests.faults.outages import before_answer
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.layouts import make_table
from tests.support.logins import Login, another_login
from tests.support.postgres import PostgresServer
from tests.support.staging import child, hash_of, text_of
from tests.support.world import World

DROPS = "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
KEEPS_ONE = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN IF NEW.person_id = 'P0001' THEN RETURN NULL; END IF; RETURN NEW; END $$"
)
REFUSES_ONE = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN IF NEW.person_id = 'P0000' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$"
)
REWRITES = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN NEW.submission_status := 'pending'; RETURN NEW; END $$"
)


def on_update(world: World, function: str, table: str | None = None, when: str = "BEFORE") -> None:
    """Put a trigger on the updates of each row."""
    world.database.execute(function.format(name="meddle"))
    world.database.execute(
        f"CREATE TRIGGER meddling {when} UPDATE ON {table or world.database.table} "
        "FOR EACH ROW EXECUTE FUNCTION meddle()"
    )


def nothing_happened(world: World, done: Completed) -> None:
    assert (done.code, world.server.simulator.stats().records_accepted) == (3, 0), done.text
    world.check(dict.fromkeys(world.before, "untouched"))


@pytest.fixture
def nightly(postgres_world: World, postgres_server: PostgresServer) -> Iterator[Login]:
    """Yield a login that may do what the packaged grants allow."""
    tables = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    sequences = "USAGE ON ALL SEQUENCES IN SCHEMA public"
    with another_login(postgres_world.database, postgres_server, tables, sequences) as login:
        yield login


@pytest.mark.parametrize("sees", ["true", "person_id <> 'P0002'"])
def test_rows_that_a_policy_keeps_from_updates_are_found_before_sending(
    postgres_world: World, nightly: Login, sees: str
) -> None:
    world = postgres_world
    world.stage(3)
    table = world.database.table
    world.database.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    world.database.execute(f"CREATE POLICY see ON {table} FOR SELECT USING ({sees})")
    world.database.execute(f"CREATE POLICY change ON {table} FOR UPDATE USING (false)")
    done = world.run(DB_CONNECTION_STRING=nightly.connection_string)
    assert "row-level security" in done.text
    nothing_happened(world, done)


def test_row_that_a_policy_hides_from_updates_ends_the_run_with_code_3(postgres_world: World, nightly: Login) -> None:
    world = postgres_world
    persons = world.stage(4)
    table = world.database.table
    world.database.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    world.database.execute(f"CREATE POLICY see ON {table} FOR SELECT USING (true)")
    world.database.execute(f"CREATE POLICY change ON {table} FOR UPDATE USING (person_id <> 'P0002')")
    done = world.run(DB_CONNECTION_STRING=nightly.connection_string, DB_RETRY_S=1)
    assert done.code == 3, done.text
    world.check({person: "untouched" if person == "P0002" else "sent" for person in persons})
    assert list(world.folder.glob("unwritten-receipts-*")), "the receipt is kept"
    world.database.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    world.remember()
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == len(persons)


@pytest.mark.parametrize("function", [DROPS, REWRITES], ids=["drops the change", "puts the status back"])
def test_trigger_that_undoes_every_change_ends_the_run_with_3(postgres_world: World, function: str) -> None:
    world = postgres_world
    world.stage(2)
    on_update(world, function)
    done = world.run(DB_RETRY_S=1)
    assert done.code == 3, done.text
    assert {row["submission_status"].lower() for row in world.rows().values()} == {"pending"}
    if function is DROPS:
        nothing_happened(world, done)


def test_trigger_that_drops_the_change_of_one_row_concerns_that_row_alone(postgres_world: World) -> None:
    world = postgres_world
    persons = world.stage(5)
    on_update(world, KEEPS_ONE)
    done = world.run(BATCH_SIZE=2, DB_RETRY_S=1)
    assert done.code == 3, done.text
    world.check({person: "untouched" if person == "P0001" else "sent" for person in persons})
    assert list(world.folder.glob("unwritten-receipts-*"))


def test_row_that_another_program_has_locked_says_nothing_of_the_table(postgres_world: World) -> None:
    world, database = postgres_world, postgres_world.database
    world.stage(2)
    on_update(world, REFUSES_ONE)
    ours, other = connect(database.connection_string, busy_wait_s=0.1), connect(database.connection_string)
    store = StagingTable(ours, table_names(database.table, ours.dialect))

    with other.transaction():
        other.execute(f"UPDATE {database.table} SET api_response = NULL WHERE person_id = 'P0001'")
        try_to_write(store)
    ours.close()
    other.close()


VIEW = "CREATE VIEW seen AS SELECT * FROM {table}"
HALF = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN UPDATE ssd_api_data_staging SET api_response = NEW.api_response WHERE id = NEW.id; RETURN NEW; END $$"
)


def test_view_whose_trigger_writes_only_part_is_no_success(postgres_world: World) -> None:
    world = postgres_world
    world.stage(2)
    world.database.execute(VIEW.format(table=world.database.table))
    on_update(world, HALF, "seen", "INSTEAD OF")
    done = world.run(TABLE_NAME="seen", DB_RETRY_S=1)
    assert done.code == 3, done.text
    assert {row["submission_status"] for row in world.rows().values()} == {"Pending"}


def test_trigger_that_begins_to_drop_changes_in_mid_run_is_noticed(postgres_world: World) -> None:
    world = postgres_world
    world.stage(6)
    with before_answer(world, 4, lambda: on_update(world, DROPS)):
        done = world.run(BATCH_SIZE=1, DB_RETRY_S=1)
    assert done.code == 3, done.text
    assert 1 <= list(world.words().values()).count("sent") <= 3
    world.database.execute(f"DROP TRIGGER meddling ON {world.database.table}")
    assert world.run().code == 0
    assert world.server.simulator.stats().records_accepted == 6


# Read-only


def read_only(world: World) -> dict[str, str]:
    """Return the settings that lead to the same database as a copy that takes no changes."""
    text = world.database.connection_string
    return {"DB_CONNECTION_STRING": f"{text};ConnSettings=SET default_transaction_read_only = on"}


@pytest.mark.parametrize("command", [["run"], ["run", "--testing"], ["smoke"], ["test-schema"]], ids=" ".join)
def test_read_only_copy_is_named_before_anything_is_sent(postgres_world: World, command: list[str]) -> None:
    world = postgres_world
    world.stage(2)
    done = invoke_cli(command, world.environment(**read_only(world)), world.folder)
    assert done.code == 3, done.text
    assert "read-only" in done.text
    world.check(dict.fromkeys(world.before, "untouched"))
    assert world.server.simulator.stats().records_accepted == 0


# Layouts


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER COLUMN api_response TYPE VARCHAR(40)", "api_response"),
        ("ALTER COLUMN submission_status TYPE VARCHAR(4)", "submission_status"),
        ("ALTER COLUMN row_state TYPE VARCHAR(5)", "row_state"),
        ("ALTER COLUMN submission_timestamp TYPE VARCHAR(10)", "submission_timestamp"),
        ("ALTER COLUMN previous_json_payload TYPE VARCHAR(100)", "previous_json_payload"),
        ("ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id TYPE VARCHAR(20)", "id"),
        ("DROP COLUMN partial_json_payload", "partial_json_payload"),
        ("ALTER COLUMN previous_hash TYPE BIGINT USING NULL", "previous_hash"),
    ],
)
def test_layout_that_is_known_to_fail_is_refused_in_both_modes(
    database: TestDatabase, server: SimulatorServer, tmp_path: Path, change: str, named: str
) -> None:
    make_table(database, database.table, "no key, no defaults", plain_id="INT DEFAULT 0")
    database.deploy()
    database.execute(f"ALTER TABLE {database.table} ALTER COLUMN submission_status DROP DEFAULT")
    database.execute(f"ALTER TABLE {database.table} {change}")
    columns = "id, person_id, json_payload, submission_status, row_state, current_hash"
    for number in (1, 2):
        payload = child(f"L{number}")
        database.execute(
            f"INSERT INTO {database.table} ({columns}) VALUES ({number}, ?, ?, ?, 'New', ?)",
            [f"L{number}", text_of(payload), "Pend" if "VARCHAR(4)" in change else "Pending", hash_of(payload)],
        )
    world = World(database, server, tmp_path)
    assert world.command("test-schema").code == 3
    for mode in ("--live", "--testing"):
        done = world.run(mode)
        assert (done.code, world.requests()) == (3, 0), (mode, done.text)
        assert named in done.text
        assert "accepted" not in done.out, "a run that wrote nothing has accepted nothing"


@pytest.mark.parametrize("grant", ["SELECT", "SELECT, UPDATE (api_response)"])
def test_smoke_fails_for_a_login_that_may_not_write(postgres_world: World, nightly: Login, grant: str) -> None:
    world = postgres_world
    world.stage(1)
    table = world.database.table
    world.database.execute(f"REVOKE ALL ON {table} FROM {nightly.name}")
    world.database.execute(f"GRANT {grant} ON {table} TO {nightly.name}")
    for command in ("smoke", "test-schema"):
        done = invoke_cli([command], world.environment(DB_CONNECTION_STRING=nightly.connection_string), world.folder)
        assert done.code == 3, done.text
        assert "FAILED" in done.text
        assert "may not" in done.text
    nothing_happened(world, world.run(DB_CONNECTION_STRING=nightly.connection_string))
