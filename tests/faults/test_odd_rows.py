"""Rows as people and tools leave them: texts in pieces, odd ids, words with blanks, no payload (contract 3).

No due row is passed over in silence, and none stops another.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.staging import change, child, row_of, staged, text_of
from tests.support.world import World


@pytest.fixture
def odd_world(deployed: TestDatabase, server: SimulatorServer, tmp_path: Path) -> World:
    return World(deployed, server, tmp_path)


def told(world: World, command: str) -> Completed:
    return invoke_cli([command], world.environment(), world.folder)


# Half a character of UTF-16, as UTF-8 would write it (every driver), and a name in code page 1252 (Python's own).
HALF, CODE_PAGE = b"\xed\xa0\xbd", b"M\xfcller \x80"


@pytest.mark.parametrize(
    ("database", "piece"),
    [("sqlite", CODE_PAGE), ("sqlite-odbc", HALF)],
    ids=["code page", "half an emoji"],
    indirect=["database"],
)
@pytest.mark.parametrize("column", ["json_payload", "person_id", "api_response", "submission_status", "row_state"])
def test_text_that_cannot_be_decoded_stops_no_other_row(odd_world: World, column: str, piece: bytes) -> None:
    world = odd_world
    world.stage(5)
    text = (text_of(child("P0002")) or "").replace("Sample", "§") if column == "json_payload" else "§"
    world.database.execute(
        f"UPDATE {world.database.table} SET {column} = CAST(? AS TEXT) WHERE id = 3",
        [text.encode("utf-8").replace("§".encode(), piece)],
    )
    done = world.run(BATCH_SIZE=2)
    assert "Traceback" not in done.text
    assert "failed unexpectedly" not in done.text
    sent = world.database.rows(
        f"SELECT id FROM {world.database.table} WHERE CAST(submission_status AS BLOB) = ?", [b"sent"]
    )
    assert {row[0] for row in sent} >= {1, 2, 4, 5}
    if column in ("json_payload", "person_id"):
        assert done.code == 1, done.text
        ((status, reason),) = world.database.rows(
            f"SELECT submission_status, api_response FROM {world.database.table} WHERE id = 3"
        )
        assert (status, "decode" in reason or "encoding" in reason) == ("error", True), reason
    for command in ("status", "validate", "test-schema", "report"):
        shown = told(world, command)
        assert "failed unexpectedly" not in shown.text, (command, shown.text)
        assert "Traceback" not in shown.text, (command, shown.text)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_undecodable_answer_hides_nothing_else_of_status_and_report(odd_world: World) -> None:
    world = odd_world
    world.stage(3)
    world.database.execute(
        f"UPDATE {world.database.table} SET submission_status = 'error', api_response = CAST(? AS TEXT) WHERE id > 1",
        [b"HTTP 400 " + CODE_PAGE],
    )

    status, report = told(world, "status"), told(world, "report")

    assert (status.code, report.code) == (0, 0), status.text + report.text
    assert "(answers of which one cannot be decoded)" in status.out


# Ids


AT_ONCE = (
    "INSERT INTO {table} (id, person_id, json_payload, submission_status, row_state) VALUES (?, ?, ?, 'Pending', 'New')"
)


def put(world: World, ids: list[int | None]) -> list[str]:
    """Put in a due row for each id; return the people."""
    people = [f"N{number}" for number in range(len(ids))]
    for row_id, person in zip(ids, people, strict=True):
        world.database.execute(AT_ONCE.format(table=world.database.table), [row_id, person, text_of(child(person))])
    return people


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_lowest_negative_and_highest_ids_are_sent(odd_world: World) -> None:
    world = odd_world
    if world.database.name == "strict":
        pytest.skip("SQLite's ODBC driver, which the strict database wraps, cuts such ids: the next test")
    if world.database.name.startswith("postgresql"):
        world.database.execute(f"ALTER TABLE {world.database.table} ALTER COLUMN id TYPE BIGINT")
    put(world, [-(2**63), -(2**63) + 1, -1, 0, 2**63 - 1])
    done = world.run(BATCH_SIZE=2)
    assert done.code == 0, done.text
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}
    assert world.run().code == 0
    assert world.server.simulator.stats().records_accepted == 5


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
@pytest.mark.parametrize("ids", [[1, 2**32], [2**31], [2**32 + 1, 2**32 + 2]], ids=["among others", "one", "all"])
def test_ids_that_the_driver_cuts_are_told_before_a_run_begins(odd_world: World, ids: list[int | None]) -> None:
    put(odd_world, ids)

    for done in (
        told(odd_world, "test-schema"),
        told(odd_world, "stage"),
        odd_world.run(),
        odd_world.run("--shard", "1/1"),
    ):
        assert done.code == 3, done.text
        assert "cuts their ids and reads" in done.text

    assert odd_world.requests() == 0
    assert {row["submission_status"] for row in odd_world.rows().values()} == {"Pending"}


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_ids_at_the_end_of_32_bits_and_those_of_a_bigint_are_read_whole(odd_world: World) -> None:
    world = odd_world
    put(world, [-(2**31), 2**31 - 1])
    assert (told(world, "test-schema").code, world.run().code) == (0, 0)

    made = world.database.rows("SELECT sql FROM sqlite_master WHERE name = ?", [world.database.table])[0][0]
    world.database.execute(f"DROP TABLE {world.database.table}")
    world.database.execute(made.replace("id INTEGER PRIMARY KEY AUTOINCREMENT", "id BIGINT PRIMARY KEY"))
    put(world, [2**31, 2**63 - 1])
    assert (told(world, "test-schema").code, world.run().code) == (0, 0)
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
@pytest.mark.parametrize("args", [["validate"], ["anonymise", "--replace"]], ids=["validate", "anonymise"])
def test_ids_that_the_driver_cuts_end_other_commands_as_well(odd_world: World, args: list[str]) -> None:
    put(odd_world, [2**32 + 1, 2**32 + 2])
    done = invoke_cli(args, odd_world.environment(), odd_world.folder)
    assert done.code == 3, done.text
    assert "do not come in their order" in done.text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_lowest_id_of_its_type_is_copied_by_anonymise_as_well(odd_world: World) -> None:
    put(odd_world, [-(2**63), -(2**31), 5])

    done = invoke_cli(["anonymise", "--replace"], odd_world.environment(), odd_world.folder)

    assert done.code == 0, done.text
    assert odd_world.database.count(odd_world.database.anon_table) == 3


@pytest.mark.parametrize("ids", [[4, None, 5], [7, 7]], ids=["null", "twice"])
@pytest.mark.parametrize("mode", ["live", "testing"])
def test_table_whose_ids_are_null_or_twice_is_refused(
    database: TestDatabase, server: SimulatorServer, tmp_path: Path, ids: list[int | None], mode: str
) -> None:
    database.deploy()
    columns = ", ".join(database.columns(database.table))
    database.execute(f"CREATE TABLE copied AS SELECT {columns} FROM {database.table}")
    world = World(database, server, tmp_path, {"TABLE_NAME": "copied", "TESTING_MODE": str(mode == "testing")})
    for row_id in ids:
        database.execute(AT_ONCE.format(table="copied"), [row_id, f"N{row_id}", text_of(child("N"))])
    done = world.run()
    assert (done.code, world.requests()) == (3, 0), done.text
    assert ("have no id" in done.text) == (None in ids)
    assert ("not unique" in done.text) == (None not in ids)
    assert database.count("copied", "submission_status = 'Pending'") == len(ids)
    assert invoke_cli(["test-schema"], world.environment(), tmp_path).code == 3


# Words


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_words_with_every_kind_of_blank_are_taken(odd_world: World) -> None:
    world = odd_world
    words = ["\tpending", "ERROR\r\n", "\u00a0Testing\u00a0", "Pending\u2003", "\ufeffpending", "Error \u200b\t"]
    world.fill([staged(f"W{number}", status=word) for number, word in enumerate(words)])
    world.fill([staged("gone", status="sent", state="\tDeleted\u00a0", previous=child("gone"))])
    done = world.run()
    assert done.code == 0, done.text
    rows = world.rows()
    assert {rows[f"W{number}"]["submission_status"] for number in range(len(words))} == {"sent"}
    assert rows["gone"]["row_state"] == "deleted"
    assert world.server.simulator.stats().records_accepted == len(words) + 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("is_new_first", [False, True])
def test_deleted_person_takes_no_child_away_from_its_new_person(odd_world: World, *, is_new_first: bool) -> None:
    world = odd_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1", mis_child_id="M2"))])
    world.database.execute(f"UPDATE {world.database.table} SET row_state = 'Deleted' WHERE person_id = 'old'")
    if is_new_first:
        world.database.execute(f"UPDATE {world.database.table} SET id = -1 WHERE person_id = 'new'")
    for _ in range(2):
        done = world.run()
        assert done.code == 0, done.text
        assert world.server.simulator.held("P1") is not None
    assert "row 1 of person old, and now person new" in done.text
    if not is_new_first:
        # As LOG_KEEP_DAYS would. The old row itself says that its deletion was accepted.
        world.database.execute("DELETE FROM ssd_api_submission_log")
        assert world.run().code == 0
        assert world.server.simulator.held("P1") is not None
    world.database.execute(f"UPDATE {world.database.table} SET row_state = 'Deleted' WHERE person_id = 'new'")
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


@pytest.mark.parametrize("is_same_night", [False, True])
def test_deleted_person_takes_no_child_away_that_a_new_person_has_unchanged(
    odd_world: World, *, is_same_night: bool
) -> None:
    world = odd_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1"))])
    if is_same_night:
        world.database.execute(f"UPDATE {world.database.table} SET id = -1 WHERE person_id = 'new'")
    else:
        assert world.run("--deltas").code == 0
        assert world.rows()["new"]["api_response"] != world.rows()["old"]["api_response"]
    world.database.execute(f"UPDATE {world.database.table} SET row_state = 'Deleted' WHERE person_id = 'old'")
    for _ in range(2):
        done = world.run()
        assert done.code == 0, done.text
        assert world.server.simulator.held("P1") is not None
    assert "row 1 of person old, and now person new" in done.text


def test_child_of_a_new_person_stays_while_its_payload_cannot_be_read(odd_world: World) -> None:
    world = odd_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1"))])
    world.database.execute(f"UPDATE {world.database.table} SET row_state = 'Deleted' WHERE person_id = 'old'")
    assert world.run().code == 0
    broken = "SET json_payload = '{', submission_status = 'pending' WHERE person_id = 'new'"
    world.database.execute(f"UPDATE {world.database.table} {broken}")
    assert world.run().code == 1
    assert world.server.simulator.held("P1") is not None


def test_run_for_a_person_without_a_row_says_so(odd_world: World) -> None:
    world = odd_world
    world.fill([staged("P1")])
    assert "no row with person_id" not in world.run("--person-id", "P1").text
    done = world.run("--person-id", "P9")
    assert done.code == 0
    assert "has no row with person_id P9; give the id as the table has it" in done.text


def test_deletion_goes_from_a_table_filled_anew_after_log_retention(odd_world: World) -> None:
    world = odd_world
    world.fill([staged("P1")])
    assert world.run().code == 0
    world.database.execute(f"DELETE FROM {world.database.table}")
    world.database.execute("DELETE FROM ssd_api_submission_log")
    world.fill([staged("P1", state="Deleted")])
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


@pytest.mark.parametrize("word", ["pendign", "", None, "\u00a0", "pen ding"])
@pytest.mark.parametrize("state", ["New", None])
def test_unknown_words_are_counted_named_and_make_exit_code_1(
    world: World, word: str | None, state: str | None
) -> None:
    world.fill([staged("K1"), staged("K2", status=word, state=state), staged("K3")])
    done = world.run()
    assert done.code == 1, done.text
    assert "K2" in done.text
    assert "no run takes them" in done.text
    rows = world.rows()
    assert (rows["K1"]["submission_status"], rows["K3"]["submission_status"]) == ("sent", "sent")
    assert rows["K2"]["submission_status"] == word
    status = told(world, "status")
    assert "K2" in status.text


@pytest.mark.strict
@pytest.mark.parametrize("payload", ["", " ", "\t\r\n", "\u00a0"])
def test_rows_with_a_blank_payload_are_counted_and_named(world: World, payload: str) -> None:
    world.fill([staged("B1"), staged("B2", payload), staged("B3", payload, status="sent")])
    done = world.run()
    assert done.code == 0, done.text
    assert "1 rows would be due but have no payload" in done.text
    assert "B2" in done.text
    assert "B3" not in done.text
    assert "B2" in told(world, "status").text
    rows = world.rows()
    assert [rows[person]["submission_status"] for person in ("B1", "B2")] == ["sent", "Pending"]


def test_empty_table_is_told_and_not_called_sent(world: World) -> None:
    done = world.run()
    assert done.code == 0
    assert "d2i-csc-api stage" in done.text
    assert "sent before" not in done.text


def test_child_whose_row_is_gone_is_named_by_run_and_status(world: World) -> None:
    world.stage(4)
    assert world.run().code == 0
    world.database.execute(f"DELETE FROM {world.database.table} WHERE person_id IN ('P0001', 'P0003')")
    change(world.database, world.database.table, "P0000", submission_status="pending")
    for done in (world.run(), told(world, "status")):
        assert done.code == 0, done.text
        assert "P0001" in done.text
        assert "P0003" in done.text
        assert "P0002" not in done.text
    world.stage(1, first=1)
    assert "P0003" in world.run().text
    assert row_of(world.database, world.database.table, "P0001")["submission_status"] == "sent"
