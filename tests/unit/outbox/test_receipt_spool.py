"""The receipt spool: receipts kept in a file until the next run; only lines that this program wrote are believed."""

from __future__ import annotations

import json
import logging
import os
import stat
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from api_pipeline.api_response import given
from api_pipeline.errors import DatabaseError
from api_pipeline.model import DeliveryFailed, RecordKind
from api_pipeline.outbox.receipt_spool import ReceiptSpool, SpooledReceipt, parsed
from api_pipeline.payloads.reading import sha256_hex
from tests.support.rows import accepted_row

AT = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - the receiver gives no zone

RECEIPT = SpooledReceipt(
    run_id="7d1c2f5e-0000-4000-8000-000000000001",
    batch=1,
    receiver="https://receiver.example/1",
    row_id=-5,
    person_id="P1",
    la_child_id="P1",
    kind="full",
    payload_hash="a" * 64,
    sent_hash="b" * 64,
    http_code=200,
    receipt="0f8fad5b-d9cb-469f-a165-70867728950e",
    received_at="2026-11-27T02:00:00+00:00",
)
LINE = json.dumps(RECEIPT._asdict())


@pytest.fixture
def spool(tmp_path: Path) -> ReceiptSpool:
    return ReceiptSpool(tmp_path / "spool", "dbo.staging", "sql01")


def put(spool: ReceiptSpool, text: str) -> None:
    spool.path.parent.mkdir(exist_ok=True)
    spool.path.write_text(text, encoding="utf-8")


def set_aside(spool: ReceiptSpool) -> list[Path]:
    return list(spool.path.parent.glob("set-aside-*"))


def test_line_as_it_was_written_is_read(spool: ReceiptSpool) -> None:
    put(spool, f"{LINE}\n\n{LINE}")

    assert spool.read() == [RECEIPT, RECEIPT]
    assert set_aside(spool) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"row_id": "5"},
        {"row_id": True},
        {"row_id": 10**30},
        {"batch": None},
        {"kind": "everything"},
        {"payload_hash": "a" * 63},
        {"sent_hash": "B" * 64},
        {"received_at": "yesterday"},
        {"received_at": 5},
        {"receipt": ""},
        {"receipt": "x\x1b[2J"},
        {"receipt": "x" * 2000},
        {"person_id": ["P1"]},
        {"more": 1},
    ],
)
def test_line_with_a_member_of_another_form_is_not_a_receipt(changes: dict[str, object]) -> None:
    assert parsed(json.dumps({**RECEIPT._asdict(), **changes})) is None


def test_bad_line_is_set_aside_and_named_and_the_others_are_read(
    spool: ReceiptSpool, caplog: pytest.LogCaptureFixture
) -> None:
    put(spool, f'{LINE}\n{{"run_id": 5}}\n{"[" * 5000}\n\udcff\n{LINE}\n'.encode("utf-8", "replace").decode())

    with caplog.at_level(logging.WARNING):
        assert spool.read() == [RECEIPT, RECEIPT]

    (aside,) = set_aside(spool)
    assert f"the program moved 3 lines without a receipt from {spool.path} to {aside}" in caplog.text
    assert len(aside.read_text("utf-8").splitlines()) == 3
    assert os.name != "posix" or aside.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="links and owners as POSIX has them")
