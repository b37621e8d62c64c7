"""The receipt spool as a file that others may have touched: only lines that this program wrote are believed."""

from __future__ import annotations

import json
import logging
import os
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from api_pipeline.outbox.receipt_spool import ReceiptSpool, SpooledReceipt, parsed

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
LINE = json.dumps(asdict(RECEIPT))


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
def test_line_with_a_member_of_another_form_is_no_receipt(changes: dict[str, object]) -> None:
    assert parsed(json.dumps({**asdict(RECEIPT), **changes})) is None


def test_bad_line_is_set_aside_and_named_and_the_others_are_read(
    spool: ReceiptSpool, caplog: pytest.LogCaptureFixture
) -> None:
    put(spool, f'{LINE}\n{{"run_id": 5}}\n{"[" * 5000}\n\udcff\n{LINE}\n'.encode("utf-8", "replace").decode())

    with caplog.at_level(logging.WARNING):
        assert spool.read() == [RECEIPT, RECEIPT]

    (aside,) = set_aside(spool)
    assert f"3 lines of {spool.path} are no receipts; they are set aside in {aside}" in caplog.text
    assert len(aside.read_text("utf-8").splitlines()) == 3


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
    assert [path.name for path in spool.path.parent.glob(".receipts-*")] == []
