"""The School Data API on the wire: a token for each school, one question, and what became of it.

The body is looked at for an error before the code. What may pass is tried again; a refused token is renewed once; data
that are not ready are asked for again until a deadline; pages are asked for only where the server forces them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import orjson
import requests

from api_pipeline.errors import PipelineError, ServiceUnavailable
from api_pipeline.transport.exchange import Answered, Exchange, Unauthorised
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.retry import RetryPolicy, TransientError, retrying
from api_pipeline.transport.single_request import RawAnswer, Reach, Request, Transient, ask, transient
from api_pipeline.xporter.answer import Answer, ApiError, ErrorKind, is_not_ready, read_answer, read_error, unwrapped
from api_pipeline.xporter.big_json import BadJson, read_members
from api_pipeline.xporter.consent import read_scopes, read_time

GET_SCHOOLS = "/api/XporterOnDemand/GetXodSchools"
SCOPES = "/api/v1/Scopes"
IN_MEMORY_BYTES = 32 * 1024 * 1024
MOST_BYTES = 2 * 1024 * 1024 * 1024
_MOST_TOKEN_BYTES = 64 * 1024
_RENEW_EARLY_S = 300.0
_RENEW_EARLY_SHARE = 0.1
_LIFETIME_IF_UNKNOWN_S = 600.0
# A cold cache is slow, and a whole school is large: so many waits may pass before an answer is whole.
_WHOLE_WAITS = 5
_MOST_PAGES = 100_000
_MOST_ROUNDS = 3
_PEER = "the School Data API"


class Outcome:
    """The words for what became of a question, as the tables keep them."""

    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    PAUSED = "paused"
    NO_SCOPE = "no scope"
    NOT_FOUND = "not found"
    NOT_SUPPORTED = "not supported"
    NOT_READY = "not ready"
    ERROR = "error"


class Failed(PipelineError):
    """A question got no data. `outcome` is a word of Outcome; the text holds nothing that the answer quoted."""

    def __init__(self, outcome: str, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.text = text


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is, as which application we ask, and how patiently. Times are in seconds."""

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
    proxy_url: str | None = None
    in_memory_bytes: int = IN_MEMORY_BYTES


@dataclass(frozen=True, slots=True)
class Watch:
    """What a client tells: each request, and each token that came, so that it can be kept out of the logs."""

    on_request: Callable[[], None] = lambda: None
    on_token: Callable[[str], None] = lambda _token: None
    is_abandoned: Callable[[], bool] = lambda: False


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

    def __init__(
        self,
        session: requests.Session,
        access: Access,
        who: tuple[str, str],
        limiter: RateLimiter,
        clock: Callable[[], float],
        watch: Watch,
    ) -> None:
        self._session = session
        self._access = access
        self._estab, self._secret = who
        self._limiter = limiter
        self._clock = clock
        self._watch = watch
        self._lock = threading.Lock()
        self._token: IdaasToken | None = None
        self._taken = 1

    def token(self) -> IdaasToken:
        """Return a token that has not expired. Errors: Failed, Stopped."""
        token = self._token
        return token if token is not None and self._clock() < token.renew_at else self._fetch_unless_newer(token)

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
            policy = RetryPolicy(self._access.max_attempts, self._access.retry_max_wait_s)
            try:
                found = retrying(policy, self._limiter)(self._fetch)
            except TransientError as error:
                raise Failed(Outcome.UNAVAILABLE, f"no token: {error.fault.reason}") from None
            if isinstance(found, ApiError):
                raise _failed(found)
            value, lifetime = found
            self._token = IdaasToken(value, self._clock() + lifetime, current.generation + 1 if current else 1)
            return self._token

    def _fetch(self) -> tuple[str, float] | ApiError:
        members = {
            **{"estab": self._estab, "relyingParty": self._access.relying_party},
            **{"password": self._secret, "thirdpartyid": "XporterOnDemand"},
        }
        request = Request(
            *("POST", self._access.token_url, f"token of {self._estab or 'the management secret'}"),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(members),
            max_bytes=_MOST_TOKEN_BYTES,
        )
        with self._limiter.passage():
            self._watch.on_request()
            raw = ask(self._session, _reach(self._access, self._watch), request)
        if isinstance(raw, Transient):
            raise TransientError(raw)
        return self._read(raw)

    def _read(self, raw: RawAnswer) -> tuple[str, float] | ApiError:
        passing = transient(raw, f"the token service answered HTTP {raw.status}")
        answer = _members(raw)
        named = {name.lower(): value for name, value in (answer or {}).items()}
        token = named.get("token")
        if isinstance(token, Mapping):
            token = token.get("token")
        if isinstance(token, str) and token.isascii() and token.strip() and raw.status == 200:
            self._watch.on_token(token)
            return token, _lifetime(named.get("expires"), raw)
        error = read_error(answer, raw.status) if answer is not None else None
        is_ours = error is not None and error.kind in (ErrorKind.SECRET, ErrorKind.PAUSED)
        if passing is not None and not is_ours:
            raise TransientError(passing)
        if error is None or (error.kind is ErrorKind.OTHER and raw.status < 400):
            said = f"the token service's answer (HTTP {raw.status}) holds no token"
            raise TransientError(Transient(raw.status, said, None, may_have_arrived=False))
        return error if is_ours else replace(error, kind=ErrorKind.SECRET)


