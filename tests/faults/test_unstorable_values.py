"""Answers that the database cannot hold: stored as near as can be, and no obstacle for others, tonight or later."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyodbc
import pytest

from api_pipeline.payloads.reading import sha256_hex
from api_pipeline.sandbox.simulator import Fault, SimulatorServer
from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase
from tests.support.effort import IS_LONG
from tests.support.postgres import PostgresServer
from tests.support.staging import child, staged
from tests.support.world import World

TIMES = ["0001-01-01_00:00:00.00", "1600-02-30_25:61:00.00", "9999-12-31_23:59:59.99", "_", ""]


@pytest.mark.parametrize(
    ("kind", "time"),
    [("embedded_world", time) for time in TIMES]
    # A time that this type cannot hold, and one that is none.
    + [("postgres_world", time) for time in (TIMES if IS_LONG else TIMES[:1] + TIMES[-1:])],
)
def test_receipt_with_an_impossible_time_is_stored_with_another(
    request: pytest.FixtureRequest, kind: str, time: str
) -> None:
    world: World = request.getfixturevalue(kind)
    if kind == "postgres_world":
        for table, column in ((world.database.table, "submission_timestamp"), ("ssd_api_held", "accepted_at")):
            # What SQL Server's narrowest type for times can hold.
            world.database.execute(
                f"ALTER TABLE {table} ADD CHECK ({column} BETWEEN '1900-01-01' AND '2079-06-06' OR {column} IS NULL)"
            )
    persons = world.stage(3)
    receipts = [f"{time}_{uuid.uuid4()}.json" for _ in persons]
    world.server.simulator.add_fault(Fault(status=200, body=json.dumps(receipts)))
    done = world.run()
    assert done.code in (0, 1), done.text
    assert done.code == 0 or time in ("", "_"), "where no receipt can be recognised the outcome is unknown"
    world.stage(1, first=10)
    assert world.run().code == 0
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}


# Those of one byte a letter are read alike: one of them, and the one that knows no letters.
@pytest.fixture(params=["WIN1252", "SQL_ASCII", *(["LATIN1"] if IS_LONG else [])])
def narrow_world(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, server: SimulatorServer, tmp_path: Path
) -> Iterator[World]:
    """Yield a world whose database has a code page of one byte a letter."""
    admin = pyodbc.connect(postgres_server.connection_string("postgres"), autocommit=True)
    name = f"test_narrow_{uuid.uuid4().hex[:8]}"
    admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        text = postgres_server.connection_string(name)
        connection = pyodbc.connect(text, autocommit=True)
        database = TestDatabase("postgresql-odbc", text, Dialect.POSTGRESQL, connection)
        yield World(database.deploy(), server, tmp_path)
        connection.close()
    finally:
        postgres_server.drop_database(name)
        admin.close()


def test_reason_outside_the_code_page_stops_neither_batch_nor_later_nights(narrow_world: World) -> None:
    world = narrow_world
    world.fill([staged(f"C{number}") for number in range(4)])
    reason = "Zażółć gęślą 漢字 😀"
    errors = {"errors": [{"path": "[1].child_details.surname", "message": reason}]}
    world.server.simulator.add_fault(Fault(status=400, body=json.dumps(errors)))
    done = world.run()
    assert done.code == 1, done.text
    rows = world.rows()
    assert [rows[f"C{number}"]["submission_status"] for number in range(4)] == ["sent", "error", "sent", "sent"]
    assert "Za" in rows["C1"]["api_response"]
    assert world.run().code == 0
    assert not list(world.folder.glob("unwritten-receipts-*"))


def test_escaped_letters_outside_the_code_page_are_held_with_their_meaning(narrow_world: World) -> None:
    world = narrow_world
    payload = child("C1")
    payload["child_details"]["first_name"] = "Łucja 漢"
    # A payload without its nulls is written anew, with letters in the place of their escapes.
    world.fill([staged("C1", json.dumps({**payload, "mis_child_id": None})), staged("C2")])
    assert world.run(SCHEMA_CHECK="warn").code == 0
    assert world.server.simulator.held("C1") == payload
    found = world.database.rows("SELECT la_child_id, held_payload, held_hash FROM ssd_api_held")
    held = {person: text for person, text, _ in found}
    assert json.loads(held["C1"])["child_details"]["first_name"] == "Łucja 漢"
    assert [digest for *_, digest in found] == [sha256_hex(text) for _, text, _ in found]
    assert world.run().code == 0


def test_child_id_outside_the_code_page_concerns_its_own_row_alone(narrow_world: World) -> None:
    world = narrow_world
    world.fill([staged("C1", json.dumps(child("Ł漢1"))), staged("C2")])
    done = world.run(SCHEMA_CHECK="warn")
    assert done.code in (0, 1), done.text
    rows = world.rows()
    assert rows["C2"]["submission_status"] == "sent"
    assert "la_child_id" in rows["C1"]["api_response"] or rows["C1"]["submission_status"] == "sent"
    assert (rows["C1"]["submission_status"] == "sent") == (world.server.simulator.held("Ł漢1") is not None)
    world.fill([staged("C3")])
    done = world.run(SCHEMA_CHECK="warn")
    assert done.code in (0, 1), done.text
    assert world.rows()["C3"]["submission_status"] == "sent"
