"""The steps of each command: find the period, take its lock, do the work, close the journal."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from api_pipeline.db.journal_entry import write_entry
from api_pipeline.errors import DatabaseError, Interrupted, PipelineError, ReceiverDeclined
from api_pipeline.sdr import periods
from api_pipeline.sdr.checks import Examined, SchemaCheck, examine
from api_pipeline.sdr.nouns import OnNewToken, ReturnPeriod, Rules, State
from api_pipeline.sdr.opening import locked
from api_pipeline.sdr.outcome import Options, Summary
from api_pipeline.sdr.plan import Rehearsal, check_deletes, rehearse, token_has_expired
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.run import Submission
from api_pipeline.sdr.session import Session, zoned_now
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store
from api_pipeline.sdr.validation import Follower, PollTiming, Verdict
from api_pipeline.settings.definition import CheckLevel
from api_pipeline.transport.rate_limit import Stopped


@dataclass(frozen=True, slots=True)
class Context:
    """What a command needs. `receiver_key` is the key of TEC in the tables."""

    store: Store
    receiver: TecReceiver
    receiver_key: str
    rules: Rules
    timing: PollTiming
    is_testing: bool
    check: CheckLevel = "warn"
    schema: SchemaCheck | None = None
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def scope(self, period: ReturnPeriod) -> Scope:
        """Return the key of a period's submission in the tables."""
        return Scope(self.receiver_key, period.return_id)

    def session(self, period: ReturnPeriod) -> Session:
        """Return a session of a period, which is not open yet."""
        return Session(self.receiver, self.store, self.scope(period), period, self.rules, zoned_now)

    def follower(self, session: Session) -> Follower:
        """Return what follows the validation of a session."""
        return Follower(session, self.timing, time.monotonic, self.receiver.wire.sleep)

    @property
    def mode(self) -> str:
        """Return the mode in the journal's word."""
        return "testing" if self.is_testing else "live"


@dataclass(slots=True)
class Outcome:
    """The result of a submission; `check_errors` counts what the checks found, `verdict` is the validation's."""

    period: ReturnPeriod
    summary: Summary
    check_errors: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def told(self) -> dict[str, int]:
        """Return the counts for notifications and metrics: numbers only."""
        names = ("accepted", "deleted", "refused", "withheld", "kept", "unchanged")
        return {**{name: self.summary.total(name) for name in names}, "requests": self.summary.requests}

    @property
    def exit_code(self) -> int:
        """Return the exit code of the whole."""
        return self.summary.exit_code or (self.verdict.exit_code if self.verdict else 0)


def _find_period(context: Context, wanted: str, *, indicative: bool) -> ReturnPeriod:
    """Return the period that the command line names, as TEC lists it."""
    return periods.find(wanted, context.receiver.returns(), indicative=indicative)


@contextmanager
def _locked_period(context: Context, wanted: str, *, indicative: bool) -> Iterator[ReturnPeriod]:
    """Yield the period that the command line names, as TEC lists it, under its lock.

    The lock of a period that the tables know is taken first: TEC refuses requests beside those of another run.
    """
    known = None if indicative else _begun(context, wanted)
    with ExitStack() as lock:
        if known:
            lock.enter_context(locked(context.store, context.scope(known)))
        period = _find_period(context, wanted, indicative=indicative)
        if known is None or known.return_id != period.return_id:
            lock.close()
            lock.enter_context(locked(context.store, context.scope(period)))
        yield period


def _begun(context: Context, wanted: str) -> ReturnPeriod | None:
    """Return the period that the command line names where it was begun here and is the only one."""
    try:
        return periods.find_begun(wanted, context.store.periods(context.receiver_key))
    except DatabaseError:
        raise
    except PipelineError:
        return None


def submit(
    context: Context,
    wanted: str,
    options: Options,
    *,
    indicative: bool = False,
    reupload: bool = False,
    validates: bool = False,
) -> Outcome:
    """Send the difference between the staging table and what TEC holds, and validate where that is asked for.

    What ends the run stands in the outcome's summary. Errors: those before the lock is taken.
    """
    with _locked_period(context, wanted, indicative=indicative) as period:
        outcome = Outcome(period, Summary(context.run_id))
        try:
            with _journalled(context, period, "submit", outcome.summary) as entry:
                submission = _opened(context, outcome, options, reupload=reupload)
                _send(context, outcome, submission, validates=validates)
                entry.exit_code = outcome.exit_code
        except PipelineError as error:
            outcome.summary.error = error
        except Stopped:
            outcome.summary.error = stopped()
        return outcome


def _opened(context: Context, outcome: Outcome, options: Options, *, reupload: bool) -> Submission:
    """Return the submission of the records that the checks leave, in an open session."""
    scope = context.scope(outcome.period)
    if context.is_testing:
        # The simulated TEC of an earlier command forgot everything: nothing of it is held, or may be deleted.
        context.store.forget_period(scope)
    context.store.set_state(scope, outcome.period.state, outcome.period.status)
    examined = _examined(context, outcome.period, options)
    outcome.check_errors, outcome.summary.misplaced = examined.errors, examined.misplaced
    session = _waiting_session(context, outcome.period)
    # A reset leaves nothing of what this run does not send, and of what an extract that failed did not stage.
    session.may_reset = options.takes_all and not examined.withholds
    session.before_reset = partial(check_deletes, context.store, scope, examined.options, outcome.summary)
    session.open()
    if reupload:
        session.put_all_in_doubt()
    return Submission(session, examined.options, outcome.summary)


