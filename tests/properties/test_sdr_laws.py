"""The laws of a submission to TEC, over random histories and under every reading of what TEC leaves open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from api_pipeline.sandbox.simulator.tec import TecConditions
from api_pipeline.sdr.answers import Acknowledged, Malformed, TokenGone
from api_pipeline.sdr.baseline import Baseline
from api_pipeline.sdr.nouns import Collection, OnNewToken, Record
from api_pipeline.sdr.outcome import Options, Summary
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.run import Submission
from api_pipeline.sdr.session import Session
from tests.properties.sdr_histories import BAD, REFUSED, Histories
from tests.support.effort import IS_LONG, examples
from tests.support.tec import TecWorld

# The fewest that the law is worth: 200 with every change, 1,500 once a night.
_HISTORIES = examples(25, 1500)


def _try(machine: type[Histories], histories: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=20 if IS_LONG else 12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_every_history_keeps_the_laws() -> None:
    _try(Histories, _HISTORIES)


def _believes_another_token(world: TecWorld) -> None:
    world.rules = replace(world.rules, on_new_token=OnNewToken.CONTINUE)


class _DoubtingNothing(Baseline):
    def put_in_doubt(self, _collection: Collection, _records: Sequence[Record]) -> None:
        self.write()


class _DoubtsNothing(Submission):
    def __init__(self, session: Session, options: Options, summary: Summary) -> None:
        super().__init__(session, options, summary)
        self._baseline = _DoubtingNothing(session.store, session.scope, summary.run_id, options.word)


def _doubts_nothing(world: TecWorld) -> None:
    world.submission = _DoubtsNothing


def _takes_every_200_for_whole(world: TecWorld) -> None:
    def adapt(receiver: TecReceiver) -> None:
        put = receiver.put

        def whole(*call: object) -> object:
            answer = put(*call)  # type: ignore[arg-type] # as it was called
            return Acknowledged({}) if isinstance(answer, Acknowledged) else answer

        receiver.put = whole  # type: ignore[method-assign,assignment] # wrong on purpose

    world.adapt = adapt


def _takes_a_lost_token_for_bad_records(world: TecWorld) -> None:
    def adapt(receiver: TecReceiver) -> None:
        ask = receiver.wire.ask

        def asked(*call: object) -> object:
            answer = ask(*call)  # type: ignore[arg-type] # as it was called
            return Malformed(answer.problem) if isinstance(answer, TokenGone) else answer

        receiver.wire.ask = asked  # type: ignore[method-assign,assignment] # wrong on purpose

    world.adapt = adapt


class _NeverDeletes(Submission):
    def _delete(self, collection: Collection) -> None:
        return


def _never_deletes(world: TecWorld) -> None:
    world.submission = _NeverDeletes


def _history(wrong: Callable[[TecWorld], None], **reading: object) -> Histories:
    class Wrong(Histories):
        adapt = staticmethod(wrong)

    machine = Wrong()
    conditions = TecConditions(batch_limit=10, bad=(BAD,), refused=(REFUSED,), **reading)  # type: ignore[arg-type] # its members
    machine.begin(conditions, OnNewToken.REUPLOAD)
    machine.stage(Collection.LEARNERS, "r0", "one")
    machine.stage(Collection.LEARNERS, "r1", "one")
    return machine


def _token_lost(wrong: Callable[[TecWorld], None]) -> None:
    machine = _history(wrong, keeps_data=False)
    machine.submit()
    machine.expire_submission_tokens()
    machine.submit()


def _killed_after_put(wrong: Callable[[TecWorld], None]) -> None:
    machine = _history(wrong)
    machine.submit()
    machine.stage(Collection.LEARNERS, "r0", "two")
    machine.be_killed(3, after=True)
    machine.stage(Collection.LEARNERS, "r0", "one")
    machine.submit()


def _single_record_refused(wrong: Callable[[TecWorld], None]) -> None:
    machine = _history(wrong)
    machine.stage(Collection.LEARNERS, "r1", REFUSED)
    machine.submit()


def _token_gone_in_the_middle(wrong: Callable[[TecWorld], None]) -> None:
    machine = _history(wrong)
    machine.stage(Collection.COURSES, "r0", "one")
    machine.let_tokens_be_short_lived(1, keeps=True)
    machine.submit()
    machine.end_clean()


def _record_vanished(wrong: Callable[[TecWorld], None]) -> None:
    machine = _history(wrong)
    machine.submit()
    machine.unstage(0)
    machine.submit()


_CAUGHT_BY: dict[Callable[[TecWorld], None], Callable[[Callable[[TecWorld], None]], None]] = {
    _believes_another_token: _token_lost,
    _doubts_nothing: _killed_after_put,
    _takes_every_200_for_whole: _single_record_refused,
    _takes_a_lost_token_for_bad_records: _token_gone_in_the_middle,
    _never_deletes: _record_vanished,
}


@pytest.mark.parametrize("wrong", _CAUGHT_BY, ids=lambda wrong: wrong.__name__.strip("_"))
def test_a_wrong_client_breaks_a_law(wrong: Callable[[TecWorld], None]) -> None:
    _CAUGHT_BY[wrong](lambda _world: None)
    with pytest.raises(AssertionError):
        _CAUGHT_BY[wrong](wrong)


@pytest.mark.skipif(not IS_LONG, reason="scripts/test --long alone: minutes of random histories")
@pytest.mark.parametrize("wrong", _CAUGHT_BY, ids=lambda wrong: wrong.__name__.strip("_"))
def test_random_histories_catch_a_wrong_client(wrong: Callable[[TecWorld], None]) -> None:
    class Wrong(Histories):
        adapt = staticmethod(wrong)

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - one failure, or a group of several
        run_state_machine_as_test(
            Wrong,
            settings=settings(
                max_examples=400,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                database=None,
                phases=[Phase.generate],
            ),
        )
    failures = getattr(caught.value, "exceptions", [caught.value])
    assert [failure for failure in failures if not isinstance(failure, AssertionError)] == []
