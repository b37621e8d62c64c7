"""Receipts that a run keeps in a file, and the run after it that writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from api_pipeline.outbox.receipt_spool import SpooledReceipt
from api_pipeline.sandbox.simulator import Fault, FaultKind
from tests.support.world import World

MID_RUN = {"BATCH_SIZE": 2, "MAX_IN_FLIGHT": 4}
MANY = 60
KEPT = {*SpooledReceipt._fields}


def spool_of(world: World) -> Path:
    """Return the one spool file there is."""
    (path,) = world.folder.glob("unwritten-receipts-*.jsonl")
    return path


def spooled(world: World) -> list[dict[str, Any]]:
    """Return the lines of the spool file."""
    return [json.loads(line) for line in spool_of(world).read_text(encoding="utf-8").splitlines()]


def no_spool(world: World) -> bool:
    """Return whether there is no spool file."""
    return not list(world.folder.glob("unwritten-receipts-*"))


def check_spooled_and_recovered(world: World, code: int, text: str, *, may_be_written_too: bool = False) -> None:
    """Hold a run that lost the database against contract 3, and the next run, which finds the receiver dead.

    Where the connection is cut, it may be between the server's COMMIT and its answer: then a receipt is in the file,
    and in its row as well (`may_be_written_too`).
    """
    assert code == 3, text
    assert str(spool_of(world)) in text
    receipts = spooled(world)
    assert receipts
    assert all(line.keys() == KEPT for line in receipts)
    said = spool_of(world).read_text(encoding="utf-8")
    assert not re.search(r"Given|Sample|2014-03-09", said), "a name or a date of birth is in the spool file"
    words = world.words()
    world.check(words)
    assert set(words.values()) <= {"sent", "untouched"}
    accepted = world.server.simulator.stats().records_accepted
    sent = {person for person, word in words.items() if word == "sent"}
    recovered = {line["person_id"]: line["receipt"] for line in receipts}
    assert len(recovered) == len(receipts)
    assert len(sent | recovered.keys()) == accepted < len(world.before)
    written_too = sent & recovered.keys()
    assert may_be_written_too or not written_too
    rows = world.rows()
    assert all(rows[person]["api_response"] == recovered[person] for person in written_too)

    # The receiver takes nothing more: whatever becomes `sent` now was written from the file, before any request.
    world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    done = world.run(MAX_ATTEMPTS=1, GIVE_UP_AFTER_FAILED_BATCHES=1)
    assert done.code == 5, done.text
    assert no_spool(world)
    rows = world.rows()
    assert {person: rows[person]["api_response"] for person in recovered} == recovered
    after = world.words()
    world.check({**after, **words, **dict.fromkeys(recovered, "sent")} | lost(after, words))

    world.server.simulator.clear_faults()
    assert world.run().code == 0
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == len(world.before), "a recovered record was sent again"


def lost(after: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """Return the rows that the run with the dead receiver tried in vain."""
    return {person: word for person, word in after.items() if before[person] == "untouched" and word[:5] == "error"}
