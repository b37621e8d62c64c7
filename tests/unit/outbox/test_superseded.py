"""Several rows of one person: the newest is due alone, and knows which older ones it supersedes."""

from __future__ import annotations

from api_pipeline.api_response import superseded
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import RowsOfPerson, newest_only, people_with_several_rows, superseded_before
from tests.support.databases import TestDatabase
from tests.support.rows import due_row
from tests.support.staging import fill, staged


def test_only_people_with_more_than_one_row_are_found(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B"), staged("A"), staged("B"), staged("C")])

    found = people_with_several_rows(store)

    assert found == {"A": RowsOfPerson(3, False, (1,)), "B": RowsOfPerson(4, False, (2,))}


def test_one_persons_rows_are_found_without_those_of_others(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B"), staged("A"), staged("B")])

    assert people_with_several_rows(store, "B") == {"B": RowsOfPerson(4, False, (2,))}
    assert people_with_several_rows(store, "C") == {}


def test_older_rows_are_open_by_their_status_and_only_with_a_payload(table: TestDatabase, store: StagingTable) -> None:
    statuses = ["Pending", " ERROR ", "testing", "sent", "on hold", None, "Sent"]
    fill(table, table.table, [staged("A", status=status) for status in statuses])
    fill(table, table.table, [staged("B", payload="  "), staged("B")])

    found = people_with_several_rows(store)

    assert found["A"] == RowsOfPerson(newest=7, is_sent=True, open_ids=(1, 2, 3), sent_before=4)
    assert found["B"].open_ids == ()


def test_newest_row_without_a_payload_is_not_called_sent(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("A", payload="", status="sent")])

    assert people_with_several_rows(store) == {"A": RowsOfPerson(2, False, (1,))}


def test_rows_without_a_person_are_never_taken_for_one_person(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(person) for person in ("", "", "  ", "  ", None, None)])

    assert people_with_several_rows(store) == {}


def test_superseded_rows_are_left_out_and_the_newest_knows_them() -> None:
    rows = [due_row(number, person_id=person) for number, person in enumerate("ABAA", 1)]

    kept = newest_only(rows, {"A": RowsOfPerson(4, False, (3,), 1)})

    assert [(one.id, one.supersedes, one.sent_before) for one in kept] == [(2, (), None), (4, (3,), 1)]


def test_row_that_was_added_after_the_look_is_kept() -> None:
    (kept,) = newest_only([due_row(9, person_id="A")], {"A": RowsOfPerson(4, False, (1,))})

    assert (kept.id, kept.supersedes) == (9, ())


def test_people_to_close_have_a_sent_newest_row_and_open_older_ones() -> None:
    people = {
        "sent": RowsOfPerson(2, True, (1,)),
        "due": RowsOfPerson(4, False, (3,)),
        "closed": RowsOfPerson(6, True, ()),
    }

    assert list(superseded_before(people, Selection())) == [("sent", people["sent"])]


def test_each_shard_closes_the_people_of_its_own_share() -> None:
    people = {f"P{number}": RowsOfPerson(number, True, (0,)) for number in range(1, 40)}

    shares = [{name for name, _ in superseded_before(people, Selection(shard=(part, 3)))} for part in (1, 2, 3)]

    assert all(shares)
    assert set.union(*shares) == set(people)
    assert sum(map(len, shares)) == len(people)


def test_answer_to_a_superseded_row_names_the_newest() -> None:
    assert superseded(17) == "NOT SENT: superseded by row 17"
