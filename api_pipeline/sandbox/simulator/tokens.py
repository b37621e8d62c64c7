"""The token endpoint: OAuth 2.0 client credentials, as the Microsoft identity platform answers them."""

from __future__ import annotations

import secrets
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from api_pipeline.sandbox.simulator.answer import Answer, json_answer

_NEVER_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Who may have a token, and what it is good for.

    The client says who it is in the form, or with `is_basic` by HTTP Basic alone; `extra` are further members that the
    form must have. `tells_lifetime` is whether the answer has an `expires_in`.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    lifetime_s: float
    is_basic: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    tells_lifetime: bool = True


class TokenOffice:
    """Issue tokens and know which are good. Safe to use from several threads at once."""

    def __init__(self, rules: TokenRules, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._good_until: dict[str, float] = {}
        self._issued = 0

    @property
    def issued(self) -> int:
        """Return how many tokens have been issued since the last reset."""
        return self._issued

    def answer(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer to a request for a token. `headers` has lower-case names."""
        if method != "POST":
            return _fault(405, "invalid_request", "The token endpoint takes POST only.")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return _fault(400, "invalid_request", "The body must be application/x-www-form-urlencoded.")
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        rules = self._rules
        in_form = () if rules.is_basic else ("client_id", "client_secret")
        for name in ("grant_type", *in_form, "scope", *rules.extra):
            if name not in form:
                return _fault(400, "invalid_request", f"The parameter {name} is missing.")
        if form["grant_type"] != "client_credentials":
            return _fault(400, "unsupported_grant_type", "The grant type must be client_credentials.")
        if not self._is_client(headers, form):
            return _fault(401, "invalid_client", "The client id or the client secret is not valid.")
        if form["scope"] != rules.scope:
            return _fault(400, "invalid_scope", "The scope is not valid.")
        if any(form[name] != value for name, value in rules.extra.items()):
            return _fault(400, "invalid_request", f"The value of {', '.join(rules.extra)} is not valid.")
        return self._issue()

    def _is_client(self, headers: Mapping[str, str], form: Mapping[str, str]) -> bool:
        rules = self._rules
        if not rules.is_basic:
            return (form["client_id"], form["client_secret"]) == (rules.client_id, rules.client_secret)
        login = b64encode(f"{rules.client_id}:{rules.client_secret}".encode()).decode("ascii")
        return headers.get("authorization", "") == f"Basic {login}"

    def is_good(self, authorization: str) -> bool:
        """Return whether an Authorization header carries a token that was issued here and has not expired."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        with self._lock:
            return self._clock() < self._good_until.get(token.strip(), float("-inf"))

    def expire_all(self) -> None:
        """Make every token that was issued worthless."""
        with self._lock:
            self._good_until.clear()

    def reset(self) -> None:
        """Make every token worthless and count from 0 again."""
        with self._lock:
            self._good_until.clear()
            self._issued = 0

    def _issue(self) -> Answer:
        lifetime = self._rules.lifetime_s
        token = secrets.token_urlsafe(48)
        with self._lock:
            now = self._clock()
            self._good_until = {known: until for known, until in self._good_until.items() if until > now}
            self._good_until[token] = now + lifetime
            self._issued += 1
        told = int(lifetime) if lifetime == int(lifetime) else lifetime
        lasting = {"expires_in": told} if self._rules.tells_lifetime else {}
        return json_answer(200, {"token_type": "Bearer", **lasting, "access_token": token}, _NEVER_STORE)


def _fault(status: int, code: str, description: str) -> Answer:
    return json_answer(status, {"error": code, "error_description": description}, _NEVER_STORE)
