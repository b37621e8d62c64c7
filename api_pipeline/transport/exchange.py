"""One exchange with a service: the request, its repetition, and a new token where the first is refused (contract 4).

Every service uses it. How an answer is read, and what a refused token means, the service says itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import requests

from api_pipeline.errors import PipelineError, ServiceUnavailable
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.single_request import RawAnswer, Reach, Request, Transient, ask

FIRST_WAIT_S = 1.0
# A new token for a refused one, and two more where the new one expired before its request could start, in a pause.
_MOST_RENEWALS = 3

_Result = TypeVar("_Result")


class RetryPolicy(NamedTuple):
    """At most MAX_ATTEMPTS tries for one request, with at most `max_wait_s` seconds between two of them."""

    max_attempts: int
    max_wait_s: float
    jitter: Callable[[float, float], float] = random.uniform

    def at_most(self, attempts: int | None) -> RetryPolicy:
        """Return the policy with no more tries than `attempts` (None: as many as now)."""
        return self if attempts is None else self._replace(max_attempts=min(attempts, self.max_attempts))


def backoff_s(attempt: int, max_wait_s: float, jitter: Callable[[float, float], float]) -> float:
    """Return the seconds to wait after try number `attempt` (1, 2, ...): a random time up to a limit that doubles."""
    cap = min(max_wait_s, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 30))
    return jitter(0.0, cap)


def repeated(
    policy: RetryPolicy, limiter: RateLimiter, attempt: Callable[[], _Result | Transient]
) -> _Result | Transient:
    """Return what `attempt` returns; call it again after a wait while that is transient and tries are left.

    Errors: Stopped, and those of `attempt`.
    """
    result = attempt()
    if not isinstance(result, Transient) or policy.max_attempts == 1:
        return result
    # Few requests have to be repeated, and to load it takes 26 ms.
    from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt

    def wait_s(state: RetryCallState) -> float:
        return backoff_s(state.attempt_number + 1, policy.max_wait_s, policy.jitter)

    limiter.sleep(backoff_s(1, policy.max_wait_s, policy.jitter))
    retrying = Retrying(
        stop=stop_after_attempt(policy.max_attempts - 1),
        wait=wait_s,
        retry=retry_if_result(lambda result: isinstance(result, Transient)),
        sleep=limiter.sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else result,
    )
    again: _Result | Transient = retrying(attempt)
    return again


def obey_wait(limiter: RateLimiter, transient: Transient, peer: str) -> None:
    """Make every sender wait as long as an answer of `peer` asks. Errors: ServiceUnavailable beyond an hour in all."""
    wait_s = transient.retry_after_s
    if wait_s is not None and not limiter.hold(wait_s):
        clock = ""
        if transient.is_by_own_clock:
            clock = " It names a date and not its own time: check whether this machine's clock is right."
        raise ServiceUnavailable(
            f"{peer[:1].upper()}{peer[1:]} asks to wait {wait_words(wait_s)} (HTTP {transient.code}), longer than a "
            f"run waits, which is an hour in all; run again after that.{clock}"
        )


def wait_words(seconds: float) -> str:
    """Return a wait in the unit that suits it."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds:.0f} seconds"


class Unauthorised(NamedTuple):
    """The service refuses the token: it is missing, expired or invalid.

    `may_renew` is false where the answer shows that another token would not help.
    """

    code: int
    reason: str
    may_renew: bool = True


class AccessToken(Protocol):
    """A token as it stands in a header."""

    @property
    def value(self) -> str:
        """Return the token's text, a secret."""


_Token = TypeVar("_Token", bound=AccessToken)
_Answer = TypeVar("_Answer")
Read: TypeAlias = "Callable[[RawAnswer], _Answer | Transient | Unauthorised]"


