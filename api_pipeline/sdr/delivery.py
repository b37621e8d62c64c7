"""Sees one batch through: each record is accepted, or refused by itself.

A refused batch that names no record is searched for its culprits: the records are halved until one is alone, then the
rest is sent again in one request, so that k culprits in n records cost about k * (log2(n) + 2) requests.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from api_pipeline.sdr.answers import Acknowledged, Malformed, Problem, TooLarge, named_keys

# So many records refused alone for one reason, with nothing accepted, and a sample of the rest refused for it as well,
# and the rest of the collection is not asked.
_ENOUGH_REFUSED = 3
_SAMPLES = 5
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class Keyed(Protocol):
    """A record with a key and the bytes in which it travels."""

    @property
    def key(self) -> str:
        """The key by which it is told from its neighbours."""

    @property
    def body(self) -> bytes:
        """What is sent."""


One = TypeVar("One", bound=Keyed)
Verdict: TypeAlias = "Acknowledged | Malformed | TooLarge"


class AllAlike(Exception):
    """Every record of a collection is refused alike: it is not the records."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Delivery(Generic[One]):
    """The delivery of a collection's records in one direction.

    `post` makes one request; `accepted` and `refused` are told the outcomes of each as soon as they are known; `shrink`
    how many records the receiver turned out to take. `was_any_taken` is whether it ever took one of the collection, so
    that a refusal is a record's own matter.
    """

    def __init__(
        self,
        post: Callable[[Sequence[One]], Verdict],
        accepted: Callable[[Sequence[One], Acknowledged], None],
        refused: Callable[[Sequence[tuple[One, str]]], None],
        shrink: Callable[[int], None],
        *,
        was_any_taken: bool,
    ) -> None:
        self._post = post
        self._accept = accepted
        self._refuse_them = refused
        self._shrink = shrink
        self._was_taken = was_any_taken
        self._lone_reasons: Counter[str] = Counter()

    def run(self, batch: Sequence[One]) -> None:
        """Deliver a batch. Errors: AllAlike, and whatever `post` raises; what is left then was not refused."""
        pool = list(batch)
        while pool:
            pool = self._resolve(pool, self._post(pool))

    def _resolve(self, pool: list[One], answer: Verdict) -> list[One]:
        """Return what an answer leaves undecided."""
        match answer:
            case Acknowledged():
                self._take(pool, answer)
                return []
            case TooLarge(problem=problem):
                return self._halve(pool, problem)
            case Malformed(problem=problem):
                named = named_keys(problem, [one.key for one in pool])
                if named:
                    return self._take_out(pool, named)
                return self._go_on(self._find_culprit(pool, problem), problem)
        raise TypeError(type(answer).__name__)

    def _halve(self, pool: list[One], problem: Problem) -> list[One]:
        if len(pool) == 1:
            self._refuse([(pool[0], problem.reason)])
            return []
        first, second = _halves(pool)
        self._shrink(len(first))
        for half in (first, second):
            self.run(half)
        return []

    def _find_culprit(self, suspects: list[One], problem: Problem) -> list[One]:
        """Halve records that were refused together until a culprit is alone; return the others still undecided."""
        others: list[One] = []
        was_asked_alone = len(suspects) == 1
        while len(suspects) > 1:
            first, second = _halves(suspects)
            answer = self._post(first)
            match answer:
                case Acknowledged():
                    self._take(first, answer)
                    suspects, was_asked_alone = second, False
                case Malformed(problem=found) if named := named_keys(found, [one.key for one in first]):
                    return self._take_out(first, named) + second + others
                case Malformed(problem=found):
                    problem = found
                    suspects, others, was_asked_alone = first, second + others, len(first) == 1
                case _:
                    return self._resolve(first, answer) + second + others
        if not was_asked_alone:
            answer = self._post(suspects)
            if isinstance(answer, Malformed):
                problem = answer.problem
            else:
                return self._resolve(suspects, answer) + others
        self._lone(suspects[0], problem)
        return others

    def _lone(self, culprit: One, problem: Problem) -> None:
        self._lone_reasons[_VALUES.sub("#", problem.reason)] += 1
        self._refuse([(culprit, problem.reason)])

    def _go_on(self, rest: list[One], problem: Problem) -> list[One]:
        """Return the rest of a batch, unless every record so far was refused alike, and so is a sample of the rest."""
        if self._was_taken or len(self._lone_reasons) != 1 or len(rest) <= _SAMPLES:
            return rest
        if sum(self._lone_reasons.values()) < _ENOUGH_REFUSED:
            return rest
        sample = rest[:: math.ceil(len(rest) / _SAMPLES)]
        chosen = {one.key for one in sample}
        rest = [one for one in rest if one.key not in chosen]
        for place, one in enumerate(sample):
            answer = self._post([one])
            if not isinstance(answer, Malformed):
                return self._resolve([one], answer) + sample[place + 1 :] + rest
            self._lone(one, answer.problem)
            if len(self._lone_reasons) > 1:
                return sample[place + 1 :] + rest
        raise AllAlike(problem.reason)

    def _take(self, pool: Sequence[One], answer: Acknowledged) -> None:
        if any(one.key not in answer.refused for one in pool):
            self._was_taken = True
        self._accept(pool, answer)

    def _take_out(self, pool: list[One], named: dict[str, str]) -> list[One]:
        self._refuse([(one, named[one.key]) for one in pool if one.key in named])
        return [one for one in pool if one.key not in named]

    def _refuse(self, refused: Sequence[tuple[One, str]]) -> None:
        self._refuse_them(refused)


def _halves(records: list[One]) -> tuple[list[One], list[One]]:
    middle = (len(records) + 1) // 2
    return records[:middle], records[middle:]
