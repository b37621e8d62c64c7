"""The laws of a submission to TEC, over random histories and under every reading of what TEC leaves open."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from api_pipeline.sandbox.simulator import Fault, FaultKind, When
from api_pipeline.sandbox.simulator.tec import BlockedAnswer, PutAnswer, TecConditions, UnknownDelete
from api_pipeline.sdr.answers import Acknowledged, Malformed, TokenGone
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.run import Submission
from api_pipeline.sdr.session import OnNewToken, Rules
from api_pipeline.sdr.store import Store
from tests.support.effort import IS_LONG, examples
from tests.support.tec import PERIOD, Killed, TecWorld, record, tec_world

# The fewest that the law is worth: 200 with every change, 1,500 once a night.
_HISTORIES = examples(25, 1500)
_BAD, _REFUSED = "BAD", "REFUSED"

_READINGS = st.builds(
    TecConditions,
    batch_limit=st.sampled_from([1, 2, 3, 10]),
    limit_names=st.sampled_from([("maxBatchSize",), ("maxRecordPerBatch",), ("maxBatchSize", "maxRecordPerBatch"), ()]),
    taken_limit=st.sampled_from([None, None, 2]),
    keeps_data=st.booleans(),
    same_token=st.booleans(),
    put_answer=st.sampled_from(PutAnswer),
    unknown_delete=st.sampled_from(UnknownDelete),
    blocked=st.sampled_from(BlockedAnswer),
    names_culprit=st.booleans(),
    code_in_list=st.booleans(),
    page_base=st.sampled_from([0, 1]),
    page_size=st.sampled_from([1, 2, 50]),
    gzip=st.booleans(),
    esl_status=st.sampled_from([401, 403]),
    bad=st.just((_BAD,)),
    refused=st.just((_REFUSED,)),
)
_IDS = st.sampled_from([f"r{number}" for number in range(4)])
_TEXTS = st.sampled_from(["one", "two", "three", "four", _BAD, _REFUSED])
_COLLECTIONS = st.sampled_from([Collection.LEARNERS, Collection.COURSES])
_FAULTS = st.builds(
    Fault,
    kind=st.sampled_from([FaultKind.DROP, FaultKind.HANG, FaultKind.ANSWER]),
    target=st.sampled_from(["records", "records", "calls", "token"]),
    when=st.sampled_from([When.BEFORE_ACCEPTING, When.AFTER_ACCEPTING]),
    times=st.sampled_from([1, 2, 4]),
    status=st.sampled_from([500, 503, 502, 401]),
)


class Histories(RuleBasedStateMachine):
    """Nights of a provider: records come, change and go, and runs meet faults, kills and other people."""

    adapt: Callable[[TecWorld], None] = staticmethod(lambda _world: None)

    @initialize(reading=_READINGS, on_new_token=st.sampled_from([OnNewToken.REUPLOAD] * 3 + [OnNewToken.RESET]))
    def begin(self, reading: TecConditions, on_new_token: OnNewToken) -> None:
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.world = self._stack.enter_context(tec_world(Path(folder), reading))
        self.world.rules = Rules(on_new_token, 10, first_wait_s=1.0)
        self.world.request_options = replace(self.world.request_options, gzip=True)
        self.versions: dict[tuple[Collection, str], list[object]] = {}
        type(self).adapt(self.world)

    @rule(collection=_COLLECTIONS, local_id=_IDS, text=_TEXTS)
    def stage(self, collection: Collection, local_id: str, text: str) -> None:
        value = record(local_id, text)
        self.world.stage(collection, local_id, value)
        self.versions.setdefault((collection, local_id), []).append(value)

    @precondition(lambda self: self.world.staged)
    @rule(place=st.integers(0, 7))
    def unstage(self, place: int) -> None:
        staged = sorted(self.world.staged)
        self.world.unstage(*staged[place % len(staged)])

    @rule(fault=_FAULTS)
    def go_wrong(self, fault: Fault) -> None:
        self.world.simulator.add_fault(fault)

    @rule()
    def expire_submission_tokens(self) -> None:
        self.world.simulator.expire_submission_tokens()

    @rule()
    def expire_access_tokens(self) -> None:
        self.world.simulator.expire_tokens()

    @rule()
    def be_reset_by_another(self) -> None:
        self.world.simulator.reset_by_another(PERIOD)

    @rule(uses=st.sampled_from([1, 2, 5]), keeps=st.booleans())
    def let_tokens_be_short_lived(self, uses: int, keeps: bool) -> None:
        self.world.simulator.change(token_uses=uses, keeps_data=keeps)

    @rule(seconds=st.sampled_from([100.0, 3000.0, 4000.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.clock.sleep(seconds)

    @rule()
    def validate_in_the_portal(self) -> None:
        one = self.world.simulator.submission(PERIOD)
        if any(one.held.values()):
            self.world.simulator._submissions.validate(one, self.world.simulator.conditions)

    @rule()
    def submit(self) -> None:
        self._run()

    @rule(requests=st.integers(0, 12), after=st.booleans())
    def be_killed(self, requests: int, after: bool) -> None:
        self.world.dies_at, self.world.dies_after = requests, after
        try:
            self._run()
        except Killed:
            self.world.check_baseline()
        finally:
            # What ends a history runs the client again, and nobody kills it then.
            self.world.dies_at = None

    @rule()
    def end_clean(self) -> None:
        """With no more faults, a few runs reach the end, and the next has nothing to send (laws 2, 3, 5)."""
        self.world.simulator.clear_faults()
        self.world.simulator.change(token_uses=None)
        for _ in range(3):
            if self._run() in (0, 1):
                break
        else:
            raise AssertionError("three runs without faults did not reach the end")
        before = len(self.world.simulator.batch_sizes)
        assert self._run() in (0, 1)
        again = len(self.world.simulator.batch_sizes) - before
        conditions = self.world.simulator.conditions
        # Another token at every request for one means that nothing is known to be held, by the rule of the design.
        if conditions.same_token and conditions.unknown_delete is not UnknownDelete.REFUSED:
            assert again == 0 or self._has_bad(), "an idle run sent records"

    def _run(self) -> int:
        summary = self.world.submit()
        self.world.check_baseline()
        assert self.world.simulator.most_at_once <= 1
        limit = min(self.world.simulator.conditions.batch_limit if self._tells_limit() else 10, 10)
        assert all(size <= limit for size in self.world.simulator.batch_sizes)
        if summary.exit_code in (0, 1) and type(summary.error) is type(None):
            self._check_holdings()
        return summary.exit_code

    def _tells_limit(self) -> bool:
        return bool(self.world.simulator.conditions.limit_names)

    def _has_bad(self) -> bool:
        return any(value["nameIdCode"] in (_BAD, _REFUSED) for value in self.world.staged.values())

    def _check_holdings(self) -> None:
        held = self.world.held()
        assert set(held) <= set(self.world.staged), "TEC holds what nobody stages"
        for key, value in self.world.staged.items():
            if value["nameIdCode"] in (_BAD, _REFUSED):
                assert key not in held or held[key] in self.versions[key]
            else:
                assert held.get(key) == value, f"TEC does not hold {key} as it is staged"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            with self._stack:
                self.end_clean()


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


def _doubts_nothing(world: TecWorld) -> None:
    store = world.store

    def put_in_doubt(
        scope: object, collection: Collection, held: object, new: list[str], outcomes: object = ()
    ) -> None:
        write(scope, outcomes)
        known = {local_id for name, local_id in world.baseline() if name is collection}
        Store.put_in_doubt(store, scope, collection, [], [one for one in new if one not in known])  # type: ignore[arg-type] # of the store
        for local_id in new:
            world.store.connection.execute(
                "DELETE FROM sdr_held WHERE local_id = ? AND payload_hash IS NULL", [local_id]
            )

    def write(scope: object, outcomes: object) -> None:
        Store.write(store, scope, outcomes)  # type: ignore[arg-type] # of the store

    store.put_in_doubt = put_in_doubt  # type: ignore[method-assign,assignment] # wrong on purpose
    store.write = write  # type: ignore[method-assign] # wrong on purpose


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
        ask = receiver._ask

        def asked(*call: object) -> object:
            answer = ask(*call)  # type: ignore[arg-type] # as it was called
            return Malformed(answer.problem) if isinstance(answer, TokenGone) else answer

        receiver._ask = asked  # type: ignore[method-assign,assignment] # wrong on purpose

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
    conditions = TecConditions(batch_limit=10, bad=(_BAD,), refused=(_REFUSED,), **reading)  # type: ignore[arg-type] # its members
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
    machine.stage(Collection.LEARNERS, "r1", _REFUSED)
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
