"""Find the records that a service refuses among those of a batch that was refused whole. Pure; knows no service.

A batch whose answer names no record is searched: the pool is halved until a culprit is alone, then the rest is sent
again in one request, so that k culprits in n records cost about k * (log2(n) + 2) requests. What an answer means, and
what becomes of a record, is decided by the `Sender` that a service gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar

_Record = TypeVar("_Record")
_Answer = TypeVar("_Answer")


class Meaning(Enum):
    """What an answer to some records leaves open.

    ACCEPTED: nothing, all were taken. SETTLED: nothing otherwise. NAMED: it names the refused records, the others are
    undecided. CULPRIT: one of the records is the cause, and which is not known. TOO_LARGE: too many, or too large.
    """

    ACCEPTED = "accepted"
    SETTLED = "settled"
    NAMED = "named"
    CULPRIT = "culprit"
    TOO_LARGE = "too large"


class Sender(Protocol[_Record, _Answer]):
    """What a service does for the search; it keeps the outcome of each record itself."""

    def post(self, records: Sequence[_Record]) -> _Answer:
        """Send records and return the answer."""

    def meaning(self, answer: _Answer) -> Meaning:
        """Return what an answer leaves open."""

    def settle(self, records: Sequence[_Record], answer: _Answer) -> None:
        """Take the answer as the outcome of each record, also of a culprit that is alone."""

    def take_out(self, records: Sequence[_Record], answer: _Answer) -> list[_Record]:
        """Take the answer as the outcome of the records that it names; return the others. At least one is named."""

    def condemn(self, rest: list[_Record]) -> list[_Record]:
        """Return the rest of a batch after a culprit was found, less what is decided without a further search."""


def resolve(sender: Sender[_Record, _Answer], pool: list[_Record], answer: _Answer) -> None:
    """Send again what the answer to a pool leaves open, until every record of it has its outcome."""
    while True:
        match sender.meaning(answer):
            case Meaning.TOO_LARGE if len(pool) > 1:
                for half in halves(pool):
                    resolve(sender, half, sender.post(half))
                return
            case Meaning.NAMED:
                pool = sender.take_out(pool, answer)
            case Meaning.CULPRIT:
                pool = sender.condemn(_find_culprit(sender, pool, answer))
            case _:
                sender.settle(pool, answer)
                return
        if not pool:
            return
        answer = sender.post(pool)


def _find_culprit(sender: Sender[_Record, _Answer], suspects: list[_Record], answer: _Answer) -> list[_Record]:
    """Halve records that were refused together until a culprit is alone; return the others still undecided."""
    others: list[_Record] = []
    was_asked_alone = len(suspects) == 1
    while len(suspects) > 1:
        first, second = halves(suspects)
        answer = sender.post(first)
        was_asked_alone = len(first) == 1
        match sender.meaning(answer):
            case Meaning.NAMED:
                return sender.take_out(first, answer) + second + others
            case Meaning.CULPRIT | Meaning.TOO_LARGE:
                suspects, others = first, second + others
            case Meaning.ACCEPTED:
                sender.settle(first, answer)
                suspects, was_asked_alone = second, False
            case _:
                sender.settle(first, answer)
                return second + others
    if not was_asked_alone:
        answer = sender.post(suspects)
    sender.settle(suspects, answer)
    return others


def halves(records: list[_Record]) -> tuple[list[_Record], list[_Record]]:
    """Return the first half of records, the larger one where they do not divide evenly, and the second."""
    middle = (len(records) + 1) // 2
    return records[:middle], records[middle:]
