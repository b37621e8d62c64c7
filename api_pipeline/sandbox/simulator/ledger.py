"""What the receiver has accepted and what it holds now, so that it can be asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import orjson

from api_pipeline.sandbox.simulator.merging import held_after
from api_pipeline.sandbox.simulator.options import Reading

_Child: TypeAlias = "tuple[str, str]"


class Ledger:
    """The accepted records. Safe to use from several threads at once.

    Children are held as JSON text: parsed, a whole cohort would not fit into memory. Records are merged when somebody
    asks, so that accepting stays quick. With `keep` false only counts are kept.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._held: dict[_Child, bytes] = {}
        self._waiting: dict[_Child, list[tuple[Reading, bytes]]] = {}
        self._living: set[_Child] = set()
        self._receipts: dict[_Child, list[str]] = {}
        self._bodies: list[bytes] = []
        self._batches = 0
        self._records = 0

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._forget()

    def accept(
        self, la_code: str, records: Sequence[dict[str, Any]], body: bytes, receipts: Sequence[str], reading: Reading
    ) -> None:
        """Take a whole batch, in its order. `body` is the text that the records came in."""
        with self._lock:
            self._batches += 1
            self._records += len(records)
            if not self._keep:
                return
            self._bodies.append(body)
            for record, receipt in zip(records, receipts, strict=True):
                child = (la_code, record["la_child_id"])
                self._receipts.setdefault(child, []).append(receipt)
                self._waiting.setdefault(child, []).append((reading, orjson.dumps(record)))
                # Whatever was held, a child is held after any record but its deletion: counting needs no merging.
                (self._living.discard if record.get("purge") is True else self._living.add)(child)

    def _settle(self, child: _Child) -> None:
        stored = self._held.pop(child, None)
        held = None if stored is None else _object(stored)
        for reading, record in self._waiting.pop(child, ()):
            held = held_after(held, _object(record), reading)
        if held is not None:
            self._held[child] = orjson.dumps(held)

    def held(self, la_code: str, la_child_id: str) -> dict[str, Any] | None:
        """Return what is held of a child, None where nothing is."""
        with self._lock:
            self._settle((la_code, la_child_id))
            stored = self._held.get((la_code, la_child_id))
        return None if stored is None else _object(stored)

    def all_held(self, la_code: str) -> dict[str, dict[str, Any]]:
        """Return every child held for an authority, by `la_child_id`."""
        with self._lock:
            for child in list(self._waiting):
                self._settle(child)
            found = [(child, stored) for (code, child), stored in self._held.items() if code == la_code]
        return {child: _object(stored) for child, stored in found}

    def receipts(self, la_code: str, la_child_id: str) -> list[str]:
        """Return the receipts for a child's records, the oldest first."""
        with self._lock:
            return list(self._receipts.get((la_code, la_child_id), ()))

    def records(self) -> list[bytes]:
        """Return the accepted records in their order, each in the bytes in which it came."""
        with self._lock:
            bodies = list(self._bodies)
        return [record for body in bodies for record in _elements(body)]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return how many batches and records were accepted, and how many children are held."""
        with self._lock:
            return self._batches, self._records, len(self._living)


def _object(text: bytes) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(text)
    return value


def _elements(body: bytes) -> list[bytes]:
    """Return the text of each element of a JSON array that is known to be valid."""
    text = body.decode()
    decode = json.JSONDecoder().raw_decode
    elements: list[bytes] = []
    place = text.index("[") + 1
    while True:
        while text[place] in " \t\r\n,":
            place += 1
        if text[place] == "]":
            return elements
        _, end = decode(text, place)
        elements.append(text[place:end].encode())
        place = end
