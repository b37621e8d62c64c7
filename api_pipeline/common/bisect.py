"""Find which records of a rejected batch the service rejects. Pure; knows no service.

Some services reject a whole batch because of one bad record and do not say which. The search halves the batch until a
bad record (the culprit) is alone, then sends the rest again in one request. To find k culprits among n records takes
about k * (log2(n) + 2) requests. What an answer means, and what becomes of a record, is decided by the `Sender` of the
service.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar

_Record = TypeVar("_Record")
_Answer = TypeVar("_Answer")


class Meaning(Enum):
    """What an answer to some records says about them.

    ACCEPTED: the service took all of them. SETTLED: each has its outcome, though not all were accepted. NAMED: the
    answer names the rejected records; nothing is known of the others. CULPRIT: one of the records is bad, and the
    answer does not say which. TOO_LARGE: the request has too many records, or too many bytes.
    """

    ACCEPTED = "accepted"
    SETTLED = "settled"
    NAMED = "named"
    CULPRIT = "culprit"
    TOO_LARGE = "too large"


class Sender(Protocol[_Record, _Answer]):
    """What the search needs of a service. The service itself keeps the outcome of each record."""

    def post(self, records: Sequence[_Record]) -> _Answer:
        """Send records and return the answer."""

    def meaning(self, answer: _Answer) -> Meaning:
        """Return what an answer says about the records that were sent."""

    def settle(self, records: Sequence[_Record], answer: _Answer) -> None:
        """Record the answer as the outcome of each of these records; one of them may be a culprit that is alone."""

    def take_out(self, records: Sequence[_Record], answer: _Answer) -> list[_Record]:
        """Record the outcome of the records that the answer names, at least one, and return the others."""

    def condemn(self, rest: list[_Record]) -> list[_Record]:
        """Return which of the rest still need a search after a culprit was found, and settle the others."""


def resolve(sender: Sender[_Record, _Answer], pool: list[_Record], answer: _Answer) -> None:
    """Send the records of a pool again, in smaller parts, until each of them has its outcome."""
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
