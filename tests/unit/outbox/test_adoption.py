"""Adoption: what rows of a table that came without control tables say was sent, and how it is recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.adoption import Adopted, adopt, adopted_baselines, record_adopted, sent_payloads
from api_pipeline.outbox.baselines import OVERTAKEN, Baselines
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import newest_only, people_with_several_rows
from api_pipeline.payloads.reading import sha256_hex
from tests.support.databases import TestDatabase
from tests.support.staging import child, fill, staged, table_rows, text_of

HERE = "https://receiver.example/1"
AT = datetime(2026, 11, 1, 2, 0, 0)  # noqa: DTZ001 - the control tables' times are UTC without a zone
RECEIPT = "0f8fad5b-d9cb-469f-a165-70867728950e"
EVERY_ROW = Selection(every_row=True)


def put_acceptance(store: StagingTable, person: str) -> None:
    line = (1, person, person, "h" * 64, RECEIPT)
    shared = ("run-1", 1, "staging", AT, "full", 200, "accepted")
    store.write_rows("insert_log", (int, str, str, str, str), [line], shared)


def of_children(store: StagingTable, children: dict[int, str]) -> list[tuple[StagedRow, str]]:
    return [(row, children[row.id]) for row in store.read_page(EVERY_ROW, None)]


def adopted_from(store: StagingTable) -> dict[int, Adopted]:
    return adopted_baselines(store, newest_only(store.read_page(EVERY_ROW, None), people_with_several_rows(store)))


def test_previous_payload_was_sent_where_the_row_is_sent_or_has_a_receipt(
    table: TestDatabase, store: StagingTable
) -> None:
    rows = [
        staged("A", status="sent", previous=child("A")),
        staged("B", status="pending", previous=child("B"), response=RECEIPT),
        staged("C", status="error", previous=child("C"), response=f"refused (sent before: {RECEIPT})"),
        staged("D", status="pending", previous=child("D"), response="HTTP 400: malformed"),
        staged("E", status="sent"),
    ]
    fill(table, table.table, rows)

    sent = sent_payloads(store, store.read_page(EVERY_ROW, None), has_log=False)

    assert sent == {1: text_of(child("A")), 2: text_of(child("B")), 3: text_of(child("C"))}


def test_person_with_an_acceptance_in_the_log_is_left_out(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(person, status="sent", previous=child(person)) for person in "AB"])
    put_acceptance(store, "A")
    rows = store.read_page(EVERY_ROW, None)

    assert set(sent_payloads(store, rows, has_log=True)) == {2}
    assert set(sent_payloads(store, rows, has_log=False)) == {1, 2}


def test_rows_without_a_person_are_adopted_each_for_itself(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(None, child("B"), status="sent", previous=child("B"))])
    put_acceptance(store, "")

    (row,) = store.read_page(EVERY_ROW, None)

    assert adopt(store, HERE, [(row, "B")], is_recording=False) == {row.id: Baseline(text_of(child("B")), None)}


def test_row_without_a_person_is_not_believed_of_a_child_in_the_log(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(None, child("B"), status="sent", previous=child("B"))])
    line = (1, "", "B", "h" * 64, RECEIPT)
    store.write_rows(
        "insert_log", (int, str, str, str, str), [line], ("run-1", 1, "staging", AT, "full", 200, "accepted")
    )

    assert adopt(store, HERE, of_children(store, {1: "B"}), is_recording=False) == {}


def test_baseline_is_adopted_with_the_receipt_of_the_row(table: TestDatabase, store: StagingTable) -> None:
    fill(
        table, table.table, [staged("A", previous=child("A", legal_status="C1"), response=f" {RECEIPT} "), staged("B")]
    )

    held = text_of(child("A", legal_status="C1")) or ""
    assert adopted_from(store) == {1: Adopted("A", Baseline(held, RECEIPT))}


def test_child_is_the_one_that_was_sent_and_not_the_person_of_the_row(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", status="sent", previous=child("B"))])

    assert adopted_from(store)[1].child == "B"


def test_previous_payload_without_a_child_is_adopted_for_nobody(table: TestDatabase, store: StagingTable) -> None:
    fill(
        table,
        table.table,
        [staged("A", status="sent", previous="{broken"), staged("B", status="sent", previous={"a": 1})],
    )

    assert [one.child for one in adopted_from(store).values()] == ["", ""]


def test_older_row_says_what_was_sent_where_the_newest_is_new(table: TestDatabase, store: StagingTable) -> None:
    rows = [
        staged("A", status="error", previous=child("A", legal_status="old"), response=RECEIPT.replace("0", "1")),
        staged("A", status="error", previous=child("A", legal_status="newer"), response=RECEIPT),
        staged("A"),
    ]
    fill(table, table.table, rows)

    held = text_of(child("A", legal_status="newer")) or ""
    assert adopted_from(store) == {3: Adopted("A", Baseline(held, RECEIPT))}


@pytest.mark.parametrize("previous", [None, child("A", legal_status="staged, never sent")])
def test_older_row_that_is_sent_says_so_for_a_newest_row_that_was_not(
    table: TestDatabase, store: StagingTable, previous: Any
) -> None:
    rows = [
        staged("A", status="error", previous=child("A", legal_status="oldest"), response=RECEIPT.replace("0", "1")),
        staged("A", status="sent", previous=child("A", legal_status="sent"), response=RECEIPT),
        staged("A", previous=previous),
    ]
    fill(table, table.table, rows)

    held = text_of(child("A", legal_status="sent")) or ""
    assert adopted_from(store)[3] == Adopted("A", Baseline(held, RECEIPT))


def test_newest_row_that_was_sent_itself_is_believed_before_older_ones(
    table: TestDatabase, store: StagingTable
) -> None:
    rows = [
        staged("A", status="error", previous=child("A", legal_status="old"), response=RECEIPT),
        staged("A", previous=child("A", legal_status="newest"), response=RECEIPT),
    ]
    fill(table, table.table, rows)

    assert adopted_from(store)[2].baseline.held == text_of(child("A", legal_status="newest"))


def test_adopted_baselines_are_recorded_with_their_hash_and_receipt(table: TestDatabase, store: StagingTable) -> None:
    record_adopted(store, HERE, {"A": Baseline('{"a":1}', RECEIPT), "B": Baseline("{}")})

    lines = table_rows(table, "ssd_api_held", "la_child_id")
    assert [(line["receiver"], line["la_child_id"], line["held_payload"], line["receipt"]) for line in lines] == [
        (HERE, "A", '{"a":1}', RECEIPT),
        (HERE, "B", "{}", None),
    ]
    assert [line["held_hash"] for line in lines] == [sha256_hex('{"a":1}'), sha256_hex("{}")]


@pytest.mark.parametrize(("text", "receipt"), [('{"sent":1}', RECEIPT), ("", OVERTAKEN)])
def test_what_is_recorded_or_overtaken_already_stays_and_the_others_are_added(
    table: TestDatabase, store: StagingTable, text: str, receipt: str
) -> None:
    Baselines(store, HERE).insert([("A", text, "", receipt, AT)])

    record_adopted(store, HERE, {"A": Baseline('{"adopted":1}'), "B": Baseline('{"adopted":2}')})

    lines = table_rows(table, "ssd_api_held", "la_child_id")
    assert [(line["held_payload"], line["receipt"]) for line in lines] == [(text, receipt), ('{"adopted":2}', None)]


def test_same_child_at_another_receiver_is_recorded_beside_it(table: TestDatabase, store: StagingTable) -> None:
    Baselines(store, "elsewhere").insert([("A", "{}", "", RECEIPT, AT)])

    record_adopted(store, HERE, {"A": Baseline('{"adopted":1}')})

    assert table.count("ssd_api_held") == 2
    assert Baselines(store, HERE).read(["A"])["A"].held == '{"adopted":1}'


def test_rows_of_a_page_are_adopted_once_and_recorded(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", previous=child("A"), response=RECEIPT), staged("B")])
    unknown = of_children(store, {1: "A", 2: "B"})

    rehearsed = adopt(store, HERE, unknown, is_recording=False)
    assert table.count("ssd_api_held") == 0
    adopted = adopt(store, HERE, unknown, is_recording=True)
    again = adopt(store, HERE, unknown, is_recording=True)

    held = text_of(child("A")) or ""
    assert rehearsed == {1: Baseline(held, RECEIPT)}
    assert adopted == again == {1: Baseline(held, RECEIPT)} == {1: Baselines(store, HERE).read(["A"])["A"]}


def test_first_of_two_rows_that_say_something_of_one_child_is_believed(
    table: TestDatabase, store: StagingTable
) -> None:
    said = [child("X"), child("X", legal_status="C1")]
    fill(
        table,
        table.table,
        [staged(person, status="sent", previous=one) for person, one in zip("AB", said, strict=True)],
    )

    adopted = adopt(store, HERE, of_children(store, {1: "X", 2: "X"}), is_recording=True)

    assert [one.held for one in adopted.values()] == [text_of(said[0])] * 2
    assert Baselines(store, HERE).read(["X"])["X"].held == text_of(said[0])


def test_deleted_row_counts_behind_living_ones_and_is_not_recorded(table: TestDatabase, store: StagingTable) -> None:
    rows = [
        staged("A", state="deleted", status="sent", previous=child("X", legal_status="C1")),
        staged("B", status="sent", previous=child("X")),
        staged("C", state="deleted", status="sent", previous=child("Y")),
    ]
    fill(table, table.table, rows)

    adopted = adopt(store, HERE, of_children(store, {1: "X", 2: "X", 3: "Y"}), is_recording=True)

    assert [one.held for one in adopted.values()] == [text_of(child(one)) for one in "XXY"]
    assert set(Baselines(store, HERE).read(["X", "Y"])) == {"X"}


def test_what_was_sent_of_another_child_is_recorded_for_that_one_alone(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged("A", status="sent", previous=child("B"))])

    assert adopt(store, HERE, of_children(store, {1: "A"}), is_recording=True) == {}
    assert set(Baselines(store, HERE).read(["A", "B"])) == {"B"}


@pytest.mark.parametrize("now", ["A", "B", ""])
@pytest.mark.parametrize("is_in_doubt", [False, True])
def test_what_was_sent_of_a_child_whom_another_receiver_may_hold_was_sent_there(
    table: TestDatabase, store: StagingTable, now: str, *, is_in_doubt: bool
) -> None:
    fill(table, table.table, [staged("A", status="sent", previous=child("A"))])
    elsewhere = Baselines(store, "elsewhere")
    if is_in_doubt:
        elsewhere.mark_in_doubt("run-1", [("A", "")], [])
    else:
        elsewhere.insert([("A", "{}", "", RECEIPT, AT)])

    assert adopt(store, HERE, of_children(store, {1: now}), is_recording=True) == {}
    assert Baselines(store, HERE).read(["A", "B"]) == {}


@pytest.mark.parametrize(
    ("before", "accepted", "is_adopted"),
    [
        ("https://elsewhere.example/1", 1, False),
        ("https://elsewhere.example/1", 0, True),
        ("https://elsewhere-test.example/1", 1, True),
        ("http://127.0.0.1:8080/1", 1, True),
        (HERE, 1, True),
    ],
)
def test_what_another_tool_sent_went_to_the_first_receiver_of_the_table(
    table: TestDatabase, store: StagingTable, before: str, accepted: int, *, is_adopted: bool
) -> None:
    fill(table, table.table, [staged("A", status="sent", previous=child("A"))])
    for day, receiver, count in ((1, before, accepted), (2, HERE, 1), (3, "https://later.example/1", 1)):
        at, run_id = AT.replace(day=day), f"run-{day}"
        store.execute("insert_run", [run_id, store.tables.staging, receiver, "live", "full", None, at])
        # Nothing to send is no answer: a wrong address may have been given to that run.
        store.execute("finish_run", [at, count + 1, count, 0, 0, 0, 1, 0, 0, None, run_id])

    adopted = adopt(store, HERE, of_children(store, {1: "A"}), is_recording=False)

    assert (1 in adopted) == is_adopted
