"""The survey: what no run takes is counted and named before a run, and a table that cannot be used is refused."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import (
    check_ids,
    count_blank_payloads,
    count_children_without_row,
    count_what_no_run_takes,
    survey,
    try_to_write,
)
from api_pipeline.run_summary import Counts
from tests.support.databases import TestDatabase
from tests.support.staging import child, fill, staged

HERE = "https://receiver.example/1"
AT = datetime(2026, 11, 1, 2, 0, 0)  # noqa: DTZ001 - the control tables' times are UTC without a zone


@pytest.fixture
def nullable(table: TestDatabase, store: StagingTable) -> StagingTable:
    """Return a staging table like the older builds': any column may be null, and none is a key."""
    table.execute(f"CREATE TABLE older AS SELECT * FROM {table.table} WHERE 1 = 0")
    table.execute(f"DROP TABLE {table.table}")
    table.execute(f"ALTER TABLE older RENAME TO {table.table}")
    return store


def put_held(store: StagingTable, *children: str, receiver: str = HERE) -> None:
    Baselines(store, receiver).insert([(child, "{}", "", None, AT) for child in children])


def test_rows_are_counted_by_their_words_as_they_are_compared(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B", status=" PENDING "), staged("C", status="sent", state=None)])

    assert survey(store).words == {("new", "pending"): 2, ("", "sent"): 1}


@pytest.mark.parametrize("newest", [("unchanged", "sent"), ("new", "pending"), ("deleted", "error"), (None, None)])
def test_words_are_counted_right_whatever_most_rows_have(
    table: TestDatabase, store: StagingTable, newest: tuple[str | None, str | None]
) -> None:
    states = ("new", "NEW", " updated", "unchanged", "deleted", "odd", "", None)
    pairs = [(state, status) for state in states for status in ("pending", "Sent", "error", "on hold", None)]
    pairs = [*pairs, ("unchanged", "sent"), *pairs[::3], *[newest] * 60]
    fill(table, table.table, [staged(str(n), state=a, status=b) for n, (a, b) in enumerate(pairs)])

    assert survey(store).words == Counter(((a or "").strip().lower(), (b or "").strip().lower()) for a, b in pairs)


def test_unknown_words_are_counted_with_a_person_of_each(table: TestDatabase, store: StagingTable) -> None:
    words = {"A": "Pending", "B": "on hold", "C": "On Hold", "D": None, "E": "sent", "F": "error", "G": "testing"}
    fill(table, table.table, [staged(person, status=status) for person, status in words.items()])
    counts = Counts()

    found = survey(store)
    count_what_no_run_takes(store, found, counts)

    assert found.unknown == {"on hold": 2, "": 1}
    assert counts.unknown_status == 3
    assert sorted(counts.examples["unknown_status"])[0] == '"(blank)" of person D'
    assert sorted(counts.examples["unknown_status"])[1][:19] == '"on hold" of person'
    table.execute(f"UPDATE {table.table} SET person_id = NULL WHERE person_id = 'D'")
    assert survey(store).examples[""] == "(no person id)"


def test_word_of_a_deleted_row_is_never_unknown(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", status="on hold", state=" Deleted ")])

    assert survey(store).unknown == {}


def test_words_with_blanks_that_sql_does_not_strip_are_listed(table: TestDatabase, store: StagingTable) -> None:
    statuses = ["pending", "  Error ", "pending\t", "\u00a0error", "odd\t"]
    fill(table, table.table, [staged(str(place), status=status) for place, status in enumerate(statuses)])
    fill(table, table.table, [staged("A", state="deleted\n"), staged("B", state=" Deleted")])

    found = survey(store)

    assert found.odd_statuses == ("pending\t", "\u00a0error")
    assert found.odd_states == ("deleted\n",)


def test_due_rows_without_a_payload_are_counted_and_named(table: TestDatabase, nullable: StagingTable) -> None:
    rows = [
        staged("A", payload=None),
        staged(None, payload=None, status="error"),
        staged("C", payload=None, status="sent"),
        staged("D", payload=None, state="deleted"),
        staged("E"),
    ]
    fill(table, table.table, rows)
    counts = Counts()

    count_what_no_run_takes(nullable, survey(nullable), counts)

    assert counts.blank == 2
    assert sorted(counts.examples["blank"]) == ["(no person id)", "A"]


def test_due_rows_with_a_blank_payload_are_added_to_those_without(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(person, payload=" \n ") for person in "ABC"])
    fill(table, table.table, [staged("D"), staged("E", payload=" ", status="sent"), staged("F", payload="{}")])
    counts = Counts(blank=2, examples={"blank": ["X", "Y", "Z"]})

    count_blank_payloads(store, counts)

    assert counts.blank == 5
    assert counts.examples["blank"] == ["X", "Y", "Z", "A", "B"]


def test_blank_payload_of_a_row_without_a_person_is_named_so(table: TestDatabase, nullable: StagingTable) -> None:
    fill(table, table.table, [staged(None, payload=" ")])
    counts = Counts()

    count_blank_payloads(nullable, counts)

    assert counts.examples["blank"] == ["(no person id)"]


def test_payload_that_cannot_be_decoded_leaves_the_blank_ones_uncounted(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("A", payload=" "), staged("B")])
    table.execute(f"UPDATE {table.table} SET json_payload = CAST(? AS TEXT) WHERE person_id = 'B'", [b" \xff"])
    counts = Counts()

    count_blank_payloads(store, counts)

    assert counts.blank == 0


