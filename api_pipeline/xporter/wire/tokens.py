"""Tokens of the School Data API: one for each school, fetched once and renewed before their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

import orjson

from api_pipeline.auth.token_provider import MAX_TOKEN_BYTES, SharedToken, used_for
from api_pipeline.errors import ServiceUnavailable
from api_pipeline.transport.exchange import obey_wait, repeated
from api_pipeline.transport.retry_after import date_of
from api_pipeline.transport.single_request import RawAnswer, Request, Transient, ask, transient
from api_pipeline.xporter.values import lowered, read_time
from api_pipeline.xporter.wire.access import Caller, Failed, Outcome
from api_pipeline.xporter.wire.answer import ApiError, ErrorKind, read_error
from api_pipeline.xporter.wire.reading import failed, members_in

_LIFETIME_IF_UNKNOWN_S = 600.0


class IdaasTokens(SharedToken):
    """The tokens of one school, or of the management secret (`estab` ""). Errors: Failed, Stopped."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller.access.clock, self._fetch_or_fail)
        self._caller = caller

    def _fetch_or_fail(self) -> tuple[str, float]:
        try:
            found: tuple[str, float] | ApiError | Transient = repeated(
                self._caller.policy, self._caller.limiter, self._fetch
            )
        except ServiceUnavailable as error:
            raise Failed(Outcome.UNAVAILABLE, f"no token: {error}".rstrip("."), ends_school=True) from None
        if isinstance(found, Transient):
            raise Failed(Outcome.UNAVAILABLE, f"no token: {found.reason}")
        if isinstance(found, ApiError):
            raise failed(found)
        return found

    def _fetch(self) -> tuple[str, float] | ApiError | Transient:
        caller = self._caller
        members = {
            **{"estab": caller.estab, "relyingParty": caller.access.relying_party},
            **{"password": caller.secret, "thirdpartyid": "XporterOnDemand"},
        }
        request = Request(
            *("POST", caller.access.token_url, f"token of {caller.estab or 'the management secret'}"),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(members),
            max_bytes=MAX_TOKEN_BYTES,
        )
        with caller.limiter.passage():
            caller.on_request()
            raw = ask(caller.access.session, caller.reach, request)
            answer = raw if isinstance(raw, Transient) else self._read(raw)
            # Before this request counts as over, as in every exchange.
            if isinstance(answer, Transient):
                obey_wait(caller.limiter, answer, "the token service")
            return answer

    def _read(self, raw: RawAnswer) -> tuple[str, float] | ApiError | Transient:
        passing = transient(raw, f"the token service answered HTTP {raw.status}")
        answer = members_in(raw)
        named = lowered(answer or {})
        token = named.get("token")
        if isinstance(token, Mapping):
            token = token.get("token")
        if isinstance(token, str) and token.isascii() and token.strip() and raw.status == 200:
            self._caller.access.on_token(token)
            return token, _lifetime(named.get("expires"), raw)
        error = read_error(answer, raw.status) if answer is not None else None
        is_ours = error is not None and error.kind in (ErrorKind.SECRET, ErrorKind.PAUSED)
        if passing is not None and not is_ours:
            return passing
        if error is None or (error.kind is ErrorKind.OTHER and raw.status < 400):
            said = f"the token service's answer (HTTP {raw.status}) holds no token"
            return Transient(raw.status, said, None, may_have_arrived=False)
        return error if is_ours else replace(error, kind=ErrorKind.SECRET)


def _lifetime(expires: object, raw: RawAnswer) -> float:
    """Return for how many seconds a token is used: until a little before its end by the server's own clock."""
    until = read_time(expires)
    if until is None:
        return _LIFETIME_IF_UNKNOWN_S
    now = date_of(raw.headers.get("date")) or datetime.now(timezone.utc)
    lifetime = (until - now.replace(tzinfo=None)).total_seconds()
    # A time in the past is a wrong clock somewhere: the token was made a moment ago.
    if lifetime <= 0:
        return _LIFETIME_IF_UNKNOWN_S
    return used_for(lifetime)