def _send(context: Context, outcome: Outcome, submission: Submission, *, validates: bool) -> None:
    """Send what is due; then let TEC validate where all of it was accepted and that is asked for."""

    def send() -> bool:
        submission.run()
        return outcome.summary.exit_code == 0 and not outcome.summary.stopped_at_limit

    if send() and validates:
        follower = context.follower(submission.session)
        if begun := follower.start_after(send):
            outcome.verdict = follower.follow(begun)


def dry_run(
    context: Context, wanted: str, options: Options, *, indicative: bool, reupload: bool = False
) -> tuple[ReturnPeriod, Rehearsal]:
    """Return what a submission would do in each collection; sends nothing but the question for the list of returns."""
    period = _find_period(context, wanted, indicative=indicative)
    examined = _examined(context, period, options)
    # The simulated TEC of an earlier command forgot everything, so the submission finds nothing held.
    scope = Scope("", period.return_id) if context.is_testing else context.scope(period)
    found = rehearse(context.store, scope, examined, period, zoned_now(), sends_all=reupload)
    is_doubted = context.rules.on_new_token is not OnNewToken.CONTINUE and any(
        p.unchanged for p in found.plans.values()
    )
    return period, replace(found, may_send_all=is_doubted and token_has_expired(context.store, scope, zoned_now()))


def validate(
    context: Context, wanted: str, *, indicative: bool, waits: bool, resumes: bool
) -> tuple[ReturnPeriod, Verdict | None]:
    """Ask for a validation (or go on with the one at work), wait for it and store its results; None without waiting."""
    with (
        _locked_period(context, wanted, indicative=indicative) as period,
        _journalled(context, period, "validate", Summary(context.run_id)) as entry,
    ):
        scope = context.scope(period)
        context.store.set_state(scope, period.state, period.status)
        is_at_work = period.state is State.VALIDATING
        session = context.session(period)
        follower = context.follower(session)
        if is_at_work or resumes or session.has_living_token():
            # Another token may begin an empty submission: the one under which the data were sent does as well.
            session.resume()
        else:
            session.open()
        begun = None if is_at_work or resumes else follower.start()
        verdict = None
        if waits:
            verdict = follower.resume() if resumes and not is_at_work else follower.follow(begun)
        entry.exit_code = verdict.exit_code if verdict else 0
        return period, verdict


def reset(context: Context, wanted: str, *, indicative: bool) -> ReturnPeriod:
    """Delete the submission of a period at TEC, and forget what is held of it."""
    with (
        _locked_period(context, wanted, indicative=indicative) as period,
        _journalled(context, period, "reset", Summary(context.run_id)) as entry,
    ):
        scope = context.scope(period)
        stored = context.store.begin(scope, period)
        # A token request is blocked while a validation runs; a reset is not, and the stored token may do.
        token = stored.token if period.state is State.VALIDATING else context.receiver.token(period.return_id)
        if token is None:
            raise ReceiverDeclined(
                f"TEC is validating the return {period.name} and no submission token of it is known here; nothing was "
                "reset. Run again when the validation has ended."
            )
        context.receiver.learn(token.value)
        # Should the answer be lost, nothing may count as held any more.
        context.store.mark_period_in_doubt(scope, token)
        context.receiver.delete_submission(period.return_id, token.value)
        context.store.forget_period(scope)
        entry.exit_code = 0
        return period


def _waiting_session(context: Context, period: ReturnPeriod) -> Session:
    """Return a session that is not open yet, once the period takes data. Errors: ReceiverDeclined, AlreadyRunning."""
    periods.require_open(period, zoned_now())
    period = periods.wait_for_validation(
        context.receiver, period, context.rules, time.monotonic, context.receiver.wire.sleep
    )
    return context.session(period)


def _examined(context: Context, period: ReturnPeriod, options: Options) -> Examined:
    options = replace(options, word="testing" if context.is_testing else "sent")
    return examine(context.store, period, options, context.check, context.schema)


@dataclass(slots=True)
class _Entry:
    """The exit code that the journal gets of a run without an error; 1 stays of one that broke off in the middle."""

    exit_code: int = 1


@contextmanager
def _journalled(context: Context, period: ReturnPeriod, command: str, summary: Summary) -> Iterator[_Entry]:
    """Write the start of a run to the journal, and its end with its counts; an error of the journal never stops it."""
    store, scope = context.store, context.scope(period)
    store.begin(scope, period)
    run = (context.run_id, scope, context.mode, command)
    write_entry(store.connection, lambda: store.insert_run(*run), is_end=False)
    entry = _Entry()
    error: PipelineError | None = None
    try:
        yield entry
    except ReceiverDeclined as declined:
        store.set_declined(scope, declined.code or "declined", declined.reason)
        error = declined
        raise
    except PipelineError as other:
        error = other
        raise
    except Stopped:
        error = stopped()
        raise
    finally:
        code, message = (error.exit_code, str(error)) if error else (entry.exit_code, None)
        end = (context.run_id, summary.counts, code, message)
        write_entry(store.connection, lambda: store.finish_run(*end), is_end=True)


def stopped() -> Interrupted:
    """Return the error of a command that a signal stopped."""
    return Interrupted("The run was stopped by a signal; what was not taken stays due.")
