import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.csc_api.answers import (
    Answer,
    Forbidden,
    Malformed,
    PermanentError,
    Receipts,
    TooLarge,
    Transient,
    Unreadable,
)
from api_pipeline.delivery.access_probe import AccessProbe
from api_pipeline.delivery.batch_delivery import Delivery
from api_pipeline.errors import AuthenticationRefused
from api_pipeline.model import Accepted, DeliveryFailed, Outcome, Receipt, Record, RecordKind, Rejected
from tests.support.effort import examples
from tests.support.rows import due_row


def record(number: int) -> Record:
    return Record(due_row(number), f"P{number}", RecordKind.FULL, f"{number}".encode(), "", "{}")


@dataclass
class RuleReceiver:
    """A receiver that follows a few rules, for counting requests and deciding each outcome on paper."""

    culprits: set[int] = field(default_factory=set)
    named: bool = False
    refusal: int = 400
    largest: int = 100
    forbids_everything: bool = False
    reasons: dict[int, str] = field(default_factory=dict)
    posts: list[list[int]] = field(default_factory=list)

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        numbers = [int(body) for body in records]
        self.posts.append(numbers)
        if self.forbids_everything:
            return Forbidden(403, "HTTP 403: no")
        if len(numbers) > self.largest:
            return TooLarge(413, "HTTP 413: too large")
        bad = [position for position, number in enumerate(numbers) if number in self.culprits]
        if bad and self.refusal == 403:
            return Forbidden(403, "HTTP 403: firewall")
        if bad and self.named:
            return Malformed(400, "HTTP 400: named", {position: f"HTTP 400: [{position}]" for position in bad})
        if bad:
            return Malformed(400, self.reasons.get(numbers[bad[0]], "HTTP 400: malformed"))
        if not numbers:
            return Malformed(400, "HTTP 400: empty")
        return Receipts(200, tuple(Receipt(f"receipt-{number}", None) for number in numbers))


def deliver(receiver: RuleReceiver, size: int = 100, *, let_in: bool = True) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}

    def report(decided: Sequence[Outcome]) -> None:
        for outcome in decided:
            assert isinstance(outcome, (Accepted, Rejected, DeliveryFailed))
            assert outcome.record.row.id not in outcomes, "an outcome was reported twice"
            outcomes[outcome.record.row.id] = outcome

    probe = AccessProbe(receiver)
    if let_in:
        probe.note_accepted()
    Delivery(list(map(record, range(size))), receiver, probe, report, lambda: None).run()
    assert set(outcomes) == set(range(size)), "every record has an outcome"
    return outcomes


def refused(outcomes: dict[int, Outcome]) -> set[int]:
    return {number for number, outcome in outcomes.items() if isinstance(outcome, Rejected)}


def test_each_record_keeps_its_own_receipt() -> None:
    outcomes = deliver(RuleReceiver(), 3)
    assert [outcome.receipt.id for outcome in outcomes.values() if isinstance(outcome, Accepted)] == [
        "receipt-0",
        "receipt-1",
        "receipt-2",
    ]


def test_named_records_are_taken_out_and_the_rest_is_sent_again_at_once() -> None:
    receiver = RuleReceiver({3, 50, 99}, named=True)
    assert refused(deliver(receiver)) == {3, 50, 99}
    assert len(receiver.posts) == 2


# No deadline: a busy machine's pause is not a fault of the search.
@settings(max_examples=examples(60, 600))
@given(st.sets(st.integers(0, 99), max_size=30), st.integers(1, 100), st.sampled_from([400, 403]))
def test_unnamed_rejections_are_found_within_the_request_limit(culprits: set[int], size: int, refusal: int) -> None:
    """k culprits in n records cost at most k * (ceil(log2 n) + 2) + 1 requests, and one more for a 403's second try,
    and at most five for the sample that is asked before a batch is condemned."""
    culprits = {number for number in culprits if number < size}
    receiver = RuleReceiver(culprits, refusal=refusal)
    outcomes = deliver(receiver, size)
    others_were_asked = any(isinstance(outcome, Accepted) for outcome in outcomes.values())
    assert refused(outcomes) == culprits or (not others_were_asked and len(culprits) > 3)
    bound = len(culprits) * (math.ceil(math.log2(size)) + 2) + 2 + 5
    assert len(receiver.posts) <= bound


@pytest.mark.parametrize("culprits", [set(range(10)), set(range(90, 100)), set(range(45, 55)), set(range(0, 100, 10))])
def test_adjacent_rejected_records_do_not_affect_the_rest(culprits: set[int]) -> None:
    assert refused(deliver(RuleReceiver(culprits))) == culprits


def test_fully_rejected_batch_costs_less_than_two_requests_a_record() -> None:
    receiver = RuleReceiver(set(range(100)))
    outcomes = deliver(receiver)
    assert refused(outcomes) == set(range(100))
    assert len(receiver.posts) <= 40


def test_records_refused_for_different_reasons_each_keep_their_own() -> None:
    reasons = {5: "HTTP 400: too long", 70: "HTTP 400: unknown member"}
    outcomes = deliver(RuleReceiver({5, 70}, reasons=reasons))
    assert {number: outcomes[number].reason.text for number in reasons} == reasons  # type: ignore[union-attr] # both are Refused


