"""OAuth 2.0 client-credentials tokens: fetched once, kept with their expiry, renewed before they expire (contract 4).

Start reading at `TokenProvider`, which all senders of a service share; `Credentials` says where and as whom.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote_plus, urlencode

import requests

from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.token_answer import SettingNames, read_token
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.retry import RetryPolicy, TransientError, obey_wait, retrying
from api_pipeline.transport.single_request import Reach, Request, Transient, ask

MAX_TOKEN_BYTES = 64 * 1024
_RENEW_EARLY_S = 300.0
_RENEW_EARLY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where and as whom a token is asked for. Holds a secret: never logged.

    `client_auth` is "form" (id and secret as form fields) or "basic" (as a Basic login). `extra` are further form
    fields. An empty `scope` is left out.
    """

    token_endpoint: str
    client_id: str
    client_secret: str
    scope: str
    client_auth: str = "form"
    extra: Mapping[str, str] = field(default_factory=dict)
    names: SettingNames = field(default_factory=SettingNames)

    def __repr__(self) -> str:
        return f"Credentials(token_endpoint={self.token_endpoint!r})"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the monotonic second from which it is renewed. `generation` counts the fetches of a run."""

    value: str
    renew_at: float
    generation: int

    def __repr__(self) -> str:
        return f"Token(generation={self.generation})"


class TokenProvider:
    """Gives every sender the same token; of many that find it expired, one fetches and the others wait."""

    def __init__(
        self,
        session: requests.Session,
        credentials: Credentials,
        reach: Reach,
        *,
        policy: RetryPolicy,
        limiter: RateLimiter,
        clock: Callable[[], float],
        on_token: Callable[[str], None] = lambda _token: None,
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._reach = reach
        self._policy = policy
        self._limiter = limiter
        self._clock = clock
        self._on_token = on_token
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._taken = 1

    def token(self) -> Token:
        """Return a token that has not expired. Errors: AuthenticationRefused, ServiceUnavailable, Stopped."""
        token = self._token
        if token is not None and self._clock() < token.renew_at:
            return token
        return self._fetch_unless_newer(token)

    def renew(self, refused: Token) -> Token:
        """Return a token other than the one the receiver refused; fetch it unless another sender has already."""
        return self._fetch_unless_newer(refused)

    def note_taken(self, token: Token) -> None:
        """Take in that the receiver accepted this token."""
        self._taken = max(self._taken, token.generation)

    def is_untried_renewal(self, token: Token) -> bool:
        """Return whether this token replaced another and was never accepted, so that a third would fare no better."""
        return token.generation > self._taken

    def _fetch_unless_newer(self, old: Token | None) -> Token:
        with self._lock:
            current = self._token
            if current is not None and current is not old:
                return current
            if self._limiter.is_stopped:
                raise Stopped
            generation = current.generation + 1 if current else 1
            try:
                value, lifetime = retrying(self._policy, self._limiter)(self._fetch)
            except (AuthenticationRefused, ServiceUnavailable):
                # No request can do without a token: those who wait for it here must not ask again.
                self._limiter.stop()
                raise
            except TransientError as error:
                self._limiter.stop()
                raise ServiceUnavailable(
                    f"Could not get an access token: {error.transient.reason}. Nothing was sent that needs one; run "
                    "again when the token service answers "
                    f"(d2i-csc-api {self._credentials.names.test} shows the way to it)."
                ) from None
            early = min(_RENEW_EARLY_S, lifetime * _RENEW_EARLY_SHARE)
            self._token = Token(value, self._clock() + lifetime - early, generation)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        answer = ask(self._session, self._reach, _token_request(self._credentials))
        if isinstance(answer, Transient):
            what = answer.reason.removeprefix("network error: ")
            known = "the token service could not be reached"
            raise TransientError(replace(answer, reason=what if what.startswith(known) else f"{known} ({what})"))
        read = read_token(answer, self._credentials.names)
        if isinstance(read, Transient):
            obey_wait(self._limiter, read, self._reach.peer)
            raise TransientError(read)
        self._on_token(read[0])
        return read


def _token_request(credentials: Credentials) -> Request:
    form = {"grant_type": "client_credentials"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if credentials.client_auth == "basic":
        # Both parts are encoded before they are joined (RFC 6749, 2.3.1).
        login = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.client_secret)}"
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode('ascii')}"
    else:
        form |= {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    if credentials.scope:
        form["scope"] = credentials.scope
    body = urlencode({**form, **credentials.extra}).encode()
    return Request("POST", credentials.token_endpoint, "token request", headers, body, MAX_TOKEN_BYTES)
