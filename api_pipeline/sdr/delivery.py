"""Find the outcome of each record of a batch: accepted, or refused alone.

The search for the culprits of a refused batch is `bisect`'s; here stands what TEC's answers mean for it, and when a
collection is given up because every record of it is refused alike.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from api_pipeline.common import bisect
from api_pipeline.common.bisect import Meaning
from api_pipeline.sdr.answers import Acknowledged, Malformed, TooLarge
from api_pipeline.sdr.baseline import BatchOutcome, Fate, Kind
from api_pipeline.sdr.nouns import Collection, Record
from api_pipeline.sdr.problem import named_keys

# So many records refused alone for one reason, with nothing accepted, and a sample of the rest refused for it as well,
# and the rest of the collection is not asked.
_ENOUGH_REFUSED = 3
_SAMPLES = 5
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")

Verdict: TypeAlias = "Acknowledged | Malformed | TooLarge"


class AllAlike(Exception):
    """Every record of a collection is refused alike: it is not the records."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Requests(Protocol):
    """Makes one request at a time; `count` is how many it made."""

    @property
    def count(self) -> int:
        """Return how many requests were started."""

    def start(self, kind: Kind, collection: Collection, records: Sequence[Record]) -> None:
        """Start the request with these records."""

    def answer(self) -> Verdict:
        """Wait for the answer to the request that was started."""


class Delivery:
    """The delivery of a collection's records in one direction: the `bisect.Sender` of TEC.

    `on_outcome` gets each outcome as soon as it is known; `shrink` how many records the receiver turned out to take.
    `was_any_taken` is whether it ever took one of the collection, so that a refusal is a record's own matter.
    """

    def __init__(
        self,
        kind: Kind,
        collection: Collection,
        requests: Requests,
        on_outcome: Callable[[BatchOutcome], None],
        shrink: Callable[[int], None],
        *,
        was_any_taken: bool,
    ) -> None:
        self._kind = kind
        self._collection = collection
        self._requests = requests
        self._on_outcome = on_outcome
        self._shrink = shrink
        self._was_taken = was_any_taken
        self._lone_reasons: Counter[str] = Counter()
        self._said = ""
        # The records of the request whose answer is waited for, or was looked at last.
        self._asked: Sequence[Record] = ()
        self._is_under_way = False

    def begin(self, records: Sequence[Record]) -> None:
        """Start the request with these records. Errors: those of every request."""
        self._requests.start(self._kind, self._collection, records)
        self._asked, self._is_under_way = records, True

    def conclude(self) -> None:
        """Find the outcome of each record of the request under way, if there is one.

        Errors: AllAlike, and those of every request; what is left then was not refused.
        """
        if self._is_under_way:
            bisect.resolve(self, list(self._asked), self._answer())

    def post(self, records: Sequence[Record]) -> Verdict:
        """Send records and return the answer."""
        self.begin(records)
        return self._answer()

    def _answer(self) -> Verdict:
        self._is_under_way = False
        answer = self._requests.answer()
        if isinstance(answer, TooLarge) and len(self._asked) > 1:
            self._shrink((len(self._asked) + 1) // 2)
        return answer

    def meaning(self, answer: Verdict) -> Meaning:
        """Return what an answer leaves open."""
        match answer:
            case Acknowledged():
                return Meaning.ACCEPTED
            case TooLarge():
                return Meaning.TOO_LARGE
            case Malformed(problem=problem):
                is_named = named_keys(problem, _ids(self._asked))
                return Meaning.NAMED if is_named else Meaning.CULPRIT

    def settle(self, records: Sequence[Record], answer: Verdict) -> None:
        """Take the answer as the outcome of each record."""
        match answer:
            case Acknowledged(refused=refused):
                taken = [one for one in records if one.local_id not in refused]
                self._was_taken = self._was_taken or bool(taken)
                if self._kind == "delete":
                    # An error for a single record says that it is not there: either way TEC holds nothing of it now.
                    self._tell("accepted", records, refused)
                else:
                    self._tell("accepted", taken, {})
                    self._tell("refused", [one for one in records if one.local_id in refused], refused)
            case Malformed(problem=problem) | TooLarge(problem=problem):
                self._lone_reasons[_VALUES.sub("#", problem.reason)] += len(records)
                self._said = problem.reason
                self._tell("refused", records, dict.fromkeys(_ids(records), problem.reason))

    def _tell(self, fate: Fate, records: Sequence[Record], reasons: Mapping[str, str]) -> None:
        if records:
            count = self._requests.count
            self._on_outcome(BatchOutcome(count, self._kind, self._collection, fate, records, reasons))

    def take_out(self, records: Sequence[Record], answer: Verdict) -> list[Record]:
        """Take the answer as the outcome of the records that it names; return the others."""
        named = named_keys(answer.problem, _ids(records)) if isinstance(answer, Malformed) else {}
        self._tell("refused", [one for one in records if one.local_id in named], named)
        return [one for one in records if one.local_id not in named]

    def condemn(self, rest: list[Record]) -> list[Record]:
        """Return the rest of a batch. Errors: AllAlike where all so far, and a sample of the rest, is refused alike."""
        if self._was_taken or len(self._lone_reasons) != 1 or len(rest) <= _SAMPLES:
            return rest
        if sum(self._lone_reasons.values()) < _ENOUGH_REFUSED:
            return rest
        sample = rest[:: math.ceil(len(rest) / _SAMPLES)]
        chosen = set(_ids(sample))
        rest = [one for one in rest if one.local_id not in chosen]
        for place, one in enumerate(sample):
            bisect.resolve(self, [one], self.post([one]))
            if self._was_taken or len(self._lone_reasons) > 1:
                return sample[place + 1 :] + rest
        raise AllAlike(self._said)


def _ids(records: Sequence[Record]) -> list[str]:
    return [one.local_id for one in records]