def test_table_with_an_id_for_each_row_is_taken(table: TestDatabase, store: StagingTable) -> None:
    check_ids(store)
    fill(table, table.table, [staged("A"), staged("B")])

    check_ids(store)


@pytest.mark.parametrize(("ids", "what"), [([1, None, None], "2 rows have no id"), ([1, 1, 2], "1 id is not unique")])
def test_table_with_rows_without_an_id_of_their_own_is_refused(
    table: TestDatabase, nullable: StagingTable, ids: list[int | None], what: str
) -> None:
    for row_id in ids:
        table.execute(f"INSERT INTO {table.table} (id, person_id) VALUES (?, 'A')", [row_id])

    with pytest.raises(DatabaseError, match=f"ssd_api_data_staging.* cannot be used: {what}"):
        check_ids(nullable)


def test_children_that_are_held_without_a_row_are_counted_and_five_named(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    put_held(store, *"AGFEDCHI")
    put_held(store, "Z", receiver="elsewhere")
    counts = Counts()

    count_children_without_row(store, HERE, counts)

    assert counts.held_without_row == 7
    assert counts.examples["held_without_row"] == ["C", "D", "E", "F", "G"]


def held_without_row(store: StagingTable) -> int:
    counts = Counts()
    count_children_without_row(store, HERE, counts)
    return counts.held_without_row


def put_in_doubt(table: TestDatabase, *children: str) -> None:
    for child_id in children:
        mark = [HERE, child_id, "", "run-1", AT.isoformat()]
        table.execute(
            "INSERT INTO ssd_api_unconfirmed (receiver, la_child_id, payload_hash, run_id, begun_at) "
            "VALUES (?, ?, ?, ?, ?)",
            mark,
        )


def put_in_log(table: TestDatabase, store: StagingTable, *lines: tuple[int, str, str]) -> None:
    """Log acceptances: of a row's id, a person and a child."""
    shared = ("run-1", 1, table.table, AT, "full", 200, "accepted")
    rows = [(*line, "h" * 64, "receipt") for line in lines]
    store.write_rows("insert_log", (int, str, str, str, str), rows, shared)


def test_child_in_doubt_without_a_row_is_counted_once(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    put_in_log(table, store, (1, "A", "A"))
    put_held(store, "B")
    put_in_doubt(table, *"ABC")

    assert held_without_row(store) == 2


def test_child_of_another_id_than_its_persons_is_not_without_a_row_before_it_is_logged(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("1", child("A")), staged("2", child("B")), staged(None, child("C"))])
    # B and C are being sent for the first time. E was sent by a person who has no row any more, and is in doubt.
    put_in_log(table, store, (1, "1", "A"), (7, "7", "E"))
    put_held(store, "A")
    put_in_doubt(table, *"ABCE")

    assert held_without_row(store) == 1


def test_child_whose_row_is_named_by_its_person_is_not_without_a_row(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B", status="sent", state="deleted")])
    put_held(store, "A", "B")

    assert held_without_row(store) == 0


def test_child_whose_row_names_no_person_is_not_without_a_row(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(None, child("A")), staged("B")])
    put_in_log(table, store, (1, "", "A"), (2, "", "C"))
    put_held(store, *"ABC")

    assert held_without_row(store) == 1


def test_tables_that_cannot_be_asked_name_no_child(table: TestDatabase, store: StagingTable) -> None:
    table.execute("DROP TABLE ssd_api_held")

    assert held_without_row(store) == 0


def test_embedded_database_is_not_tried_by_writing(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    table.execute(f"CREATE TRIGGER keeps BEFORE UPDATE ON {table.table} BEGIN SELECT RAISE(ABORT, 'no'); END")

    try_to_write(store)

    assert [row.api_response for row in store.read_page(Selection(), None)] == [None]
