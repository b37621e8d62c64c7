"""Write-back after a lost or unclear answer: what the school has is read before anything is sent again."""

from __future__ import annotations

import pytest

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from api_pipeline.sandbox.simulator.xporter import Quirk
from tests.support.xporter_writer import Writer

_LOST = Fault(FaultKind.DROP, "write", when=When.AFTER_ACCEPTING)


def test_submitted_rows_are_done_only_when_the_school_shows_them(writer: Writer) -> None:
    writer.simulator.change(queues_writes=True)
    pupil = writer.pupils()[0]
    writer.mark(pupil)
    writer.merit([pupil])

    assert "2 submitted" in writer.write_back(0)
    assert writer.states() == ["submitted", "submitted"]
    writer.simulator.take_queues()

    writer.write_back(0)
    assert writer.states() == ["confirmed", "confirmed"]
    assert writer.posts() == 2


def test_what_was_taken_and_is_not_seen_in_time_is_to_be_looked_at(writer: Writer) -> None:
    writer.simulator.add_quirk(Quirk("write_lost", endpoint="write"))
    writer.mark(writer.pupils()[0])
    writer.write_back(0)
    writer.let_hours_pass(49)

    writer.write_back(1)

    assert writer.states() == ["error"]
    assert "after 48 hours the school's data do not show it" in writer.answers()


def test_a_lost_answer_is_read_before_anything_is_sent_again(writer: Writer) -> None:
    pupil = writer.pupils()[0]
    writer.mark(pupil)
    writer.merit([pupil])
    writer.simulator.add_fault(_LOST, _LOST)

    writer.write_back(0)

    assert writer.states() == ["confirmed", "confirmed"]
    assert writer.posts() == 2
    assert len(writer.achievements()) == 1


def test_a_lost_request_is_sent_again_once_it_cannot_be_in_flight(writer: Writer) -> None:
    pupil = writer.pupils()[0]
    writer.mark(pupil)
    writer.merit([pupil])
    lost = Fault(FaultKind.DROP, "write", when=When.BEFORE_ACCEPTING)
    writer.simulator.add_fault(lost, lost)

    assert "2 without a clear answer" in writer.write_back(5)
    assert writer.states() == ["unknown", "unknown"]
    writer.write_back(5)
    assert writer.posts() == 2

    writer.let_hours_pass(2)
    writer.write_back(0)
    assert writer.states() == ["confirmed", "confirmed"]
    assert len(writer.achievements()) == 1


def test_conduct_without_a_clear_answer_is_never_sent_twice_on_old_data(writer: Writer) -> None:
    writer.simulator.change(queues_writes=True, is_fresh=False)
    writer.merit(writer.pupils()[:1])
    writer.simulator.add_fault(_LOST)
    writer.write_back(5)

    writer.let_hours_pass(2)
    writer.write_back(5)

    assert writer.posts() == 1
    writer.simulator.take_queues()
    writer.write_back(0)
    assert writer.states() == ["confirmed"]
    assert len(writer.achievements()) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 425, 429, 503])
def test_incident_that_was_written_under_a_refusal_is_not_entered_twice(writer: Writer, status: int) -> None:
    writer.merit(writer.pupils()[:1])
    body = '{"ExceptionMessage": "An error"}'
    refusal = Fault(FaultKind.ANSWER, "write", when=When.AFTER_ACCEPTING, status=status, body=body)
    writer.simulator.add_fault(refusal)
    writer.run("write-back")

    writer.write_back(0)

    assert writer.states() == ["confirmed"]
    assert len(writer.achievements()) == 1


def test_incident_that_was_refused_is_not_sent_again_on_data_of_before(writer: Writer) -> None:
    writer.simulator.change(is_fresh=False)
    writer.merit(writer.pupils()[:1])
    writer.simulator.change(queues_writes=True)
    writer.simulator.add_fault(Fault(FaultKind.ANSWER, "write", when=When.AFTER_ACCEPTING, status=404, body="{}"))
    writer.run("write-back")

    writer.write_back(0)
    assert (writer.states(), writer.posts()) == (["pending"], 1)
    writer.simulator.take_queues()
    writer.write_back(0)

    assert writer.states() == ["confirmed"]
    assert len(writer.achievements()) == 1


