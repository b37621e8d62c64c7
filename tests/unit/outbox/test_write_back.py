"""The write-back where more rows than one are one person's, or a value or the database stands in its way.

What each outcome writes, on each kind of database, is in `tests/integration/test_write_back.py`.
"""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from api_pipeline.api_response import given
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Rejected, StagedRow
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.storable import nearest_rows
from api_pipeline.outbox.superseded import newest_only, people_with_several_rows
from api_pipeline.outbox.write_back import Destination, WriteBack
from tests.support.databases import TestDatabase
from tests.support.staging import change, fill, staged, table_rows
from tests.support.writing_back import HERE, UUID, accepted, record_of


def write_back(store: StagingTable, *, testing: bool = False) -> WriteBack:
    return WriteBack(store, Destination("run-1", "staging", HERE, True, testing), lambda text, _: text)


def newest(store: StagingTable) -> StagedRow:
    (row,) = newest_only(store.read_page(Selection(every_row=True), None), people_with_several_rows(store))
    return row


def told(table: TestDatabase) -> list[tuple[object, object]]:
    return [(row["submission_status"], row["api_response"]) for row in table_rows(table, table.table)]


def test_older_rows_are_closed_with_the_newest_that_is_accepted(table: TestDatabase, store: StagingTable) -> None:
    fill(
        table, table.table, [staged("A", status="error", response="HTTP 400"), staged("A", status="sent"), staged("A")]
    )
    writer = write_back(store)

    writer.write(1, [accepted(record_of(newest(store)))])

    assert told(table) == [("sent", "NOT SENT: superseded by row 3"), ("sent", None), ("sent", UUID)]
    assert writer.superseded == 1


def test_older_rows_stay_open_where_the_newest_changed_in_flight(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A")])
    writer, outcome = write_back(store), accepted(record_of(newest(store)))
    table.execute(f"UPDATE {table.table} SET current_hash = ? WHERE id = 2", [b"x" * 32])

    writer.write(1, [outcome])

    assert told(table) == [("Pending", None)] * 2
    assert writer.superseded == 0


def test_closed_rows_count_once_where_the_answer_to_the_commit_is_lost(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("A"), staged("A")])
    writer, outcome = write_back(store), accepted(record_of(newest(store)))

    def lose_the_answer() -> None:
        raise DatabaseError("gone")

    with pytest.raises(DatabaseError, match="gone"):
        writer.write(1, [outcome], also=lose_the_answer)
    write_back(store).write(1, [outcome])
    writer.write(1, [outcome])

    assert told(table) == [("sent", "NOT SENT: superseded by row 2"), ("sent", UUID)]
    assert writer.superseded == 1


