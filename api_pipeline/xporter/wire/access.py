"""How the School Data API is reached, and the outcomes that a request may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from api_pipeline.errors import PipelineError
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.single_request import Reach

IN_MEMORY_BYTES = 32 * 1024 * 1024
_PEER = "the School Data API"


class Outcome:
    """The outcomes of a request, in the words that the tables keep."""

    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    PAUSED = "paused"
    NO_SCOPE = "no scope"
    NOT_FOUND = "not found"
    NOT_SUPPORTED = "not supported"
    NOT_READY = "not ready"
    ERROR = "error"


class Failed(PipelineError):
    """A request got no data. `outcome` is a word of Outcome; the text holds nothing that the answer quoted.

    With `ends_school` no more requests are sent to the school in this run.
    """

    def __init__(self, outcome: str, text: str, *, ends_school: bool = False) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.text = text
        self.ends_school = ends_school


class TokenRefused(Failed):
    """The API refuses a token that the token service has just given."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is, which application sends the requests, and the limits. Times are in seconds."""

    base_url: str
    token_url: str
    relying_party: str
    user_agent: str
    timeouts: tuple[float, float]
    max_attempts: int = 5
    retry_max_wait_s: float = 120.0
    ready_wait_s: float = 900.0
    ready_poll_s: float = 30.0
    page_size: int = 0
    in_memory_bytes: int = IN_MEMORY_BYTES


@dataclass(frozen=True, slots=True)
class WireObservers:
    """What a client reports: each request, and each token, so that it can be kept out of the logs."""

    on_request: Callable[[], None] = lambda: None
    on_token: Callable[[str], None] = lambda _token: None
    is_abandoned: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Caller:
    """How one school, or the management secret (`estab` ""), reaches the API. `limiter` allows one at a time."""

    session: requests.Session
    access: Access
    estab: str
    secret: str = field(repr=False)
    limiter: RateLimiter
    clock: Callable[[], float]
    observers: WireObservers = field(default_factory=WireObservers)

    @property
    def reach(self) -> Reach:
        """Return how a request of this caller travels."""
        access = self.access
        return Reach(access.timeouts, access.user_agent, _PEER, self.observers.is_abandoned)

    @property
    def policy(self) -> RetryPolicy:
        """Return how often a request is tried."""
        return RetryPolicy(self.access.max_attempts, self.access.retry_max_wait_s)