class Tokens(Protocol[_Token]):
    """Where an exchange gets its tokens: from `auth.TokenProvider`, or from a provider of the service's own."""

    def token(self) -> _Token:
        """Return a token that has not expired. Errors: AuthenticationRefused, ServiceUnavailable, Stopped."""

    def renew(self, refused: _Token) -> _Token:
        """Return a token other than the refused one."""

    def note_taken(self, token: _Token) -> None:
        """Take in that the service accepted this token."""

    def is_untried_renewal(self, token: _Token) -> bool:
        """Return whether this token replaced a refused one, has never been accepted, and has not expired since."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[_Answer]):
    """The result of an exchange; its answer is a `Transient` where every try met a transient error.

    `may_have_arrived` is set where an earlier try got no clear answer, so that the service may have acted on it.
    """

    answer: _Answer | Transient
    may_have_arrived: bool


class Exchange(Generic[_Token]):
    """Exchanges with one service. Safe to use from several threads at once.

    `refused` makes the error for a token that was refused twice; `scheme` stands before the token in `header`;
    `on_request` is called as each request starts.
    """

    def __init__(
        self,
        session: requests.Session,
        reach: Reach,
        tokens: Tokens[_Token],
        *,
        policy: RetryPolicy,
        limiter: RateLimiter,
        refused: Callable[[Unauthorised], PipelineError],
        scheme: str = "Bearer",
        header: str = "Authorization",
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._reach = reach
        self._tokens = tokens
        self._policy = policy
        self._limiter = limiter
        self._refused = refused
        self._scheme = scheme
        self._header = header
        self._on_request = on_request

    def log_in(self) -> None:
        """Get an access token now, as the first request would do. Errors: those of the tokens."""
        self._tokens.token()

    def send(self, request: Request, read: Read[_Answer], max_attempts: int | None = None) -> Answered[_Answer]:
        """Send a request, again after a transient error, and return its answer as `read` understands it.

        `max_attempts` allows fewer tries than the policy does. If the token is refused, the request is sent once more
        with a new one. A `Retry-After` stops the requests of all senders for that time. Errors: those of the tokens,
        `refused`, ServiceUnavailable (a wait longer than a run waits), Stopped.
        """
        arrived = False
        is_retried = False

        def attempt() -> _Answer | Transient:
            nonlocal arrived, is_retried
            answer = self._with_token(request, read, retried=is_retried)
            is_retried = True
            if isinstance(answer, Transient):
                arrived = arrived or answer.may_have_arrived
            return answer

        answer = repeated(self._policy.at_most(max_attempts), self._limiter, attempt)
        if isinstance(answer, Transient):
            answer = answer._replace(may_have_arrived=arrived)
        return Answered(answer, arrived)

    def _with_token(self, request: Request, read: Read[_Answer], *, retried: bool) -> _Answer | Transient:
        token = self._tokens.token()
        answer = self._attempt(request, read, token, retried=retried)
        for _ in range(_MOST_RENEWALS):
            if not (isinstance(answer, Unauthorised) and answer.may_renew) or self._tokens.is_untried_renewal(token):
                break
            token = self._tokens.renew(token)
            answer = self._attempt(request, read, token, retried=True)
        if isinstance(answer, Unauthorised):
            raise self._refused(answer)
        if not isinstance(answer, Transient):
            self._tokens.note_taken(token)
        return answer

    def _attempt(
        self, request: Request, read: Read[_Answer], token: _Token, *, retried: bool
    ) -> _Answer | Transient | Unauthorised:
        headers = {**request.headers, self._header: f"{self._scheme} {token.value}"}
        with self._limiter.passage(retried=retried) as started:
            self._on_request()
            raw = ask(self._session, self._reach, replace(request, headers=headers))
            answer = raw if isinstance(raw, Transient) else read(raw)
            # Before this request counts as over: who waits for its place would start within the pause asked for.
            if isinstance(answer, Transient):
                obey_wait(self._limiter, answer, self._reach.peer)
            elif not isinstance(answer, Unauthorised):
                self._limiter.widen(started)
            return answer
