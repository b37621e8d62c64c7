"""Requests to the School Data API: one request, and its outcome.

What may pass is tried again; a refused token is renewed once; data that are not ready are asked for again until a
deadline; pages are asked for only where the server forces them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlencode

from api_pipeline.auth.token_provider import Token
from api_pipeline.errors import ServiceUnavailable
from api_pipeline.transport.exchange import Answered, Exchange, Unauthorised
from api_pipeline.transport.single_request import RawAnswer, Request, Transient
from api_pipeline.xporter.catalogue import Endpoint
from api_pipeline.xporter.consent import read_scopes
from api_pipeline.xporter.values import member_of
from api_pipeline.xporter.wire.access import Access, Caller, Failed, Outcome, TokenRefused
from api_pipeline.xporter.wire.answer import Answer, ApiError, ErrorKind, is_not_ready, read_answer, unwrapped
from api_pipeline.xporter.wire.paging import paging, whole_answer
from api_pipeline.xporter.wire.posting import Posted, Taken, read_posted
from api_pipeline.xporter.wire.reading import Found, failed, read
from api_pipeline.xporter.wire.tokens import IdaasTokens

Query = Iterable[tuple[str, str]]

GET_SCHOOLS = "/api/XporterOnDemand/GetXodSchools"
SCOPES = "/api/v1/Scopes"
GDPR_IDS = "/api/v1/GDPRIDs"
_MOST_BYTES = 2 * 1024 * 1024 * 1024
# A cold cache is slow, and a whole school is large: so many waits may pass before an answer is whole.
_WHOLE_WAITS = 5


class IdaasClient:
    """Send requests as one school, or with the management secret."""

    def __init__(self, access: Access, estab: str, secret: str, on_request: Callable[[], None] = lambda: None) -> None:
        caller = Caller(access, estab, secret, on_request)
        self.access = access
        self._estab = estab
        self._limiter = caller.limiter
        self._exchange: Exchange[Token] = Exchange(
            access.session,
            caller.reach,
            IdaasTokens(caller),
            policy=caller.policy,
            limiter=caller.limiter,
            refused=_refused,
            scheme="Idaas",
            on_request=on_request,
        )

    def __repr__(self) -> str:
        return f"IdaasClient({self._estab or 'management'!r})"

    def sleep(self, seconds: float) -> None:
        """Wait between two requests. Errors: Stopped."""
        self._limiter.sleep(seconds)

    def stop(self) -> None:
        """Send no more requests, and end every wait between them."""
        self._limiter.stop()

    def schools(self) -> Mapping[str, Any]:
        """Return the list of our schools as it came. Errors: Failed, Stopped."""
        with self._asked(GET_SCHOOLS, [("includePendingAuthorisation", "true")]) as (body, _):
            return dict(unwrapped(body))

    def scopes(self) -> frozenset[str] | None:
        """Return the scopes of the school's token; None where the answer names none. Errors: Failed, Stopped."""
        with self._asked(SCOPES, []) as (body, _):
            return read_scopes(member_of(body, "scopes"))

    def gdpr_ids(self) -> tuple[frozenset[str], ...] | None:
        """Return whom the API lists for data protection, each as the ids in their entry. Errors: Failed.

        The members of an entry are not published: whatever stands in it may be an id. None where there is no list.
        """
        with self._asked(GDPR_IDS, []) as (body, _):
            found = member_of(unwrapped(body), "gdpr")
            if not isinstance(found, list):
                return None
            entries = (list(entry.values()) if isinstance(entry, Mapping) else [entry] for entry in found)
            return tuple(frozenset(str(value) for value in entry if value is not None) for entry in entries)

    def first_page(
        self, endpoint: Endpoint, query: Query = (), options: Iterable[str] = (), rows: int | None = None
    ) -> Answer:
        """Return one answer of an endpoint as it comes, without its other pages. Errors: Failed, Stopped.

        `rows` is how many of them a page is to hold.
        """
        page = [] if rows is None else paging(rows, 1)
        path, sent = self._address(endpoint, query, options)
        with self._answer(path, [*sent, *page]) as answer:
            return answer

    def _address(self, endpoint: Endpoint, query: Query, options: Iterable[str]) -> tuple[str, list[tuple[str, str]]]:
        """Return where the school's data of an endpoint are read, and with which query."""
        path = self.access.paths.get(endpoint.name.lower()) or endpoint.path or ""
        return path.replace("{estab}", self._estab), [*query, *self.access.options(options)]

    def post(self, path: str, body: bytes, *, is_repeatable: bool = True) -> Posted:
        """Send one request that writes, once, and return what its answer leaves open. Errors: Failed, Stopped.

        Where a token is refused, the request is sent again with a new one, if it `is_repeatable`.
        """
        request = Request(
            *("POST", f"{self.access.base_url.rstrip('/')}{path}", path),
            headers={"Content-Type": "application/json"},
            body=body,
            whole_s=_WHOLE_WAITS * self.access.timeouts[1],
        )
        unclear: list[Transient] = []

        def reading(raw: RawAnswer) -> Posted | ApiError | Transient | Unauthorised:
            answer = read_posted(raw)
            if isinstance(answer, Unauthorised) and not is_repeatable:
                # The refusal may have been made after the writing. The next request gets the new token.
                text = f"the token was refused ({answer.reason})"
                answer = Transient(answer.code, text, None, may_have_arrived=False)
            unclear.extend([answer] if isinstance(answer, Transient) and answer.may_have_arrived else ())
            return answer

        try:
            sent: Answered[Posted | ApiError] = self._exchange.send(request, reading, max_attempts=1)
        except ServiceUnavailable as error:
            # A wait longer than a run waits, asked for before anything was written.
            if not unclear:
                raise Failed(Outcome.UNAVAILABLE, str(error).rstrip(".")) from None
            return Posted(Taken.UNKNOWN, str(error))
        answer = sent.answer
        if isinstance(answer, Transient):
            return Posted(Taken.UNKNOWN if answer.may_have_arrived else Taken.NOT_SENT, answer.reason)
        if isinstance(answer, ApiError):
            raise failed(answer)
        return answer

    @contextmanager
    def data(
        self,
        endpoint: Endpoint,
        query: Query = (),
        options: Iterable[str] = (),
        max_attempts: int | None = None,
    ) -> Iterator[Answer]:
        """Give the whole answer of an endpoint, one snapshot, until the end of the block. Errors: Failed, Stopped.

        `max_attempts` allows fewer tries of its first request than the settings do.
        """
        path, sent = self._address(endpoint, query, options)
        size, until = self.access.page_size, self.access.clock() + self.access.ready_wait_s
        page = paging(size, 1) if size else []
        with ExitStack() as opened:
            while (first := self._ready(opened, path, [*sent, *page], max_attempts)) is None:
                if self.access.clock() + self.access.ready_poll_s > until:
                    raise Failed(Outcome.NOT_READY, "the data were not ready in time (XPORTER_READY_WAIT_S)")
                self._limiter.sleep(self.access.ready_poll_s)
            yield whole_answer(first, size, lambda other: self._answer(path, [*sent, *other]), opened)

    def _ready(
        self, opened: ExitStack, path: str, query: list[tuple[str, str]], max_attempts: int | None
    ) -> Answer | None:
        """Return an answer, None where it says that the data are not ready."""
        try:
            body, size = opened.enter_context(self._asked(path, query, max_attempts))
        except Failed as failure:
            if failure.outcome == Outcome.NOT_READY:
                return None
            raise
        return None if is_not_ready(body) else read_answer(unwrapped(body), size)

    @contextmanager
    def _answer(self, path: str, query: list[tuple[str, str]]) -> Iterator[Answer]:
        with self._asked(path, query) as (body, size):
            yield read_answer(unwrapped(body), size)

    @contextmanager
    def _asked(
        self, path: str, query: list[tuple[str, str]], max_attempts: int | None = None
    ) -> Iterator[tuple[Mapping[str, Any], int]]:
        """Give the members of a JSON answer that is not an error. Errors: Failed, Stopped."""
        request = Request(
            *("GET", f"{self.access.base_url.rstrip('/')}{path}?{urlencode(query)}".rstrip("?"), path),
            max_bytes=_MOST_BYTES,
            file_from_bytes=self.access.in_memory_bytes,
            whole_s=_WHOLE_WAITS * self.access.timeouts[1],
        )
        try:
            sent: Answered[Found | ApiError] = self._exchange.send(request, read, max_attempts)
            found = sent.answer
        except ServiceUnavailable as error:
            raise Failed(Outcome.UNAVAILABLE, str(error), ends_school=True) from None
        except TokenRefused as refusal:
            if path == SCOPES or refusal.outcome == Outcome.NO_SCOPE or not self._is_token_taken():
                raise
            text = f"{refusal.text} though the API accepts it elsewhere; the school's consent may not cover this"
            raise Failed(Outcome.NO_SCOPE, text) from None
        if isinstance(found, Transient):
            raise Failed(Outcome.UNAVAILABLE, found.reason)
        if isinstance(found, ApiError):
            raise failed(found)
        try:
            yield found.members, found.raw.size
        finally:
            found.raw.remove_file()

    def _is_token_taken(self) -> bool:
        """Return whether the API takes the school's token at all: 401 may be said of a missing scope as well."""
        if not self._estab:
            return False
        try:
            with self._asked(SCOPES, [], max_attempts=1):
                return True
        except Failed:
            return False


def _refused(answer: Unauthorised) -> TokenRefused:
    """Return the error for a token that was refused though it is fresh."""
    if answer.code == 403:
        outcome, text = ErrorKind.FORBIDDEN.value
        return TokenRefused(outcome, f"{text} (HTTP 403)")
    return TokenRefused(Outcome.REFUSED, f"a fresh token was refused (HTTP {answer.code})")