def test_incident_whose_token_was_refused_is_sent_at_the_next_write_back(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    writer.merit(writer.pupils()[:1])
    body = '{"Message": "The token has expired"}'
    expired = (Fault(FaultKind.ANSWER, "write", first=at, last=at, status=401, body=body) for at in (1, 3))
    writer.simulator.add_fault(*expired)

    writer.write_back(5)
    assert writer.states() == ["confirmed", "pending"]
    assert "the token was refused (HTTP 401)" in writer.answers()
    writer.let_hours_pass(1)
    writer.write_back(0)

    assert writer.states() == ["confirmed", "confirmed"]
    assert (writer.posts(), len(writer.achievements())) == (4, 1)


def test_an_equal_record_that_was_there_before_is_not_taken_for_ours(writer: Writer) -> None:
    pupil = writer.pupils()[0]
    writer.merit([pupil])
    writer.write_back(0)
    writer.simulator.add_fault(Fault(FaultKind.DROP, "write", when=When.BEFORE_ACCEPTING))
    writer.merit([pupil])

    writer.write_back(5)
    assert writer.states() == ["confirmed", "unknown"]
    writer.let_hours_pass(2)
    writer.write_back(0)

    assert writer.states() == ["confirmed", "confirmed"]
    assert len(writer.achievements()) == 2


def test_a_long_wait_asked_for_before_writing_leaves_rows_pending(writer: Writer) -> None:
    writer.merit(writer.pupils()[:1])
    writer.mark(writer.pupils()[0])
    writer.simulator.add_fault(Fault(target="write", status=429, retry_after_s=90_000, times=None))

    out = writer.write_back(5)

    assert writer.states() == ["pending", "pending"]
    assert "asks to wait 25.0 hours (HTTP 429)" in out
    assert writer.posts() == 1


def test_an_unclear_answer_counts_though_nothing_can_be_read_after_it(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    writer.simulator.add_fault(_LOST, Fault(FaultKind.DROP, "data", times=None))

    out = writer.write_back(5)
    assert "1 without a clear answer" in out
    assert "1 without a clear answer" in writer.write_back(5)
    writer.mark(writer.pupils()[1])
    assert "1 without a clear answer, 0 refused, 0 to look at, 1 waiting" in writer.write_back(5)


def test_what_was_taken_before_the_school_could_not_be_read_is_counted(writer: Writer) -> None:
    for pupil in writer.pupils()[:2]:
        writer.mark(pupil)
    writer.merit(writer.pupils()[:1])
    writer.simulator.add_quirk(Quirk("unavailable", endpoint="AchievementForDateRange", times=None))

    out = writer.write_back(5)

    assert "2 submitted" in out
    assert "1 waiting" in out
    assert writer.states() == ["submitted", "submitted", "pending"]


def test_a_detention_without_a_clear_answer_is_never_entered_twice(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    writer.simulator.add_fault(_LOST)
    writer.detain([first])
    writer.write_back(0)
    assert (writer.states(), len(writer.detentions())) == (["confirmed"], 1)

    writer.schools[0].age_days = 5
    writer.simulator.add_quirk(Quirk("drop", endpoint="write"))
    writer.detain([second])
    writer.write_back(5)
    writer.let_hours_pass(49)
    writer.write_back(1)
    assert (writer.states(), len(writer.detentions())) == (["confirmed", "error"], 1)


def test_a_change_without_an_answer_is_read_first_and_may_be_sent_again(writer: Writer) -> None:
    first = writer.pupils()[0]
    writer.merit([first])
    writer.write_back(0)
    record = writer.achievements()[0]["Id"]
    writer.simulator.add_fault(_LOST)
    writer.change(record, Participants=[{"StudentId": first, "Points": 7}])
    writer.write_back(0, MAX_ATTEMPTS="1")
    assert (writer.states()[-1], writer.posts()) == ("confirmed", 2)

    writer.simulator.add_quirk(Quirk("drop", endpoint="write"))
    writer.change(record, Participants=[{"StudentId": first, "Points": 9}])
    writer.write_back(5)
    assert writer.states()[-1] == "unknown"
    writer.let_hours_pass(2)
    writer.write_back(0)
    assert writer.states()[-1] == "confirmed"
    assert writer.points() == {first: 9}
    assert len(writer.achievements()) == 1


@pytest.mark.parametrize(
    ("quirk", "code", "state"),
    [
        ("error_body", 5, "unknown"),
        ("html", 5, "unknown"),
        ("not_ready", 5, "unknown"),
        ("unavailable", 5, "pending"),
        ("scope", 1, "pending"),
        ("token_refused", 4, "pending"),
        ("drop", 5, "unknown"),
    ],
)
def test_what_an_answer_does_not_say_clearly_stays_open(writer: Writer, quirk: str, code: int, state: str) -> None:
    writer.mark(writer.pupils()[0])
    writer.simulator.add_quirk(Quirk(quirk, endpoint="write", times=None))
    out = writer.write_back(code)
    assert writer.states() == [state]
    assert "Ada Nobody" not in out + writer.answers()


def test_with_a_callback_url_the_asynchronous_calls_are_used(writer: Writer) -> None:
    writer.simulator.change(queues_writes=True)
    writer.mark(writer.pupils()[0])
    writer.write_back(0, XPORTER_CALLBACK_URL="https://writer.example/callback")
    assert writer.query("SELECT tracking_id FROM xporter_outbox")[0][0].startswith("20250101000000.")
    assert [entry.path for entry in writer.simulator.log if entry.target == "write"] == [
        "/api/v1/AttendanceAsync/9990001/"
    ]
