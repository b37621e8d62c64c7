"""Rows as people and tools leave them: texts in pieces, odd ids, words with blanks, no payload (contract 3).

No due row is passed over in silence, and none stops another.
"""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.support.staging import child, staged, text_of
from tests.support.world import World

# Half a character of UTF-16, as UTF-8 would write it (every driver), and a name in code page 1252 (Python's own).
HALF, CODE_PAGE = b"\xed\xa0\xbd", b"M\xfcller \x80"


@pytest.mark.parametrize(
    ("database", "piece"),
    [("sqlite", CODE_PAGE), ("sqlite-odbc", HALF)],
    ids=["code page", "half an emoji"],
    indirect=["database"],
)
@pytest.mark.parametrize("column", ["json_payload", "person_id", "api_response", "submission_status", "row_state"])
def test_text_that_cannot_be_decoded_stops_no_other_row(deployed_world: World, column: str, piece: bytes) -> None:
    world = deployed_world
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
        shown = world.command(command)
        assert "failed unexpectedly" not in shown.text, (command, shown.text)
        assert "Traceback" not in shown.text, (command, shown.text)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_undecodable_answer_hides_nothing_else_of_status_and_report(deployed_world: World) -> None:
    world = deployed_world
    world.stage(3)
    world.database.execute(
        f"UPDATE {world.database.table} SET submission_status = 'error', api_response = CAST(? AS TEXT) WHERE id > 1",
        [b"HTTP 400 " + CODE_PAGE],
    )

    status, report = world.command("status"), world.command("report")

    assert (status.code, report.code) == (0, 0), status.text + report.text
    assert "(answers of which one cannot be decoded)" in status.out


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_words_with_every_kind_of_blank_are_taken(deployed_world: World) -> None:
    world = deployed_world
    words = ["\tpending", "ERROR\r\n", "\u00a0Testing\u00a0", "Pending\u2003", "\ufeffpending", "Error \u200b\t"]
    world.fill([staged(f"W{number}", status=word) for number, word in enumerate(words)])
    world.fill([staged("gone", status="sent", state="\tDeleted\u00a0", previous=child("gone"))])
    done = world.run()
    assert done.code == 0, done.text
    rows = world.rows()
    assert {rows[f"W{number}"]["submission_status"] for number in range(len(words))} == {"sent"}
    assert rows["gone"]["row_state"] == "deleted"
    assert world.server.simulator.stats().records_accepted == len(words) + 1


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_validate_and_requeue_take_words_with_every_kind_of_blank(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("V1", status="\tpending"), staged("V2", status="Error \u200b\t"), staged("V3", status="error")])
    assert "Checked 3 payloads" in world.command("validate").out
    assert "1 row was put back" in world.command("requeue", "--person-id", "V2").out
    assert world.rows()["V2"]["submission_status"] == "pending"
    assert "1 row was put back" in world.command("requeue").out
    assert world.rows()["V1"]["submission_status"] == "\tpending"


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_status_counts_rows_whose_words_have_odd_blanks(deployed_world: World) -> None:
    world = deployed_world
    since = datetime(2026, 1, 2, 3, 4)  # noqa: DTZ001 - the column has no zone
    world.fill([staged("O1", status="pending\t", last_updated=since), staged("O2")])
    world.fill([staged("E1", status="\u00a0Error", response="HTTP 400: x"), staged("E2", status="error")])
    found = json.loads(world.command("status", "--json").out)
    assert found["oldest_pending"].startswith("2026-01-02 03:04")
    assert sum(error["rows"] for error in found["errors"]) == 2


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_superseded_deleted_row_stays_deleted_whatever_its_blanks(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("S", state="deleted\t", previous=child("S")), staged("S", state="new")])
    assert world.run().code == 0
    states = world.database.rows(f"SELECT submission_status, row_state FROM {world.database.table} ORDER BY id")
    assert [tuple(row) for row in states] == [("sent", "deleted\t"), ("sent", "unchanged")]


def test_run_for_a_person_without_a_row_says_so(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("P1")])
    assert "no row with person_id" not in world.run("--person-id", "P1").text
    done = world.run("--person-id", "P9")
    assert done.code == 0
    assert "has no row with person_id P9; give the id as the table has it" in done.text


def test_run_for_a_person_of_another_shard_says_so(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("P1")])
    runs = [world.run("--person-id", "P1", "--shard", shard).text for shard in ("1/2", "2/2")]
    said = ["the rows of person_id P1 are not in shard" in text for text in runs]
    assert sorted(said) == [False, True]
    assert "Result: nothing was due" in runs[said.index(True)]


@pytest.mark.parametrize("word", ["pendign", "", None, "\u00a0", "pen ding"])
@pytest.mark.parametrize("state", ["New", None])
def test_unknown_words_are_counted_named_and_make_exit_code_1(
    world: World, word: str | None, state: str | None
) -> None:
    world.fill([staged("K1"), staged("K2", status=word, state=state), staged("K3")])
    done = world.run()
    assert done.code == 1, done.text
    assert "K2" in done.text
    assert "no run takes it" in done.text
    rows = world.rows()
    assert (rows["K1"]["submission_status"], rows["K3"]["submission_status"]) == ("sent", "sent")
    assert rows["K2"]["submission_status"] == word
    status = world.command("status")
    assert "K2" in status.text


@pytest.mark.strict
@pytest.mark.parametrize("payload", ["", " ", "\t\r\n", "\u00a0"])
def test_rows_with_a_blank_payload_are_counted_and_named(world: World, payload: str) -> None:
    world.fill([staged("B1"), staged("B2", payload), staged("B3", payload, status="sent")])
    done = world.run()
    assert done.code == 0, done.text
    assert "1 row would be due but has no payload" in done.text
    assert "B2" in done.text
    assert "B3" not in done.text
    assert "B2" in world.command("status").text
    rows = world.rows()
    assert [rows[person]["submission_status"] for person in ("B1", "B2")] == ["sent", "Pending"]


def test_empty_table_is_told_and_not_called_sent(world: World) -> None:
    done = world.run()
    assert done.code == 0
    assert "d2i-csc-api stage" in done.text
    assert "sent before" not in done.text
