"""How the School Data API is reached, and the outcomes that a request may have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
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
    """Where the API is, which application sends the requests, how they are written, and the limits.

    Times are in seconds. `paths` replace those of the catalogue, by endpoint in lower case. `on_token` takes what must
    stay out of logs; `is_stopped` says that nobody waits for answers any more.
    """

    session: requests.Session
    base_url: str
    token_url: str
    relying_party: str
    user_agent: str
    timeouts: tuple[float, float]
    management_secret: str = field(default="", repr=False)
    max_attempts: int = 5
    retry_max_wait_s: float = 120.0
    min_gap_s: float = 0.2
    ready_wait_s: float = 900.0
    ready_poll_s: float = 30.0
    page_size: int = 0
    in_memory_bytes: int = IN_MEMORY_BYTES
    options_style: str = "options"
    paths: Mapping[str, str] = field(default_factory=dict)
    on_token: Callable[[str], None] = lambda _token: None
    is_stopped: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic

    def options(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Return the part of a query that switches options on: one list, or a boolean for each (`options_style`)."""
        given = tuple(names)
        if self.options_style == "options":
            return [("options", ",".join(given))] if given else []
        return [(name, "true") for name in given]


class Caller:
    """One school, or the management secret (`estab` ""), on its way to the API: one request at a time."""

    def __init__(self, access: Access, estab: str, secret: str, on_request: Callable[[], None] = lambda: None) -> None:
        self.access = access
        self.estab = estab
        self.secret = secret
        self.on_request = on_request
        self.limiter = RateLimiter(1, access.min_gap_s, access.clock, access.is_stopped)
        self.reach = Reach(access.timeouts, access.user_agent, _PEER, access.is_stopped)
        self.policy = RetryPolicy(access.max_attempts, access.retry_max_wait_s)
