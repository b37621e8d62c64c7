"""The validation at TEC: asked for, followed with growing gaps, its results stored and tied to records."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from api_pipeline.errors import ReceiverDeclined, ServiceUnavailable
from api_pipeline.run_summary import counted
from api_pipeline.sdr.nouns import Collection, State, TecFinding, Validation, errors_and_warnings
from api_pipeline.sdr.receiver import TokenIsGone
from api_pipeline.sdr.session import Session, zoned_now
from api_pipeline.sdr.store import Store

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT_S = 60.0
_Answer = TypeVar("_Answer")
_RecordKey: TypeAlias = "tuple[Collection | None, str, str]"
_OVER = (State.PASSED, State.FAILED, State.BROKEN, State.SUBMITTED, State.CANCELLED, State.CLOSED)
# How a validation ends by itself; the other words tell how the submission stands.
_ENDS = (State.PASSED, State.FAILED, State.BROKEN)
# What TEC's first pass looks at; where it finds something, the full rules are not run (knowledge base KA-02972).
_FIRST_PASS_CODES = frozenset({"005", "006", "036", "364", "712", "748", "762"})


@dataclass(frozen=True, slots=True)
class PollTiming:
    """How a validation is polled: the first wait and the time limit, in seconds."""

    poll_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a validation."""

    validation: Validation
    findings: Sequence[TecFinding]

    @property
    def state(self) -> State:
        """Return how the submission stands after it: with errors it did not pass, whatever TEC's word."""
        stated = self.validation.state
        return State.FAILED if stated is State.PASSED and self.errors else stated

    @property
    def errors(self) -> int:
        """Return the findings that block the submission."""
        return errors_and_warnings(self.findings)[0] or (self.validation.errors or 0)

    @property
    def warnings(self) -> int:
        """Return the findings that block nothing."""
        return errors_and_warnings(self.findings)[1] or (self.validation.warnings or 0)

    @property
    def exit_code(self) -> int:
        """0 where it passed, which what is submitted already did, else 1."""
        return 0 if self.state in (State.PASSED, State.SUBMITTED) else 1


class StillRunning(ServiceUnavailable):
    """A validation has not ended in the time that it is waited for; it goes on at TEC."""


class Follower:
    """Follows the validation of an open session. `clock` gives monotonic seconds, `sleep` waits."""

    def __init__(
        self, session: Session, timing: PollTiming, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._session = session
        self._timing = timing
        self._clock = clock
        self._sleep = sleep
        # What is at TEC is validated, so another token is no reason to delete it now.
        session.may_reset = False

    def start(self) -> Validation:
        """Ask TEC to validate. Errors: ReceiverDeclined and those of every call."""
        self._session.ensure_life(self._timing.timeout_s)
        return self._under_a_token(self.ask)

    def start_after(self, submit: Callable[[], bool]) -> Validation | None:
        """Ask TEC to validate what was sent; under another token it may hold nothing, and all is sent again first.

        `submit` sends it and returns whether all of it was sent; None where it was not. Errors: as `start`.
        """
        is_whole = not self._session.ensure_life(self._timing.timeout_s) or submit()
        while is_whole:
            self._session.begin_pass()
            token = self._session.token()
            if not self._session.ends_whole():
                # The token was renewed in this moment.
                is_whole = submit()
                continue
            try:
                begun = self.ask(token)
            except TokenIsGone:
                self._session.replace()
                is_whole = submit()
            else:
                self._session.was_taken()
                return begun
        return None

    def ask(self, token: str) -> Validation:
        """Ask TEC to validate under a token. Errors: TokenIsGone, ReceiverDeclined and those of every call."""
        begun = self._session.receiver.validate(token)
        self._session.store.set_state(self._session.scope, State.VALIDATING, begun.status)
        return begun

    def _under_a_token(self, ask: Callable[[str], _Answer]) -> _Answer:
        """Return the answer under a token that TEC finds. Errors: ServiceUnavailable where it finds none."""
        while True:
            try:
                answer = ask(self._session.token())
            except TokenIsGone:
                self._session.replace()
            else:
                self._session.was_taken()
                return answer

    def resume(self) -> Verdict:
        """Follow a validation that was started before, as `follow`. Errors: ReceiverDeclined where there is none."""
        found = self._look(Validation(""))
        if found.state in (State.NONE, State.OPEN, State.CANCELLED):
            raise ReceiverDeclined(
                f"TEC has no validation of the return {self._session.period.name} at work (its word: "
                f"{found.status or 'none'}); start one: d2i-csc-api sdr validate {self._session.scope.return_id}"
            )
        return self.follow(found)

    def follow(self, known: Validation | None) -> Verdict:
        """Wait until the validation ends, store its results and return what it came to. Errors: StillRunning."""
        ended = self._wait(known)
        if ended.state is State.BROKEN:
            # TEC's own error, which providers met often in April 2025: once more, then it is TEC's service desk's.
            _LOG.warning("the validation ended with TEC's own error (%s); asking once more", ended.status)
            ended = self._wait(self.start())
        return self._finish(ended)

    def _wait(self, known: Validation | None) -> Validation:
        until = self._clock() + self._timing.timeout_s
        wait = self._timing.poll_s
        last = known or Validation("")
        while last.state not in _OVER:
            if self._clock() + wait > until:
                raise StillRunning(
                    "TEC is still validating, and goes on without this command. Look again: d2i-csc-api sdr validate "
                    f"{self._session.scope.return_id} --resume"
                )
            self._sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT_S)
            last = self._look(last)
        return last

    def _look(self, last: Validation) -> Validation:
        try:
            seen = self._session.receiver.validation(self._session.token())
            # Results alone do not say when their validation was asked for: its beginning did.
            return replace(seen, received=seen.received or last.received)
        except TokenIsGone:
            # No new token is given while the validation runs: the list of returns needs none.
            period = self._session.receiver.listed(self._session.period)
            found = replace(last, status=period.status if period else "")
            # Another token of a submission that was deleted knows nothing of its validation.
            if found.state in _OVER and found.state is not State.CANCELLED:
                self._session.replace()
                seen = self._under_a_token(self._session.receiver.validation)
                # Another token may know nothing of the validation that ended, which is no reason to wait for its end.
                return seen if seen.state in _OVER else found
            return found

    def _finish(self, ended: Validation) -> Verdict:
        session = self._session
        # First of all: should the results not be found, the end of the validation is known all the same.
        session.store.set_state(session.scope, ended.state, ended.status)
        stored = session.store.submission(session.scope)
        last = stored.validation_received if stored else ""
        if ended.state not in _ENDS and ended.received in ("", last):
            # No validation has ended: what is stored of the last one stays.
            return Verdict(ended, ())
        findings: list[TecFinding] = []
        is_whole = ended.state in (State.PASSED, State.FAILED)
        if is_whole:
            findings = self._under_a_token(session.receiver.findings)
            _warn_of_counts(ended, findings)
        run = ended.received or zoned_now().isoformat(timespec="seconds")
        verdict = Verdict(ended, tie(session.store, findings))
        if verdict.state is not ended.state:
            session.store.set_state(session.scope, verdict.state, ended.status)
        has_passed = verdict.state is State.PASSED
        counts = (verdict.errors, verdict.warnings) if is_whole else None
        session.store.store_findings(session.scope, run, verdict.findings, counts, has_passed=has_passed)
        return verdict


