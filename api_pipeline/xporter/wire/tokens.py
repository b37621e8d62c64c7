"""Tokens of the School Data API: one for each school, fetched once and renewed before their end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import orjson

from api_pipeline.transport.retry import TransientError, retrying
from api_pipeline.transport.single_request import RawAnswer, Request, Transient, ask, transient
from api_pipeline.xporter.consent import read_time
from api_pipeline.xporter.wire.access import Caller, Failed, Outcome
from api_pipeline.xporter.wire.answer import ApiError, ErrorKind, read_error
from api_pipeline.xporter.wire.reading import failed, members_in

_MOST_TOKEN_BYTES = 64 * 1024
_RENEW_EARLY_S = 300.0
_RENEW_EARLY_SHARE = 0.1
_LIFETIME_IF_UNKNOWN_S = 600.0


@dataclass(frozen=True, slots=True)
class IdaasToken:
    """A token, the second (of a monotonic clock) from which it is renewed, and how many came before it."""

    value: str
    renew_at: float
    generation: int

    def __repr__(self) -> str:
        return f"IdaasToken(generation={self.generation})"


class IdaasTokens:
    """The tokens of one school, or of the management secret (`estab` ""): fetched once, renewed before their end."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._lock = threading.Lock()
        self._token: IdaasToken | None = None
        self._taken = 1

    def token(self) -> IdaasToken:
        """Return a token that has not expired. Errors: Failed, Stopped."""
        token = self._token
        return token if token is not None and self._caller.clock() < token.renew_at else self._fetch_unless_newer(token)

    def renew(self, refused: IdaasToken) -> IdaasToken:
        """Return a token other than the refused one. Errors: Failed, Stopped."""
        return self._fetch_unless_newer(refused)

    def note_taken(self, token: IdaasToken) -> None:
        """Take in that the API accepted this token."""
        self._taken = max(self._taken, token.generation)

    def is_untried_renewal(self, token: IdaasToken) -> bool:
        """Return whether this token replaced another and was never accepted."""
        return token.generation > self._taken

    def _fetch_unless_newer(self, old: IdaasToken | None) -> IdaasToken:
        with self._lock:
            current = self._token
            if current is not None and current is not old:
                return current
            try:
                found = retrying(self._caller.policy, self._caller.limiter)(self._fetch)
            except TransientError as error:
                raise Failed(Outcome.UNAVAILABLE, f"no token: {error.transient.reason}") from None
            if isinstance(found, ApiError):
                raise failed(found)
            value, lifetime = found
            self._token = IdaasToken(value, self._caller.clock() + lifetime, current.generation + 1 if current else 1)
            return self._token

    def _fetch(self) -> tuple[str, float] | ApiError:
        caller = self._caller
        members = {
            **{"estab": caller.estab, "relyingParty": caller.access.relying_party},
            **{"password": caller.secret, "thirdpartyid": "XporterOnDemand"},
        }
        request = Request(
            *("POST", caller.access.token_url, f"token of {caller.estab or 'the management secret'}"),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(members),
            max_bytes=_MOST_TOKEN_BYTES,
        )
        with caller.limiter.passage():
            caller.observers.on_request()
            raw = ask(caller.session, caller.reach, request)
        if isinstance(raw, Transient):
            raise TransientError(raw)
        return self._read(raw)

    def _read(self, raw: RawAnswer) -> tuple[str, float] | ApiError:
        passing = transient(raw, f"the token service answered HTTP {raw.status}")
        answer = members_in(raw)
        named = {name.lower(): value for name, value in (answer or {}).items()}
        token = named.get("token")
        if isinstance(token, Mapping):
            token = token.get("token")
        if isinstance(token, str) and token.isascii() and token.strip() and raw.status == 200:
            self._caller.observers.on_token(token)
            return token, _lifetime(named.get("expires"), raw)
        error = read_error(answer, raw.status) if answer is not None else None
        is_ours = error is not None and error.kind in (ErrorKind.SECRET, ErrorKind.PAUSED)
        if passing is not None and not is_ours:
            raise TransientError(passing)
        if error is None or (error.kind is ErrorKind.OTHER and raw.status < 400):
            said = f"the token service's answer (HTTP {raw.status}) holds no token"
            raise TransientError(Transient(raw.status, said, None, may_have_arrived=False))
        return error if is_ours else replace(error, kind=ErrorKind.SECRET)


def _lifetime(expires: object, raw: RawAnswer) -> float:
    """Return for how many seconds a token is used: until a little before its end by the server's own clock."""
    until = read_time(expires)
    if until is None:
        return _LIFETIME_IF_UNKNOWN_S
    now = _server_time(raw) or datetime.now(timezone.utc).replace(tzinfo=None)
    lifetime = (until - now).total_seconds()
    # A time in the past is a wrong clock somewhere: the token was made a moment ago.
    if lifetime <= 0:
        return _LIFETIME_IF_UNKNOWN_S
    return lifetime - min(_RENEW_EARLY_S, lifetime * _RENEW_EARLY_SHARE)


def _server_time(raw: RawAnswer) -> datetime | None:
    try:
        moment = parsedate_to_datetime(raw.headers["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment.astimezone(timezone.utc).replace(tzinfo=None)
