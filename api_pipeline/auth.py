"""The OAuth 2.0 client-credentials token: fetched once, kept with its expiry, renewed before it lapses (contract 4)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import requests

from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.retry import RetryPolicy, TransientError, retrying
from api_pipeline.transport.session import proxies_for

# Without `expires_in` nobody knows how long a token lives; the usual lifetime is an hour or more.
_LIFETIME_IF_UNKNOWN_S = 1800.0
_RENEW_EARLY_S = 300.0
_RENEW_EARLY_SHARE = 0.1
_HEADER_TEXT = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where and as whom a token is asked for. Holds a secret: never logged."""

    token_endpoint: str
    client_id: str
    client_secret: str
    scope: str

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
    """Gives every sender the same token; of many that find it lapsed, one fetches and the others wait."""

    def __init__(
        self,
        session: requests.Session,
        credentials: Credentials,
        *,
        timeouts: tuple[float, float],
        policy: RetryPolicy,
        gate: RateLimiter,
        clock: Callable[[], float],
        proxy_url: str | None = None,
        on_token: Callable[[str], None] = lambda _token: None,
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._timeouts = timeouts
        self._policy = policy
        self._gate = gate
        self._clock = clock
        self._proxy_url = proxy_url
        self._on_token = on_token
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._taken = 1

    def token(self) -> Token:
        """Gives a token that has not lapsed. Errors: AuthenticationRefused, ServiceUnavailable, Stopped."""
        token = self._token
        if token is not None and self._clock() < token.renew_at:
            return token
        return self._fetch_unless_newer(token)

    def renew(self, refused: Token) -> Token:
        """Gives a token other than the one the receiver refused; fetches it unless somebody has already."""
        return self._fetch_unless_newer(refused)

    def note_taken(self, token: Token) -> None:
        """The receiver let a request with this token in."""
        self._taken = max(self._taken, token.generation)

    def is_untried_renewal(self, token: Token) -> bool:
        """Whether this token replaced another and has never been let in, so that a third would fare no better."""
        return token.generation > self._taken

    def _fetch_unless_newer(self, old: Token | None) -> Token:
        with self._lock:
            current = self._token
            if current is not None and current is not old:
                return current
            if self._gate.is_stopped:
                raise Stopped
            generation = current.generation + 1 if current else 1
            try:
                value, lifetime = retrying(self._policy, self._gate)(self._fetch)
            except (AuthenticationRefused, ServiceUnavailable):
                # No request can do without a token: those who wait for it here must not ask again.
                self._gate.stop()
                raise
            except TransientError as fault:
                self._gate.stop()
                raise ServiceUnavailable(
                    f"No token could be had: {fault.reason}; nothing was sent that needs one, so run again when the "
                    "token service answers (d2i-csc-api test-endpoint shows the way to it)."
                ) from None
            early = min(_RENEW_EARLY_S, lifetime * _RENEW_EARLY_SHARE)
            self._token = Token(value, self._clock() + lifetime - early, generation)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        credentials = self._credentials
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "scope": credentials.scope,
        }
        try:
            response = self._session.post(
                credentials.token_endpoint,
                data=form,
                headers={"Accept": "application/json"},
                auth=_no_login,
                timeout=self._timeouts,
                allow_redirects=False,
                proxies=proxies_for(self._proxy_url, credentials.token_endpoint),
            )
        except requests.RequestException as error:
            raise TransientError(_unreachable(error), None, None, may_have_arrived=False) from None
        return self._read(response)

    def _read(self, response: requests.Response) -> tuple[str, float]:
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            raise TransientError.of_response(response, f"the token service answered HTTP {status}")
        if 400 <= status < 500:
            raise AuthenticationRefused(
                f"The token service refused the credentials (HTTP {status}{_oauth_code(response)}); check CLIENT_ID, "
                "CLIENT_SECRET, SCOPE and TOKEN_ENDPOINT, and whether the secret has run out."
            )
        value, lifetime = _token_of(response) if status == 200 else (None, None)
        if not value:
            raise ServiceUnavailable(
                f"The token service's answer (HTTP {status}) holds no token; check TOKEN_ENDPOINT, and whether a proxy "
                "shows a login page instead."
            )
        self._on_token(value)
        return value, lifetime if lifetime is not None else _LIFETIME_IF_UNKNOWN_S


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # An explicit login that adds nothing: without one, requests would look into a .netrc file.
    return request


def _token_of(response: requests.Response) -> tuple[str | None, float | None]:
    try:
        answer = response.json()
    except ValueError:
        return None, None
    value = answer.get("access_token") if isinstance(answer, dict) else None
    # What cannot stand in a header is no token, whatever it is called (RFC 6750).
    if not isinstance(value, str) or not _HEADER_TEXT.fullmatch(value):
        return None, None
    try:
        lifetime = max(0.0, float(answer["expires_in"]))
    except (KeyError, TypeError, ValueError):
        lifetime = None
    return value, lifetime


def _oauth_code(response: requests.Response) -> str:
    """Gives the OAuth error code of an answer, which is one of a short list of words and safe to print."""
    try:
        code = response.json().get("error")
    except (ValueError, AttributeError):
        return ""
    return f", {code}" if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) < 40 else ""


def _unreachable(error: requests.RequestException) -> str:
    return f"the token service could not be reached ({type(error).__name__})"
