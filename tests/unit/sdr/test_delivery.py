"""The culprits of a refused batch are found in few requests, and a collection that is refused alike is given up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.sdr.answers import Acknowledged, Malformed, TooLarge
from api_pipeline.sdr.baseline import BatchOutcome, Kind
from api_pipeline.sdr.delivery import AllAlike, Delivery, Verdict
from api_pipeline.sdr.nouns import Collection, Record
from api_pipeline.sdr.problem import Problem


@dataclass
class Tec:
    """A receiver that refuses a request with a bad record in it, and takes no more than its limit."""

    bad: set[int]
    limit: int = 10_000
    count: int = 0
    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    asked: Sequence[Record] = ()

    def start(self, _kind: Kind, _collection: Collection, records: Sequence[Record]) -> None:
        """Take in a request."""
        self.count += 1
        self.asked = records

    def answer(self) -> Verdict:
        """Answer it."""
        if len(self.asked) > self.limit:
            return TooLarge(Problem(400, ("MP1",)))
        if any(int(one.local_id) in self.bad for one in self.asked):
            return Malformed(Problem(400, ("CV1",), "Schema"))
        return Acknowledged({})

    def deliver(self, count: int, *, was_any_taken: bool) -> list[int]:
        """Deliver a batch; return the limits that it was shrunk to."""
        shrunk: list[int] = []

        def on_outcome(outcome: BatchOutcome) -> None:
            ids = [one.local_id for one in outcome.records]
            (self.taken if outcome.fate == "accepted" else self.refused).extend(ids)

        delivery = Delivery("put", Collection.LEARNERS, self, on_outcome, shrunk.append, was_any_taken=was_any_taken)
        delivery.begin([Record(str(number), b"{}") for number in range(count)])
        delivery.conclude()
        return shrunk


@given(st.integers(1, 200), st.sets(st.integers(0, 199), max_size=4))
def test_culprits_are_found_in_few_requests(count: int, bad: set[int]) -> None:
    bad = {number for number in bad if number < count}
    tec = Tec(bad)
    tec.deliver(count, was_any_taken=True)
    assert sorted(tec.refused, key=int) == [str(number) for number in sorted(bad)]
    assert sorted(tec.taken, key=int) == [str(number) for number in range(count) if number not in bad]
    assert tec.count <= 1 + len(bad) * (math.ceil(math.log2(count)) + 2)


def test_records_that_are_all_refused_alike_cost_few_requests() -> None:
    tec = Tec(set(range(1000)))
    with pytest.raises(AllAlike):
        tec.deliver(1000, was_any_taken=False)
    assert tec.count < 50


def test_batch_whose_first_half_alone_is_refused_is_searched_to_its_end() -> None:
    tec = Tec(set(range(60)))
    tec.deliver(100, was_any_taken=False)
    assert sorted(tec.refused, key=int) == [str(number) for number in range(60)]
    assert sorted(tec.taken, key=int) == [str(number) for number in range(60, 100)]


def test_a_batch_over_the_limit_is_halved() -> None:
    tec = Tec(set(), limit=3)
    shrunk = tec.deliver(10, was_any_taken=True)
    assert sorted(tec.taken, key=int) == [str(number) for number in range(10)]
    assert min(shrunk) == 3
