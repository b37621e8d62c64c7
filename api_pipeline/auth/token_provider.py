"""Access tokens: fetched once for all threads, kept with their expiry, renewed before they expire (contract 4).

Start reading at `TokenProvider`, which gets them by OAuth 2.0 client credentials and which all senders of a service
share; `Credentials` says where and as whom. `SharedToken` knows no service: each provider of tokens is one.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

import requests

from api_pipeline.auth.token_answer import SettingNames, read_token
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.exchange import RetryPolicy, obey_wait, repeated
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.single_request import Reach, Request, Transient, ask

MAX_TOKEN_BYTES = 64 * 1024
"""The most bytes of a token service's answer (contract 4)."""

_RENEW_EARLY_S = 300.0
_RENEW_EARLY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the monotonic second from which it is renewed. `generation` counts the fetches of a run."""

    value: str
    renew_at: float
    generation: int

    def __repr__(self) -> str:
        return f"Token(generation={self.generation})"


class SharedToken:
    """Give every thread the same token. If several find it expired, one of them fetches a new one and the others wait.

    `fetch` returns a token and for how many seconds to use it. One thread at a time calls it. An error that it raises
    reaches every thread that asks for the token.
    """

    def __init__(self, clock: Callable[[], float], fetch: Callable[[], tuple[str, float]]) -> None:
        self._clock = clock
        self._fetch_token = fetch
        self._lock = threading.Lock()
        self._token: Token | None = None
        # The newest generation that the service accepted, and the newest that it refused.
        self._taken = 1
        self._refused = 0

    def token(self) -> Token:
        """Return a token that has not expired. Errors: those of `fetch`."""
        token = self._token
        if token is not None and self._clock() < token.renew_at:
            return token
        return self._fetch_unless_newer(token)

    def renew(self, refused: Token) -> Token:
        """Return a token other than the one that was refused; fetch it unless another thread has already."""
        with self._lock:
            self._refused = max(self._refused, refused.generation)
        return self._fetch_unless_newer(refused)

    def note_taken(self, token: Token) -> None:
        """Note that the service accepted this token."""
        self._taken = max(self._taken, token.generation)

    def is_untried_renewal(self, token: Token) -> bool:
        """Return whether this token replaced a refused one and was never accepted. Then a third one would not help.

        It does not matter why it was fetched: another thread may have replaced the refused one for its age. That does
        not hold of a token that has expired since, in a pause or a slow request.
        """
        replaced_refused = self._taken <= self._refused < token.generation
        return replaced_refused and self._clock() < token.renew_at

    def _fetch_unless_newer(self, old: Token | None) -> Token:
        with self._lock:
            current = self._token
            if current is not None and current is not old:
                return current
            value, used_s = self._fetch_token()
            generation = current.generation + 1 if current else 1
            self._token = Token(value, self._clock() + used_s, generation)
            return self._token


def used_for(lifetime_s: float) -> float:
    """Return for how many seconds a token of this lifetime is used: it is renewed a little before it expires."""
    return lifetime_s - min(_RENEW_EARLY_S, lifetime_s * _RENEW_EARLY_SHARE)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token service, and the credentials that are sent to it. They hold a secret and are never logged.

    `client_auth` is "form" (id and secret as form fields) or "basic" (in a Basic login). `extra` are further form
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


class TokenProvider(SharedToken):
    """The token of a service, got by client credentials. Errors: AuthenticationRefused, ServiceUnavailable, Stopped."""

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
        super().__init__(clock, self._fetch_or_stop)
        self._session = session
        self._credentials = credentials
        self._reach = reach
        self._policy = policy
        self._limiter = limiter
        self._on_token = on_token
        self._logins = _basic_logins(credentials)
        self._was_asked_to_wait = False

    def _fetch_or_stop(self) -> tuple[str, float]:
        """Return a token and for how long it is used. Without a token no other request of the run can start either."""
        if self._limiter.is_stopped:
            raise Stopped
        try:
            found = repeated(self._policy, self._limiter, self._fetch)
        except (AuthenticationRefused, ServiceUnavailable):
            # No request can do without a token: those who wait for it here must not ask again.
            self._limiter.stop()
            raise
        if isinstance(found, Transient):
            self._limiter.stop()
            raise ServiceUnavailable(
                f"Could not get an access token: {found.reason}. Nothing was sent that needs one; run again "
                f"when the token service answers (d2i-csc-api {self._credentials.names.test} shows the way to it)."
            )
        value, lifetime_s = found
        return value, used_for(lifetime_s)

    def _fetch(self) -> tuple[str, float] | Transient:
        if self._was_asked_to_wait:
            # Token requests pass no rate limiter, since those who wait there wait for a token.
            self._limiter.sleep_through_pause()
        try:
            found = self._fetch_as(self._logins[0])
        except AuthenticationRefused:
            if len(self._logins) == 1:
                raise
            self._logins = self._logins[1:]
            found = self._fetch_as(self._logins[0])
        if not isinstance(found, Transient):
            self._logins = self._logins[:1]
        return found

    def _fetch_as(self, login: str) -> tuple[str, float] | Transient:
        answer = ask(self._session, self._reach, _token_request(self._credentials, login))
        if isinstance(answer, Transient):
            what = answer.reason.removeprefix("network error: ")
            known = "the token service could not be reached"
            if answer.code is not None:
                known = "the answer of the token service cannot be read"
            return answer._replace(reason=what if what.startswith(known) else f"{known} ({what})")
        read = read_token(answer, self._credentials.names)
        if isinstance(read, Transient):
            self._was_asked_to_wait = read.retry_after_s is not None
            obey_wait(self._limiter, read, self._reach.peer)
        else:
            self._on_token(read[0])
        return read


def _basic_logins(credentials: Credentials) -> tuple[str, ...]:
    """Return the forms of a Basic login in the order in which they are tried.

    ESL's page joins name and password as they are; RFC 6749 (2.3.1) has both encoded first. A service takes one of
    them, and they differ where a password holds signs.
    """
    if credentials.client_auth != "basic":
        return ("",)
    name, password = credentials.client_id, credentials.client_secret
    return tuple(dict.fromkeys((f"{name}:{password}", f"{quote_plus(name)}:{quote_plus(password)}")))


def _token_request(credentials: Credentials, login: str) -> Request:
    form = {"grant_type": "client_credentials"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if credentials.client_auth == "basic":
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode('ascii')}"
    else:
        form |= {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    if credentials.scope:
        form["scope"] = credentials.scope
    body = urlencode({**form, **credentials.extra}).encode()
    return Request("POST", credentials.token_endpoint, "token request", headers, body, MAX_TOKEN_BYTES)
