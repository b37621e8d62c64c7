"""A submission session: it gets, renews and replaces the submission token, and says what another token means."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from api_pipeline.errors import AlreadyRunning, ServiceUnavailable
from api_pipeline.sdr.nouns import OnNewToken, ReturnPeriod, Rules, State, SubmissionToken, state_of
from api_pipeline.sdr.periods import require_open
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store

_LOG = logging.getLogger(__name__)
_RENEW_AT_SHARE = 0.9
# A token that is replaced this often without anything gained will not live long enough for the next batch either.
_MOST_REPLACEMENTS = 5


class Session:
    """The session of one period.

    `may_reset` is whether SDR_ON_NEW_TOKEN=reset may delete what TEC holds; `before_reset` raises where the staging
    table has too little of it to send it again.
    """

    def __init__(
        self,
        receiver: TecReceiver,
        store: Store,
        scope: Scope,
        period: ReturnPeriod,
        rules: Rules,
        now: Callable[[], datetime],
    ) -> None:
        self.receiver = receiver
        self.store = store
        self.scope = scope
        self.period = period
        self.rules = rules
        self.may_reset = True
        self.before_reset: Callable[[], None] = lambda: None
        # How often another token put in doubt, or deleted, what was sent before.
        self.fresh_starts = 0
        self._starts_before_pass = 0
        self._now = now
        self._token: SubmissionToken | None = None
        self._renew_at: datetime | None = None
        self._limit = rules.batch_size
        self._cap: int | None = None
        self._replacements = 0
        self._is_fresh = False
        self._has_gained = False

    @property
    def limit(self) -> int:
        """Return the most records in one request now."""
        return self._limit if self._cap is None else min(self._limit, self._cap)

    def shrink(self, limit: int) -> None:
        """Send no more than `limit` records in a request for the rest of the run: TEC took fewer than it had said."""
        self._cap = max(1, limit if self._cap is None else min(self._cap, limit))

    @property
    def is_about_to_renew(self) -> bool:
        """Return whether `token` will ask TEC, which may give another token."""
        return self._renew_at is not None and self._now() >= self._renew_at

    def token(self) -> str:
        """Return the token for the next request, a new one where the old is about to expire."""
        if self._token is None:
            raise AssertionError("a session has a token once it is open")
        if self.is_about_to_renew:
            _LOG.info("the submission token is about to expire; asking for it again")
            # A reset would also forget the records that are in doubt for the request that comes next.
            self._take_another(may_reset=False)
        return self._token.value

    def begin_pass(self) -> None:
        """Mark the start of a pass over all records."""
        self._starts_before_pass = self.fresh_starts

    def ends_whole(self) -> bool:
        """Return whether nothing was put in doubt since `begin_pass`. Errors: ServiceUnavailable after too often."""
        if self.fresh_starts == self._starts_before_pass:
            return True
        self._count_replacement()
        return False

    def _count_replacement(self) -> None:
        self._replacements += 1
        if self._replacements > _MOST_REPLACEMENTS:
            advice = "Should TEC say that it keeps the data under another token, set SDR_ON_NEW_TOKEN=continue."
            if self.rules.on_new_token is OnNewToken.CONTINUE:
                advice = "Run again later, and call TEC if it goes on."
            raise ServiceUnavailable(
                "TEC gave another submission token again and again before everything was sent; what is in doubt stays "
                f"due. {advice}"
            )

    def was_taken(self) -> None:
        """Record that TEC accepted the token with a request."""
        self._is_fresh = False

    def note_accepted(self) -> None:
        """Record that TEC holds more than before: a run of hours may outlive many tokens that take nothing back."""
        self._has_gained = True

    def replace(self) -> None:
        """Get another token for one that TEC does not find. Errors: ServiceUnavailable where another does not help."""
        if self._is_fresh:
            raise ServiceUnavailable(
                "TEC does not find the submission token that it has just given; what was not taken stays due, so run "
                "again later, and call TEC if it goes on."
            )
        _LOG.warning("TEC does not find the submission token any more; asking for another")
        before = self.fresh_starts
        self._take_another()
        self._is_fresh = True
        if self.fresh_starts != before or not self._has_gained:
            self._count_replacement()
        self._has_gained = False

    def ensure_life(self, seconds: float) -> bool:
        """Ask for the token again where less than so many seconds of it are left; return whether TEC gave another."""
        before = self._token
        if (
            before is not None
            and before.expiry is not None
            and before.expiry - self._now() < timedelta(seconds=seconds)
        ):
            self._take_another()
        return before is not None and self.token() != before.value

    def open(self) -> None:
        """Get the token for the period. Errors: ReceiverDeclined, AlreadyRunning and those of every call."""
        token = self.receiver.token(self.scope.return_id)
        self._take(token)
        if token.status:
            # The list of returns was read before this, which may have begun the submission.
            self.store.set_state(self.scope, state_of(token.status), token.status)

    def resume(self) -> None:
        """Use the stored token: while a validation runs TEC gives no other. Errors: as `open`."""
        stored = self.store.begin(self.scope, self.period)
        if stored.token is None:
            self.open()
            return
        self.receiver.learn(stored.token.value)
        self._set(stored.token)
        self._renew_at = None

    def has_living_token(self) -> bool:
        """Return whether a token of an earlier run is stored and has not expired, as far as its time says."""
        stored = self.store.begin(self.scope, self.period)
        return stored.token is not None and (stored.token.expiry is None or stored.token.expiry > self._now())

    def put_all_in_doubt(self) -> None:
        """Send everything again, whatever the tables say TEC holds."""
        if self._token is not None:
            self.store.mark_period_in_doubt(self.scope, self._token)

    def check_takes_data(self) -> None:
        """Look in TEC's list whether the period still takes data. Errors: AlreadyRunning, ReceiverDeclined."""
        period = self.receiver.listed(self.period)
        if period is None:
            return
        if period.state is State.VALIDATING:
            raise AlreadyRunning(
                "TEC began to validate the return in the middle of this run, which blocks every change; what was not "
                "taken stays due, so run again when the validation has ended."
            )
        require_open(period, self._now(), "what was not taken stays due")

    def _take_another(self, *, may_reset: bool = True) -> None:
        """Ask for the token again in the middle of the session."""
        if self.rules.on_new_token is OnNewToken.CONTINUE:
            # Another one is given as well where somebody reset the submission, and then nothing of it is kept.
            self.period = self.receiver.listed(self.period) or self.period
        self._take(self.receiver.token(self.scope.return_id), may_reset=may_reset)

    def _take(self, token: SubmissionToken, *, may_reset: bool = True) -> None:
        stored = self.store.begin(self.scope, self.period)
        is_same = stored.token is not None and stored.token.value == token.value
        if not is_same and stored.token is None and not self.store.count_held(self.scope):
            is_same = True
        if is_same or self._keeps_data:
            self.store.store_token(self.scope, token)
        elif self.rules.on_new_token is OnNewToken.RESET and self.may_reset and may_reset:
            token = self._reset(token)
            self.fresh_starts += 1
        else:
            _LOG.warning("TEC gave another submission token for the period; everything held is checked by sending it")
            self.store.mark_period_in_doubt(self.scope, token)
            self.fresh_starts += 1
        self.period = replace(self.period, status=token.status)
        self._set(token)

    @property
    def _keeps_data(self) -> bool:
        """Return whether TEC keeps under another token what it held: not where somebody reset the submission."""
        return self.rules.on_new_token is OnNewToken.CONTINUE and self.period.state is not State.CANCELLED

    def _reset(self, token: SubmissionToken) -> SubmissionToken:
        self.before_reset()
        self.store.mark_period_in_doubt(self.scope, token)
        self.receiver.delete_submission(self.scope.return_id, token.value)
        fresh = self.receiver.token(self.scope.return_id)
        self.store.forget_period(self.scope)
        self.store.store_token(self.scope, fresh)
        return fresh

    def _set(self, token: SubmissionToken) -> None:
        is_known = self._token is not None and self._token.value == token.value and self._token.expiry == token.expiry
        self._token = token
        if token.limit is None:
            _LOG.warning("TEC gave no batch limit with the token; SDR_BATCH_SIZE is used")
        self._limit = min(self.rules.batch_size, token.limit or self.rules.batch_size)
        if token.expiry is None or is_known:
            # Asked again, TEC gave the same: it is used until TEC refuses it.
            self._renew_at = None
            return
        span = token.expiry - token.received
        # A token that is new and expired is not: this machine's clock is wrong, and TEC says when it is over.
        self._renew_at = token.received + span * _RENEW_AT_SHARE if span > timedelta() else None


def zoned_now() -> datetime:
    """Return the time in UTC, with its zone."""
    return datetime.now(timezone.utc)
