"""Receipts in the receiver's format, and the other shapes in which an acceptance may be answered (contract 4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from api_pipeline.sandbox.simulator.answer import Answer, json_answer, page_answer, text_answer
from api_pipeline.sandbox.simulator.options import ReceiptShape


def new_receipts(count: int, now: datetime, shape: ReceiptShape) -> list[str]:
    """Return a receipt for each of `count` records: `YYYY-MM-DD_HH:MM:SS.ff_<uuid>.json`.

    Under SINGLE all share one, which is a bare UUID.
    """
    if shape is ReceiptShape.SINGLE:
        return [str(uuid4())] * count
    moment = f"{now:%Y-%m-%d_%H:%M:%S}.{now.microsecond // 10_000:02d}"
    return [f"{moment}_{uuid4()}.json" for _ in range(count)]


def acceptance(receipts: Sequence[str], status: int, shape: ReceiptShape, now: datetime) -> Answer:
    """Return the answer that tells the receipts in the given shape."""
    match shape:
        case ReceiptShape.LIST:
            return json_answer(status, receipts)
        case ReceiptShape.TEXT:
            return text_answer(status, "\n".join(receipts))
        case ReceiptShape.SINGLE:
            return json_answer(status, receipts[0])
        case ReceiptShape.SHORT:
            return json_answer(status, receipts[:-1])
        case ReceiptShape.LONG:
            return json_answer(status, [*receipts, *new_receipts(1, now, ReceiptShape.LIST)])
        case ReceiptShape.EMPTY:
            return Answer(status)
        case ReceiptShape.LOGIN_PAGE:
            return page_answer(status, "Please log in to the network")
        case ReceiptShape.MALFORMED:
            return json_answer(status, ["accepted"] * len(receipts))
