"""OAuth 2.0 client-credentials tokens: fetched once, kept with their expiry, renewed before they expire (contract 4).

Start reading at `TokenProvider`, which all senders of a service share; `Credentials` says where and as whom.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

import requests

from api_pipeline.auth.shared_token import MAX_TOKEN_BYTES, SharedToken, used_for
from api_pipeline.auth.token_answer import SettingNames, read_token
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.retry import RetryPolicy, TransientError, obey_wait, retrying
from api_pipeline.transport.single_request import Reach, Request, Transient, ask


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

    def _fetch_or_stop(self) -> tuple[str, float]:
        """Return a token and for how long it is used. Without a token no other request of the run can start either."""
        if self._limiter.is_stopped:
            raise Stopped
        try:
            value, lifetime_s = retrying(self._policy, self._limiter)(self._fetch)
        except (AuthenticationRefused, ServiceUnavailable):
            # No request can do without a token: those who wait for it here must not ask again.
            self._limiter.stop()
            raise
        except TransientError as error:
            self._limiter.stop()
            raise ServiceUnavailable(
                f"Could not get an access token: {error.transient.reason}. Nothing was sent that needs one; run again "
                f"when the token service answers (d2i-csc-api {self._credentials.names.test} shows the way to it)."
            ) from None
        return value, used_for(lifetime_s)

    def _fetch(self) -> tuple[str, float]:
        try:
            found = self._fetch_as(self._logins[0])
        except AuthenticationRefused:
            if len(self._logins) == 1:
                raise
            self._logins = self._logins[1:]
            found = self._fetch_as(self._logins[0])
        self._logins = self._logins[:1]
        return found

    def _fetch_as(self, login: str) -> tuple[str, float]:
        answer = ask(self._session, self._reach, _token_request(self._credentials, login))
        if isinstance(answer, Transient):
            what = answer.reason.removeprefix("network error: ")
            known = "the token service could not be reached"
            raise TransientError(answer._replace(reason=what if what.startswith(known) else f"{known} ({what})"))
        read = read_token(answer, self._credentials.names)
        if isinstance(read, Transient):
            obey_wait(self._limiter, read, self._reach.peer)
            raise TransientError(read)
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