def test_older_rows_stay_open_where_the_newest_is_refused(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A")])

    write_back(store).write(1, [Rejected(record_of(newest(store)), given("HTTP 400: wrong", 400))])

    assert told(table) == [("Pending", None), ("error", "HTTP 400: wrong")]


def test_rows_whose_newest_was_accepted_by_an_earlier_run_are_closed(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A", status="sent", response=UUID), staged("B")])
    writer = write_back(store)

    writer.close_superseded(people_with_several_rows(store).items())

    assert writer.superseded == 1
    assert told(table) == [("sent", "NOT SENT: superseded by row 2"), ("sent", UUID), ("Pending", None)]


@pytest.mark.parametrize("changes", [{"submission_status": "pending"}, {"person_id": "B"}])
def test_nothing_is_closed_where_the_newest_row_changed_meanwhile(
    table: TestDatabase, store: StagingTable, changes: dict[str, str]
) -> None:
    fill(table, table.table, [staged("A"), staged("A", status="sent")])
    people = people_with_several_rows(store)
    ((name, value),) = changes.items()
    table.execute(f"UPDATE {table.table} SET {name} = ? WHERE id = 2", [value])
    writer = write_back(store)

    writer.close_superseded(people.items())

    assert writer.superseded == 0
    assert told(table)[0] == ("Pending", None)


def test_older_row_that_is_open_no_longer_keeps_its_answer(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A"), staged("A", status="sent")])
    people = people_with_several_rows(store)
    table.execute(f"UPDATE {table.table} SET submission_status = 'sent', api_response = ? WHERE id = 1", [UUID])

    writer = write_back(store)

    writer.close_superseded(people.items())

    assert writer.superseded == 1
    assert told(table)[:2] == [("sent", UUID), ("sent", "NOT SENT: superseded by row 3")]


def test_rehearsal_closes_no_row(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A", status="sent")])

    writer = write_back(store, testing=True)

    writer.close_superseded(people_with_several_rows(store).items())

    assert writer.superseded == 0
    assert told(table)[0] == ("Pending", None)


def test_row_that_is_another_persons_by_now_is_left_and_the_record_logged(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("A")])
    outcome = accepted(record_of(newest(store)))
    change(table, table.table, "A", person_id="B")

    write_back(store).write(1, [outcome])

    assert told(table) == [("Pending", None)]
    assert [(line["person_id"], line["outcome"]) for line in table_rows(table, "ssd_api_submission_log")] == [
        ("A", "accepted")
    ]


def test_reason_is_written_in_ascii_where_the_database_needs_it(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    first, second = (
        Rejected(record_of(row), given("HTTP 400: Zoë", 400)) for row in store.read_page(Selection(), None)
    )
    writer = write_back(store)

    writer.write(1, [first], stored=nearest_rows)
    writer.write(2, [second])

    assert told(table) == [("error", "HTTP 400: Zo\\u00eb"), ("error", "HTTP 400: Zoë")]


def test_change_that_the_database_drops_without_an_error_is_no_success(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    outcomes = [accepted(record_of(row)) for row in store.read_page(Selection(), None)]
    table.execute(
        f"CREATE TRIGGER dropping BEFORE UPDATE ON {table.table} WHEN OLD.person_id = 'B' "
        "BEGIN SELECT RAISE(IGNORE); END"
    )

    with pytest.raises(DatabaseError, match="did not keep the answers of 1 of 2 rows"):
        write_back(store).write(1, outcomes)

    assert told(table) == [("Pending", None)] * 2
    assert (table.count("ssd_api_submission_log"), table.count("ssd_api_held")) == (0, 0)


def test_row_that_the_database_does_not_close_is_no_success(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A", status="sent")])
    people = people_with_several_rows(store)
    table.execute(f"CREATE TRIGGER dropping BEFORE UPDATE ON {table.table} BEGIN SELECT RAISE(IGNORE); END")

    with pytest.raises(DatabaseError, match="did not keep the answers of 1 of 1 rows"):
        write_back(store).close_superseded(people.items())


@pytest.mark.parametrize(
    ("stored", "is_kept"),
    [
        ("UPPER(api_response) || '   '", True),
        ("'0f8fad5b-d9cb-469f-a165-70867728950e'", False),
        ("NULL", False),
    ],
)
def test_receipt_may_be_padded_or_spelled_in_capitals_but_not_another(
    table: TestDatabase, store: StagingTable, stored: str, *, is_kept: bool
) -> None:
    fill(table, table.table, [staged("A")])
    outcome = accepted(record_of(newest(store)))
    table.execute(
        f"CREATE TRIGGER spelling AFTER UPDATE OF api_response ON {table.table} "
        f"BEGIN UPDATE {table.table} SET api_response = {stored} WHERE id = NEW.id; END"
    )

    with nullcontext() if is_kept else pytest.raises(DatabaseError, match="did not keep the answers of 1 of 1 rows"):
        write_back(store).write(1, [outcome])

    assert told(table)[0][0] == ("sent" if is_kept else "Pending")


def test_failed_write_leaves_nothing_and_is_logged_once_when_repeated(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    outcome = accepted(record_of(newest(store)))
    writer = write_back(store)

    def fail() -> None:
        raise DatabaseError("The database went away.")

    with pytest.raises(DatabaseError):
        writer.write(1, [outcome], also=fail)
    assert told(table) == [("Pending", None)]
    assert (table.count("ssd_api_submission_log"), table.count("ssd_api_held")) == (0, 0)

    writer.write(1, [outcome])
    assert told(table) == [("sent", UUID)]
    assert (table.count("ssd_api_submission_log"), table.count("ssd_api_held")) == (1, 1)


def test_write_that_was_committed_though_it_failed_is_not_repeated(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    outcome = accepted(record_of(newest(store)))
    writer = write_back(store)

    def fail() -> None:
        raise DatabaseError("The answer of the commit was lost.")

    with pytest.raises(DatabaseError):
        writer.write(1, [outcome], also=fail)
    # As if the database had committed all the same: the same lines of the same run and batch are there.
    write_back(store).write(1, [outcome])

    writer.write(1, [outcome])

    assert table.count("ssd_api_submission_log") == 1


def test_rows_of_any_status_are_made_due_except_deleted_ones(table: TestDatabase, store: StagingTable) -> None:
    statuses = ["sent", " SENT ", "archived", None, "error", "Pending"]
    fill(table, table.table, [staged(str(number), status=status) for number, status in enumerate(statuses)])
    fill(table, table.table, [staged("9", status="sent", state="Deleted")])

    store.mark_due_again([row.id for row in store.read_page(Selection(every_row=True), None)])

    assert [row["submission_status"] for row in table_rows(table, table.table)] == [
        *["pending"] * 4,
        "error",
        "Pending",
        "sent",
    ]