class IdaasClient:
    """Asks as one school, or with the management secret (`estab` ""). Its limiter passes one request at a time."""

    def __init__(
        self,
        session: requests.Session,
        access: Access,
        who: tuple[str, str],
        limiter: RateLimiter,
        clock: Callable[[], float],
        watch: Watch,
    ) -> None:
        self._access = access
        self._estab = who[0]
        self._limiter = limiter
        self._clock = clock
        self._exchange: Exchange[IdaasToken] = Exchange(
            session,
            _reach(access, watch),
            IdaasTokens(session, access, who, limiter, clock, watch),
            policy=RetryPolicy(access.max_attempts, access.retry_max_wait_s),
            limiter=limiter,
            refused=lambda answer: Failed(Outcome.REFUSED, f"a fresh token was refused (HTTP {answer.code})"),
            scheme="Idaas",
            on_request=watch.on_request,
        )

    def __repr__(self) -> str:
        return f"IdaasClient({self._estab or 'management'!r})"

    def schools(self) -> Mapping[str, Any]:
        """Return the list of our schools as it came. Errors: Failed, Stopped."""
        with self._asked(GET_SCHOOLS, [("includePendingAuthorisation", "true")]) as (body, _):
            return dict(unwrapped(body))

    def scopes(self) -> frozenset[str] | None:
        """Return the scopes of the school's token; None where the answer names none. Errors: Failed, Stopped."""
        with self._asked(SCOPES, []) as (body, _):
            named = {name.lower(): value for name, value in body.items()}
            return read_scopes(named.get("scopes"))

    def first_page(self, path: str, query: list[tuple[str, str]]) -> Answer:
        """Return one answer as it comes, without its other pages. Errors: Failed, Stopped."""
        with self._asked(path, query) as (body, size):
            return read_answer(unwrapped(body), size)

    @contextmanager
    def data(self, path: str, query: list[tuple[str, str]]) -> Iterator[Answer]:
        """Give the whole answer of a question, one snapshot, until the end of the block. Errors: Failed, Stopped."""
        until = self._clock() + self._access.ready_wait_s
        first = [("pagesize", str(self._access.page_size)), ("page", "1")] if self._access.page_size else []
        with ExitStack() as opened:
            while (found := self._ready(opened, path, [*query, *first])) is None:
                if self._clock() + self._access.ready_poll_s > until:
                    raise Failed(Outcome.NOT_READY, "the data were not ready in time (XPORTER_READY_WAIT_S)")
                self._limiter.sleep(self._access.ready_poll_s)
            body, size = found
            yield self._all_pages(path, query, read_answer(unwrapped(body), size))

    def _ready(
        self, opened: ExitStack, path: str, query: list[tuple[str, str]]
    ) -> tuple[Mapping[str, Any], int] | None:
        """Return the members of an answer, None where it says that the data are not ready."""
        try:
            body, size = opened.enter_context(self._asked(path, query))
        except Failed as failure:
            if failure.outcome == Outcome.NOT_READY:
                return None
            raise
        return None if is_not_ready(body) else (body, size)

    def _all_pages(self, path: str, query: list[tuple[str, str]], first: Answer) -> Answer:
        """Return an answer with the rows of every page; a round whose pages disagree begins again."""
        for _ in range(_MOST_ROUNDS):
            page = first.page
            if page is None or page.count <= 1:
                return first
            if page.count > _MOST_PAGES:
                break
            joined = self._joined(path, query, first)
            if joined is not None:
                return joined
            size = self._page_query(first, 1)
            with self._asked(path, [*query, *size]) as (body, received):
                first = read_answer(unwrapped(body), received)
        raise Failed(Outcome.UNAVAILABLE, "the pages of one round did not belong together, three times")

    def _joined(self, path: str, query: list[tuple[str, str]], first: Answer) -> Answer | None:
        assert first.page is not None  # noqa: S101 - the caller looked
        tables = {name: list(rows) for name, rows in first.tables.items()}
        received = first.received_bytes
        for number in range(2, first.page.count + 1):
            with self._asked(path, [*query, *self._page_query(first, number)]) as (body, size):
                answer = read_answer(unwrapped(body), size)
                page = answer.page
                agrees = page is not None and (page.count, page.rows) == (first.page.count, first.page.rows)
                if not agrees or answer.next_hash != first.next_hash:
                    return None
                received += size
                for name, rows in answer.tables.items():
                    tables.setdefault(name, []).extend(rows)
        longest = max((len(rows) for rows in tables.values()), default=0)
        if first.page.rows is not None and longest != first.page.rows:
            return None
        return replace(first, tables=tables, received_bytes=received)

    def _page_query(self, first: Answer, number: int) -> list[tuple[str, str]]:
        longest = max((sum(1 for _ in rows) for rows in first.tables.values()), default=0)
        return [("pagesize", str(self._access.page_size or longest or 1000)), ("page", str(number))]

    @contextmanager
    def _asked(self, path: str, query: list[tuple[str, str]]) -> Iterator[tuple[Mapping[str, Any], int]]:
        """Give the members of a JSON answer that is no error. Errors: Failed, Stopped."""
        request = Request(
            *("GET", f"{self._access.base_url.rstrip('/')}{path}?{urlencode(query)}".rstrip("?"), path),
            max_bytes=MOST_BYTES,
            file_from_bytes=self._access.in_memory_bytes,
            whole_s=_WHOLE_WAITS * self._access.timeouts[1],
        )
        try:
            sent: Answered[_Found | ApiError] = self._exchange.send(request, _read)
            found = sent.answer
        except ServiceUnavailable as error:
            raise Failed(Outcome.UNAVAILABLE, str(error)) from None
        if isinstance(found, Transient):
            raise Failed(Outcome.UNAVAILABLE, found.reason)
        if isinstance(found, ApiError):
            raise _failed(found)
        try:
            yield found.members, found.raw.size
        finally:
            found.raw.remove_file()


