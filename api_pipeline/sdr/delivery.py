"""Find the outcome of each record of a batch: accepted, or refused alone.

The search for the culprits of a refused batch is `bisect`'s; here stands what TEC's answers mean for it, and when a
collection is given up because every record of it is refused alike.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from api_pipeline.common import bisect
from api_pipeline.common.bisect import Meaning
from api_pipeline.sdr.answers import Acknowledged, Malformed, TooLarge
from api_pipeline.sdr.problem import named_keys

# So many records refused alone for one reason, with nothing accepted, and a sample of the rest refused for it as well,
# and the rest of the collection is not asked.
_ENOUGH_REFUSED = 3
_SAMPLES = 5
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class Keyed(Protocol):
    """A record with a key and the bytes in which it travels."""

    @property
    def key(self) -> str:
        """Return the key that distinguishes it from its neighbours."""

    @property
    def body(self) -> bytes:
        """Return what is sent."""


One = TypeVar("One", bound=Keyed)
Verdict: TypeAlias = "Acknowledged | Malformed | TooLarge"


class AllAlike(Exception):
    """Every record of a collection is refused alike: it is not the records."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Delivery(Generic[One]):
    """The delivery of a collection's records in one direction: the `bisect.Sender` of TEC.

    `ask` makes one request; `accepted` and `refused` get the outcomes of each as soon as they are known; `shrink`
    how many records the receiver turned out to take. `was_any_taken` is whether it ever took one of the collection, so
    that a refusal is a record's own matter.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[One]], Verdict],
        accepted: Callable[[Sequence[One], Acknowledged], None],
        refused: Callable[[Sequence[tuple[One, str]]], None],
        shrink: Callable[[int], None],
        *,
        was_any_taken: bool,
    ) -> None:
        self._ask = ask
        self._accepted = accepted
        self._refused = refused
        self._shrink = shrink
        self._was_taken = was_any_taken
        self._lone_reasons: Counter[str] = Counter()
        self._said = ""
        self._asked: Sequence[One] = ()

    def run(self, batch: Sequence[One]) -> None:
        """Deliver a batch. Errors: AllAlike, and whatever `ask` raises; what is left then was not refused."""
        self.conclude(batch, self._ask(batch))

    def conclude(self, batch: Sequence[One], answer: Verdict) -> None:
        """Find the outcome of each record of a batch from its answer. Errors: as `run`."""
        bisect.resolve(self, list(batch), self._took_in(batch, answer))

    def post(self, records: Sequence[One]) -> Verdict:
        """Send records and return the answer."""
        return self._took_in(records, self._ask(records))

    def _took_in(self, records: Sequence[One], answer: Verdict) -> Verdict:
        self._asked = records
        if isinstance(answer, TooLarge) and len(records) > 1:
            self._shrink((len(records) + 1) // 2)
        return answer

    def meaning(self, answer: Verdict) -> Meaning:
        """Return what an answer leaves open."""
        match answer:
            case Acknowledged():
                return Meaning.ACCEPTED
            case TooLarge():
                return Meaning.TOO_LARGE
            case Malformed(problem=problem):
                is_named = named_keys(problem, [one.key for one in self._asked])
                return Meaning.NAMED if is_named else Meaning.CULPRIT

    def settle(self, records: Sequence[One], answer: Verdict) -> None:
        """Take the answer as the outcome of each record."""
        match answer:
            case Acknowledged():
                self._was_taken = self._was_taken or any(one.key not in answer.refused for one in records)
                self._accepted(records, answer)
            case Malformed(problem=problem) | TooLarge(problem=problem):
                self._lone_reasons[_VALUES.sub("#", problem.reason)] += len(records)
                self._said = problem.reason
                self._refused([(one, problem.reason) for one in records])

    def take_out(self, records: Sequence[One], answer: Verdict) -> list[One]:
        """Take the answer as the outcome of the records that it names; return the others."""
        named = named_keys(answer.problem, [one.key for one in records]) if isinstance(answer, Malformed) else {}
        self._refused([(one, named[one.key]) for one in records if one.key in named])
        return [one for one in records if one.key not in named]

    def condemn(self, rest: list[One]) -> list[One]:
        """Return the rest of a batch. Errors: AllAlike where all so far, and a sample of the rest, is refused alike."""
        if self._was_taken or len(self._lone_reasons) != 1 or len(rest) <= _SAMPLES:
            return rest
        if sum(self._lone_reasons.values()) < _ENOUGH_REFUSED:
            return rest
        sample = rest[:: math.ceil(len(rest) / _SAMPLES)]
        chosen = {one.key for one in sample}
        rest = [one for one in rest if one.key not in chosen]
        for place, one in enumerate(sample):
            bisect.resolve(self, [one], self.post([one]))
            if self._was_taken or len(self._lone_reasons) > 1:
                return sample[place + 1 :] + rest
        raise AllAlike(self._said)