def test_link_in_place_of_the_file_is_neither_read_nor_written(
    spool: ReceiptSpool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "target"
    target.write_text(LINE + "\n", encoding="utf-8")
    spool.path.parent.mkdir()
    spool.path.symlink_to(target)

    assert spool.read() == []
    spool.keep([RECEIPT])

    assert str(spool.path) in caplog.text
    assert target.read_text("utf-8") == LINE + "\n"
    assert spool.read() == [RECEIPT]
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_file_of_another_account_is_set_aside(spool: ReceiptSpool) -> None:
    put(spool, LINE + "\n")
    os.chown(spool.path, 12345, -1)

    assert spool.read() == []
    assert len(set_aside(spool)) == 1


def test_nothing_waits_at_the_name_of_the_file_that_is_written_first(spool: ReceiptSpool, tmp_path: Path) -> None:
    put(spool, LINE + "\n")
    spool.path.with_suffix(".new").write_text("untouched", encoding="utf-8")

    spool.keep([RECEIPT])

    assert spool.path.with_suffix(".new").read_text("utf-8") == "untouched"
    assert list(spool.path.parent.glob(f".{spool.path.name}.*")) == []


def test_file_that_cannot_be_replaced_leaves_nothing_beside_it(spool: ReceiptSpool) -> None:
    (spool.path / "in the way").mkdir(parents=True)

    with pytest.raises(IsADirectoryError if os.name == "posix" else PermissionError):
        spool.keep([RECEIPT])

    assert list(spool.path.parent.iterdir()) == [spool.path]


def test_acceptances_and_purges_are_saved_and_without_the_payload(spool: ReceiptSpool) -> None:
    whole = accepted_row(1)
    purge = replace(whole, record=whole.record._replace(kind=RecordKind.PURGE, then=whole.record))
    lost = DeliveryFailed(accepted_row(2).record, given("HTTP 503", 503), may_have_arrived=True)

    assert spool.add("run-1", "here", 7, [purge, lost, whole, accepted_row(3, at=None)]) == 3

    before, first, second = spool.read()
    assert (before.row_id, before.kind, before.sent_hash) == (1, "purge", purge.record.sent_hash)
    assert (first.run_id, first.receiver, first.batch, first.row_id, first.http_code) == ("run-1", "here", 7, 1, 201)
    assert (first.person_id, first.la_child_id, first.kind, first.receipt) == ("P1", "C1", "full", RECEIPT.receipt)
    assert (first.payload_hash, first.sent_hash) == (sha256_hex('{"n":1}'), whole.record.sent_hash)
    assert (first.received_at, second.received_at) == (AT.isoformat(), None)
    assert '{\\"n\\"' not in spool.path.read_text("utf-8")


def test_without_an_acceptance_no_file_is_made(spool: ReceiptSpool) -> None:
    assert spool.add("run-1", "here", 1, [DeliveryFailed(accepted_row().record, given("HTTP 503", 503), True)]) == 0
    assert not spool.path.exists()
    assert spool.read() == []


def test_line_cut_short_by_a_power_cut_swallows_no_later_receipt(spool: ReceiptSpool) -> None:
    put(spool, f"{LINE}\n{LINE[:40]}")
    assert spool.read() == [RECEIPT]

    spool.add("run-1", "here", 1, [accepted_row(5)])

    assert [receipt.row_id for receipt in spool.read()] == [-5, 5]


def test_file_that_cannot_be_written_is_an_error_that_tells_what_follows(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file in place of the folder")

    with pytest.raises(DatabaseError, match=r"^1 receipt could be written neither .* will be sent again\.$"):
        ReceiptSpool(tmp_path / "spool", "dbo.staging").add("run-1", "here", 1, [accepted_row()])


def test_file_goes_once_nothing_is_left_to_keep(spool: ReceiptSpool) -> None:
    put(spool, f"{LINE}\n{LINE}\n")

    spool.keep([RECEIPT])
    assert spool.read() == [RECEIPT]
    spool.keep([])
    assert not spool.path.exists()
    spool.keep([])


def test_tables_of_one_name_in_two_databases_have_a_file_each(tmp_path: Path) -> None:
    paths = {ReceiptSpool(tmp_path, "dbo.[st/ging]", name).path for name in ("sql01", "sql02")}

    assert len(paths) == 2
    assert {path.parent for path in paths} == {tmp_path}


def test_first_shard_reads_the_file_that_a_run_on_the_whole_table_left(tmp_path: Path) -> None:
    whole = ReceiptSpool(tmp_path, "staging")
    first, second = (ReceiptSpool(tmp_path, "staging", shard=(part, 2)) for part in (1, 2))
    put(whole, LINE + "\n")

    assert first.read() == [RECEIPT]
    assert second.read() == []
    assert not whole.path.exists()
    assert first.read() == [RECEIPT]


def test_run_on_the_whole_table_reads_the_files_that_shards_left(tmp_path: Path) -> None:
    whole = ReceiptSpool(tmp_path, "staging")
    for part in (1, 2):
        ReceiptSpool(tmp_path, "staging", shard=(part, 2)).add("run-1", "here", 1, [accepted_row(part)])
    ReceiptSpool(tmp_path, "another", shard=(1, 2)).add("run-1", "here", 1, [accepted_row(9)])

    assert [receipt.row_id for receipt in whole.read()] == [1, 2]
    assert len(list(tmp_path.iterdir())) == 2


def test_reading_that_was_cut_short_is_finished_by_the_next_run(tmp_path: Path) -> None:
    spool = ReceiptSpool(tmp_path, "staging")
    spool.path.with_name(f"{spool.path.name}.taken").write_text(LINE + "\n", encoding="utf-8")

    assert spool.read() == [RECEIPT]
    assert [path.name for path in tmp_path.iterdir()] == [spool.path.name]