def _warn_of_counts(ended: Validation, findings: Sequence[TecFinding]) -> None:
    listed = errors_and_warnings(findings)
    named = (
        listed[0] if ended.errors is None else ended.errors,
        listed[1] if ended.warnings is None else ended.warnings,
    )
    if listed != named:
        _LOG.warning(
            "TEC counts %s and %s, and listed %d and %d; look at the return in Ngā Kete for the others",
            *(counted(named[0], "{error|errors}"), counted(named[1], "{warning|warnings}")),
            *listed,
        )


def tie(store: Store, findings: Sequence[TecFinding]) -> list[TecFinding]:
    """Return the findings with a record where TEC names one: by localId, else by the student and course it names.

    A finding that could be about several records is tied to none: never to a wrong one.
    """
    loose = [one for one in findings if one.local_id is None and one.collection is not None and any(_key(one)[1:])]
    if not loose:
        return list(findings)
    found = _records_of(store, loose)
    return [replace(one, local_id=found.get(_key(one))) if one.local_id is None else one for one in findings]


def _records_of(store: Store, loose: Sequence[TecFinding]) -> dict[_RecordKey, str | None]:
    import orjson

    wanted = {_key(one) for one in loose}
    found: dict[_RecordKey, str | None] = {}
    for collection in {one.collection for one in loose if one.collection}:
        for local_id, payload in store.staged(collection):
            try:
                record = orjson.loads(payload)
            except orjson.JSONDecodeError:
                continue
            if not isinstance(record, dict):
                continue
            student, course = (str(record.get(name) or "") for name in ("studentIdentificationCode", "courseCode"))
            # A finding may name the student, the course or both.
            for key in {(collection, student, course), (collection, student, ""), (collection, "", course)} & wanted:
                found[key] = None if key in found else local_id
    return found


def _key(finding: TecFinding) -> _RecordKey:
    """Return collection, student and course of the record that a finding is about, "" for what tells nothing of it."""
    has_student = finding.collection is not Collection.COURSES
    has_course = finding.collection not in (Collection.LEARNERS, Collection.QUALIFICATION_COMPLETIONS)
    return finding.collection, finding.student_id if has_student else "", finding.course_code if has_course else ""


def hint(state: State, findings: Sequence[TecFinding]) -> str:
    """Return what a person should know about the end of a validation, "" for nothing."""
    if state is State.PASSED:
        return "The data passed. Now a person goes on in Ngā Kete: course differences, summary reports, signatures."
    if state is State.BROKEN:
        return "TEC's validation failed by itself, twice. Call TEC's service desk; the data need no change for it."
    codes = {one.code for one in findings}
    if codes and codes <= _FIRST_PASS_CODES and all(one.is_error for one in findings):
        return (
            "TEC stopped after its first pass, which looks at a few fields. More errors may come once these are gone."
        )
    return ""