@dataclass(frozen=True, slots=True)
class _Found:
    members: Mapping[str, Any]
    raw: RawAnswer


def _read(raw: RawAnswer) -> _Found | ApiError | Transient | Unauthorised:
    """Return what an answer means: an error that the body states comes before the code."""
    kept = False
    try:
        members = _members(raw)
        said = f"the answer (HTTP {raw.status}) is not the API's JSON"
        if members is None and raw.status not in (401, 403, 404):
            return transient(raw, said) or Transient(raw.status, said, None, may_have_arrived=True)
        error = read_error(members or {}, raw.status)
        if error is None and members is not None:
            kept = raw.status < 300
            moved = Transient(
                raw.status, f"the answer is a redirection (HTTP {raw.status})", None, may_have_arrived=False
            )
            return _Found(members, raw) if kept else moved
        assert error is not None  # noqa: S101 - without members the code is an error's
        return _after_error(raw, error)
    finally:
        if not kept:
            raw.remove_file()


def _after_error(raw: RawAnswer, error: ApiError) -> ApiError | Transient | Unauthorised:
    if error.kind is ErrorKind.TOKEN:
        return Unauthorised(raw.status, _said(error))
    said = f"the API stated an error ({_said(error)})"
    passing = transient(raw, said)
    if error.kind is ErrorKind.OTHER:
        # An error under a code that says all is well may be gone a moment later.
        return passing or Transient(
            raw.status, f"the API stated an error ({_said(error)})", None, may_have_arrived=True
        )
    return error


def _reach(access: Access, watch: Watch) -> Reach:
    return Reach(access.timeouts, access.user_agent, access.proxy_url, _PEER, watch.is_abandoned)


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


def _members(raw: RawAnswer) -> Mapping[str, Any] | None:
    """Return the members of a JSON object, None where the body is none."""
    try:
        if raw.file is not None:
            return read_members(raw.file)
        found = orjson.loads(raw.body.removeprefix(b"\xef\xbb\xbf"))
    except (orjson.JSONDecodeError, BadJson):
        return None
    return found if isinstance(found, dict) else None


_OUTCOMES = {
    ErrorKind.SECRET: (Outcome.REFUSED, "the token service does not accept the school's secret"),
    ErrorKind.PAUSED: (Outcome.PAUSED, "the school has paused its consent while it chooses people"),
    ErrorKind.SCOPE: (Outcome.NO_SCOPE, "the school's consent does not cover this"),
    ErrorKind.TOKEN: (Outcome.REFUSED, "a fresh token was refused"),
    ErrorKind.NOT_FOUND: (Outcome.NOT_FOUND, "the API does not know this address"),
    ErrorKind.NOT_READY: (Outcome.NOT_READY, "the data are not ready"),
    ErrorKind.NOT_SUPPORTED: (Outcome.NOT_SUPPORTED, "the school's system does not support this"),
}


def _failed(error: ApiError) -> Failed:
    outcome, text = _OUTCOMES.get(error.kind, (Outcome.ERROR, "the API stated an error"))
    return Failed(outcome, f"{text} ({_said(error)})")


def _said(error: ApiError) -> str:
    return f"HTTP {error.http_code}{', ' + error.type_name if error.type_name else ''}"
