"""Division of a batch: which errors follow records, which record is the cause, and when the receiver is to blame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from api_pipeline.csc_api.answers import Answer, Malformed, Transient
from api_pipeline.delivery.access_probe import AccessProbe
from api_pipeline.delivery.division import Division, Suspect, is_divisible, was_lost_before
from api_pipeline.model import Record, RecordKind, StagedRow
from tests.support.rows import due_row

ERROR_500 = Transient(500, "HTTP 500", None, may_have_arrived=True)
RESET = Transient(None, "network error: reset", None, may_have_arrived=True)
NOT_CONNECTED = Transient(None, "network error: refused", None, may_have_arrived=False)


@dataclass
class Receiver:
    """Answers the empty requests of the probe, or fails; counts them."""

    is_answering: bool = True
    posts: int = 0

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        self.posts += 1
        return Malformed(400, "HTTP 400: empty") if self.is_answering else NOT_CONNECTED


def row(number: int, status: str = "pending", response: str | None = None) -> StagedRow:
    return due_row(number, submission_status=status, api_response=response)


def record(number: int, *, was_lost: bool = False) -> Record:
    staged = row(number, "error", "HTTP 500: failed") if was_lost else row(number)
    return Record(staged, f"P{number}", RecordKind.FULL, b"{}", "", "{}")


def divided(receiver: Receiver, *records: Record) -> tuple[Division, AccessProbe]:
    """Return a division that is under way, and the probe of its run."""
    probe = AccessProbe(receiver)
    division = Division(probe, records)
    assert division.follows_records(ERROR_500)
    return division, probe


@pytest.mark.parametrize("code", [425, 429])
def test_throttling_never_comes_from_the_records(code: int) -> None:
    assert not is_divisible(Transient(code, f"HTTP {code}", None, may_have_arrived=True))


@pytest.mark.parametrize("code", [408, 500, 502, 503, 504])
def test_error_of_the_service_may_come_from_the_records(code: int) -> None:
    assert is_divisible(Transient(code, f"HTTP {code}", None, may_have_arrived=False))


def test_lost_connection_counts_only_once_the_records_were_sent() -> None:
    assert is_divisible(RESET)
    assert not is_divisible(NOT_CONNECTED)


@pytest.mark.parametrize(
    "response", ["HTTP 500: failed", "HTTP 504", "HTTP 408", "network error: reset", "network fault: reset"]
)
def test_row_in_error_by_the_service_was_lost_before(response: str) -> None:
    assert was_lost_before(row(1, "error", response))
    assert not was_lost_before(row(1, "pending", response))


@pytest.mark.parametrize("response", [None, "", "HTTP 400: malformed", "a payload with HTTP 500 in it"])
def test_row_in_error_for_another_reason_was_not_lost_before(response: str | None) -> None:
    assert not was_lost_before(row(1, "error", response))


def test_batch_is_divided_where_the_receiver_answers_an_empty_request() -> None:
    receiver = Receiver()

    division, _ = divided(receiver, record(1), record(2))

    assert division.is_under_way
    assert not division.was_lost_before
    assert receiver.posts == 1


def test_batch_is_not_divided_where_the_receiver_is_away() -> None:
    division = Division(AccessProbe(Receiver(is_answering=False)), [record(1)])

    assert not division.follows_records(ERROR_500)
    assert not division.is_under_way


def test_batch_that_was_lost_before_is_divided_without_asking_anything() -> None:
    receiver = Receiver(is_answering=False)

    division, _ = divided(receiver, record(1), record(2, was_lost=True))

    assert division.was_lost_before
    assert receiver.posts == 0


def test_batch_is_divided_if_another_sender_had_records_accepted() -> None:
    receiver = Receiver(is_answering=False)
    probe = AccessProbe(receiver)
    division = Division(probe, [record(1)])
    probe.note_accepted()

    assert division.follows_records(ERROR_500)
    assert receiver.posts == 0


def test_whether_to_divide_is_judged_once_for_a_batch() -> None:
    receiver = Receiver()
    division, _ = divided(receiver, record(1))
    receiver.is_answering = False

    assert division.follows_records(ERROR_500)
    assert receiver.posts == 1


def test_receiver_that_went_away_in_the_middle_ends_the_division() -> None:
    division, _ = divided(Receiver(), record(1))

    assert not division.follows_records(NOT_CONNECTED)
    assert division.end == NOT_CONNECTED
    assert not division.follows_records(ERROR_500)


def test_throttling_in_the_middle_leaves_the_division_under_way() -> None:
    division, _ = divided(Receiver(), record(1))

    assert not division.follows_records(Transient(429, "HTTP 429", 5.0, may_have_arrived=False))
    assert division.end is None
    assert division.follows_records(ERROR_500)


def test_failing_alone_says_nothing_where_the_batch_is_not_divided() -> None:
    division = Division(AccessProbe(Receiver()), [record(1)])

    assert not division.suspect(record(1), ERROR_500)
    assert division.accept() == []


def test_record_that_failed_alone_is_the_cause_once_others_are_accepted() -> None:
    one, two = record(1), record(2)
    division, _ = divided(Receiver(), one, two)

    assert division.suspect(one, ERROR_500)
    assert division.accept() == [Suspect(one, ERROR_500)]
    assert division.accept() == [], "a suspect is told once"


def test_receiver_that_takes_no_record_alone_ends_the_division_after_five() -> None:
    records = [record(number) for number in range(6)]
    division, _ = divided(Receiver(), *records)
    for one in records[:4]:
        assert division.suspect(one, ERROR_500)
        assert division.end is None

    assert division.suspect(records[4], ERROR_500)
    assert division.end == ERROR_500
    assert not division.suspect(records[5], ERROR_500)


def test_more_than_five_may_fail_alone_where_others_are_accepted() -> None:
    records = [record(number) for number in range(8)]
    division, _ = divided(Receiver(), *records)
    division.accept()
    for one in records:
        assert division.suspect(one, ERROR_500)

    assert division.end is None


def test_receiver_is_asked_at_every_third_suspect_and_may_be_gone() -> None:
    receiver = Receiver()
    division, _ = divided(receiver, record(1))
    receiver.is_answering = False
    for number in (1, 2):
        division.suspect(record(number), ERROR_500)
        assert division.end is None
    division.suspect(record(3), ERROR_500)

    assert division.end == ERROR_500
    assert receiver.posts == 2


def test_remaining_suspects_are_the_cause_if_the_run_had_any_accepted() -> None:
    one = record(1)
    division, probe = divided(Receiver(), one)
    probe.note_accepted()
    division.suspect(one, ERROR_500)

    assert division.conclude() == ([Suspect(one, ERROR_500)], [])


def test_if_nothing_was_accepted_only_suspects_lost_before_are_the_cause() -> None:
    new, lost = record(1), record(2, was_lost=True)
    division, _ = divided(Receiver(), new, lost)
    for one in (new, lost):
        division.suspect(one, ERROR_500)

    assert division.conclude() == ([Suspect(lost, ERROR_500)], [Suspect(new, ERROR_500)])


def test_no_suspect_is_the_cause_where_the_receiver_is_away_at_the_end() -> None:
    receiver = Receiver()
    lost = record(1, was_lost=True)
    division, _ = divided(receiver, lost)
    division.suspect(lost, ERROR_500)
    receiver.is_answering = False

    assert division.conclude() == ([], [Suspect(lost, ERROR_500)])


def test_end_of_a_batch_without_suspects_asks_nothing() -> None:
    receiver = Receiver()
    division = Division(AccessProbe(receiver), [record(1)])

    assert division.conclude() == ([], [])
    assert receiver.posts == 0
