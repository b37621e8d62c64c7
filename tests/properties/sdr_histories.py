"""Random histories of a provider's nights with TEC, and the laws that hold at the end of each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from api_pipeline.sandbox.simulator import Fault, FaultKind, When
from api_pipeline.sandbox.simulator.tec import BlockedAnswer, PutAnswer, TecConditions, UnknownDelete
from api_pipeline.sdr.nouns import Collection, OnNewToken, Rules
from tests.support.tec import PERIOD, Killed, TecWorld, record, tec_world

BAD, REFUSED = "BAD", "REFUSED"

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
    bad=st.just((BAD,)),
    refused=st.just((REFUSED,)),
)
_IDS = st.sampled_from([f"r{number}" for number in range(4)])
_TEXTS = st.sampled_from(["one", "two", "three", "four", BAD, REFUSED])
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
        return any(value["nameIdCode"] in (BAD, REFUSED) for value in self.world.staged.values())

    def _check_holdings(self) -> None:
        held = self.world.held()
        assert set(held) <= set(self.world.staged), "TEC holds what nobody stages"
        for key, value in self.world.staged.items():
            if value["nameIdCode"] in (BAD, REFUSED):
                assert key not in held or held[key] in self.versions[key]
            else:
                assert held.get(key) == value, f"TEC does not hold {key} as it is staged"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            with self._stack:
                self.end_clean()