def test_batch_of_which_a_sample_shows_two_reasons_is_searched_record_by_record() -> None:
    reasons = {number: "HTTP 400: too long" if number < 60 else f"HTTP 400: unknown {number}" for number in range(100)}
    outcomes = deliver(RuleReceiver(set(range(100)), reasons=reasons))
    assert {number: outcomes[number].reason.text for number in reasons} == reasons  # type: ignore[union-attr] # all are Rejected


@pytest.mark.parametrize("culprit", [0, 42, 99])
def test_culprit_is_sent_alone_once(culprit: int) -> None:
    receiver = RuleReceiver({culprit})
    assert refused(deliver(receiver)) == {culprit}
    assert receiver.posts.count([culprit]) == 1


def test_half_with_an_unreadable_answer_has_its_outcome_and_the_other_is_searched() -> None:
    class Odd(RuleReceiver):
        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            answer = super().post(records, max_attempts)
            return Unreadable(200, "HTTP 200: unknown") if len(self.posts) == 2 else answer

    outcomes = deliver(Odd({3, 70}))
    unknown = {number for number, outcome in outcomes.items() if isinstance(outcome, Rejected) and outcome.is_unknown}
    assert unknown == set(range(50))
    assert refused(outcomes) - unknown == {70}


def test_a_batch_that_is_too_large_is_halved_and_arrives() -> None:
    receiver = RuleReceiver(largest=30)
    assert refused(deliver(receiver)) == set()
    assert max(map(len, receiver.posts[1:])) <= 50


def test_a_single_record_that_is_too_large_is_refused() -> None:
    assert refused(deliver(RuleReceiver(largest=0), 1)) == {0}


def test_403_on_the_probe_as_well_marks_nothing() -> None:
    receiver = RuleReceiver(forbids_everything=True)
    with pytest.raises(AuthenticationRefused, match="SUPPLIER_KEY"):
        deliver(receiver, let_in=False)
    assert [len(post) for post in receiver.posts] == [100, 0]


def test_403_with_another_answer_to_the_probe_is_bisected() -> None:
    receiver = RuleReceiver({42}, refusal=403)
    assert refused(deliver(receiver, let_in=False)) == {42}
    assert [] in receiver.posts


@pytest.mark.parametrize("requests", [1, 2, 9])
@pytest.mark.parametrize("refusal", [400, 403])
def test_access_that_ends_while_a_batch_is_divided_blames_no_record(requests: int, refusal: int) -> None:
    class Quota(RuleReceiver):
        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            self.forbids_everything = len(self.posts) >= requests
            return super().post(records, max_attempts)

    receiver = Quota({0, 99}, refusal=refusal)
    found: list[Outcome] = []
    with pytest.raises(AuthenticationRefused):
        Delivery(list(map(record, range(100))), receiver, AccessProbe(receiver), found.extend, lambda: None).run()
    assert [
        outcome for outcome in found if isinstance(outcome, Rejected) and outcome.record.row.id not in {0, 99}
    ] == []
    assert receiver.posts[-1] == []
    assert len(receiver.posts) < 30


def test_413_of_a_gateway_is_no_access_that_a_403_could_end() -> None:
    class Gateway(RuleReceiver):
        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            self.forbids_everything = len(records) <= self.largest
            return super().post(records, max_attempts)

    receiver = Gateway(largest=50)
    found: list[Outcome] = []
    with pytest.raises(AuthenticationRefused, match="check SUPPLIER_KEY, SCOPE and LA_CODE"):
        Delivery(list(map(record, range(100))), receiver, AccessProbe(receiver), found.extend, lambda: None).run()
    assert found == []


@pytest.mark.parametrize(
    "answer",
    [
        Unreadable(200, "HTTP 200: unknown"),
        PermanentError(404, "HTTP 404"),
        Transient(503, "HTTP 503", None, may_have_arrived=False),
    ],
)
def test_an_answer_for_the_whole_batch_is_every_records_outcome(answer: Answer) -> None:
    class Constant:
        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            return answer

    found: list[Outcome] = []
    receiver = Constant()
    records = [record(1), record(2)]
    was_lost = Delivery(records, receiver, AccessProbe(receiver), found.extend, lambda: None).run()
    assert was_lost == isinstance(answer, Transient)
    assert len(found) == 2
    assert all(isinstance(outcome, (Rejected, DeliveryFailed)) for outcome in found)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("refusal", [400, 403])
@pytest.mark.parametrize("arrived", [False, True])
def test_record_refused_alone_may_have_arrived_by_an_earlier_try_of_its_batch(
    refusal: int, *, named: bool, arrived: bool
) -> None:
    class Repeating(RuleReceiver):
        """Says of the first request alone that an earlier try of it got no clear answer."""

        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            answer = super().post(records, max_attempts)
            if isinstance(answer, (Malformed, Forbidden)) and len(records) == 4:
                return answer._replace(may_have_arrived=arrived)
            return answer

    outcomes = deliver(Repeating({2}, refusal=refusal, named=named), 4)

    assert [number for number, one in outcomes.items() if isinstance(one, Rejected)] == [2]
    assert isinstance(outcomes[2], Rejected)
    assert outcomes[2].may_have_arrived == arrived


def test_answers_of_no_meaning_may_have_arrived() -> None:
    class Unclear(RuleReceiver):
        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            return Unreadable(200, "HTTP 200: unknown")

    (outcome,) = deliver(Unclear(), 1).values()

    assert isinstance(outcome, Rejected)
    assert (outcome.may_have_arrived, outcome.is_unknown) == (True, True)
