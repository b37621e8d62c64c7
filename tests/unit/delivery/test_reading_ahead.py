"""The page that a run reads ahead: in which transaction, and what happens where it cannot be read or checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db import Connection
from api_pipeline.delivery import pages
from api_pipeline.delivery.pages import Pages
from api_pipeline.errors import DatabaseError
from api_pipeline.model import StagedRow
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import PAGE_SIZE, StagingTable
from api_pipeline.payloads.reading import Payload, read_payload
from tests.support.databases import TestDatabase
from tests.support.nights import Night, statuses
from tests.support.staging import fill, staged


def test_later_pages_are_read_in_the_transaction_of_a_write_back(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(2 * PAGE_SIZE + 1)])
    pages: list[bool] = []
    read_page, transaction = StagingTable.read_page, Connection.transaction
    depth = [0]

    @contextmanager
    def counted(self: Connection) -> Iterator[None]:
        with transaction(self):
            depth[0] += 1
            try:
                yield
            finally:
                depth[0] -= 1

    def seen(self: StagingTable, selection: Selection, after_id: int | None) -> list[StagedRow]:
        pages.append(depth[0] > 0)
        return read_page(self, selection, after_id)

    monkeypatch.setattr(Connection, "transaction", counted)
    monkeypatch.setattr(StagingTable, "read_page", seen)

    assert Night(store, tmp_path, batch_size=PAGE_SIZE).run().accepted == 2 * PAGE_SIZE + 1
    assert pages == [False, True, True], "all but the first; behind the last, which is not full, nothing is read"


def test_page_of_a_shard_is_full_though_its_rows_went_as_it_was_read(
    table: TestDatabase, store: StagingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(2 * PAGE_SIZE + 1)])
    read_rows = StagingTable.read_rows

    def emptied(self: StagingTable, ids: Sequence[int]) -> list[StagedRow]:
        table.execute(f"DELETE FROM {table.table} WHERE id <= {PAGE_SIZE}")
        return read_rows(self, ids)

    monkeypatch.setattr(StagingTable, "read_rows", emptied)

    page = store.read_page(Selection(shard=(1, 1)), None)
    assert [row.id for row in page] == list(range(PAGE_SIZE + 1, 2 * PAGE_SIZE + 1))
    assert [len(page) for page in store.pages(Selection(shard=(1, 1)))] == [PAGE_SIZE, 1]


def test_program_error_while_checking_a_page_ends_the_run_in_a_sentence(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(2 * PAGE_SIZE)])

    def fails(row: StagedRow, *args: Any) -> Payload:
        if row.id > PAGE_SIZE:
            raise ZeroDivisionError
        return read_payload(row, *args)

    monkeypatch.setattr(pages, "read_payload", fails)
    summary = Night(store, tmp_path, batch_size=PAGE_SIZE).run()

    assert [str(error) for error in summary.errors] == [
        "The program failed unexpectedly while reading (ZeroDivisionError); report it."
    ]
    assert statuses(table).count("sent") == summary.accepted, "the first page was sent, or not begun"


def test_page_that_cannot_be_read_within_a_transaction_is_read_alone(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(PAGE_SIZE + 1)])
    night = Night(store, tmp_path, batch_size=PAGE_SIZE // 2)

    def refused(_self: Pages) -> None:
        raise DatabaseError("the page cannot be read")

    monkeypatch.setattr(Pages, "read_ahead", refused)

    assert (night.run().accepted, night.summary.errors) == (PAGE_SIZE + 1, [])
