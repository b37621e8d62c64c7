"""One HTTP request and its raw answer, limited in bytes and in time. It repeats nothing and knows no service."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import requests
import urllib3

from api_pipeline.common.private_files import remove_file
from api_pipeline.transport.body import (
    ACCEPTED_ENCODINGS,
    MAX_ANSWER_BYTES,
    UnusableBody,
    read_body,
    read_body_to_file,
    without_mark,
)
from api_pipeline.transport.connection import IN_FORCE, Deadline
from api_pipeline.transport.proxy import Refusal, RefusedTunnel, refused_tunnel
from api_pipeline.transport.retry_after import date_of, is_date_among, retry_after_seconds, wait_in_sentence

_LOG = logging.getLogger(__name__)
_PASSING = frozenset({408, 425, 429})
# A gateway that says one of these did not pass the request on; after other errors that is not known.
_NOT_PASSED_ON = frozenset({425, 429, 503})


class Reach(NamedTuple):
    """How a service is reached. `timeouts` are those of connecting and of one wait for the answer, in seconds.

    `peer` names the service in sentences. `is_abandoned` says that nobody waits for answers any more.
    """

    timeouts: tuple[float, float]
    user_agent: str = ""
    peer: str = "the receiver"
    is_abandoned: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Request:
    """One request. The log shows `label` and never `headers` or `url`, because these may hold secrets.

    `max_bytes` limits the answer after unpacking. `whole_s` is the time for the whole try in seconds; without it, it is
    twice the wait for the answer. An answer of more than `file_from_bytes` bytes comes in a file, which the caller
    removes.
    """

    method: str
    url: str
    label: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    max_bytes: int = MAX_ANSWER_BYTES
    whole_s: float | None = None
    file_from_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Status, headers (lower-case names; several of one name joined by ", ") and unpacked body, or the file of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    file: Path | None = None

    @property
    def size(self) -> int:
        """Return the bytes of the body."""
        return self.file.stat().st_size if self.file is not None else len(self.body)

    @property
    def begins_with_tag(self) -> bool:
        """Return whether the body begins as a web page does, which neither a receiver nor a token service writes."""
        return without_mark(self.body).lstrip()[:1] == b"<"

    @property
    def is_page(self) -> bool:
        """Return whether this is a web page, by its type or its beginning."""
        return "html" in self.headers.get("content-type", "").lower() or self.begins_with_tag

    def remove_file(self) -> None:
        """Remove the file, where there is one; what is in use on Windows stays for `remove_left_files`."""
        if self.file is not None:
            with suppress(OSError):
                remove_file(self.file)


class Transient(NamedTuple):
    """A transient error. `retry_after_s` is how long the answer asks to wait in seconds, or None.

    `may_have_arrived` is set where the service may have done what was asked in spite of the error. `is_by_own_clock` is
    set where the answer names the end of the wait as a date, and not its own time: then the wait is as right as this
    machine's clock.
    """

    code: int | None
    reason: str
    retry_after_s: float | None
    may_have_arrived: bool
    is_by_own_clock: bool = False


def ask(session: requests.Session, reach: Reach, request: Request) -> RawAnswer | Transient:
    """Send one request and return the whole answer, or the transient error that came instead."""
    began = time.monotonic()
    wait_s = reach.timeouts[1]
    deadline = Deadline(wait_s, request.whole_s or 2 * wait_s, reach.is_abandoned)
    in_force = IN_FORCE.set(deadline)
    try:
        response = session.request(
            request.method,
            request.url,
            data=request.body,
            headers=_headers(reach, request),
            timeout=reach.timeouts,
            allow_redirects=False,
            stream=True,
        )
        status = response.status_code
        body = _body(response, request)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        # requests lets some of urllib3's through, that of a host name which cannot be one for example.
        failure = _network_error(error, reach.peer, was_connecting=deadline.is_connecting)
    except UnusableBody as error:
        failure = Transient(status, f"HTTP {status}: {error}", None, may_have_arrived=True)
    else:
        _LOG.info("%s: HTTP %d in %.2f s", request.label, status, time.monotonic() - began)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if isinstance(body, Path):
            return RawAnswer(status, headers, b"", body)
        return RawAnswer(status, headers, body)
    finally:
        IN_FORCE.reset(in_force)
    _LOG.info("%s: %s after %.2f s", request.label, failure.reason, time.monotonic() - began)
    return failure


def _body(response: requests.Response, request: Request) -> bytes | Path:
    try:
        if request.file_from_bytes is None:
            return read_body(response, request.max_bytes)
        return read_body_to_file(response, request.max_bytes, request.file_from_bytes)
    except (UnusableBody, requests.RequestException):
        if not _passes(response.status_code):
            raise
        # A transient error means the same without its text, and its head may ask to wait.
        return b""


def transient(answer: RawAnswer, reason: str, now: datetime | None = None) -> Transient | None:
    """Return the transient error where the status is one (408, 425, 429, 5xx), else None.

    A date in `Retry-After` is compared with the answer's own, or with `now` (with a zone).
    """
    if not _passes(answer.status):
        return None
    is_by_own_clock = date_of(answer.headers.get("date")) is None and is_date_among(answer.headers.get("retry-after"))
    return Transient(
        answer.status,
        reason,
        asked_wait_s(answer, now),
        may_have_arrived=answer.status not in _NOT_PASSED_ON,
        is_by_own_clock=is_by_own_clock,
    )


def _passes(status: int) -> bool:
    return status in _PASSING or status >= 500


def asked_wait_s(answer: RawAnswer, now: datetime | None = None) -> float | None:
    """Return the seconds that an answer asks to wait, in its header or else in its text; None where it asks nothing.

    A date is compared with the answer's own, so that a wrong clock on this machine does not matter.
    """
    moment = date_of(answer.headers.get("date")) or now or datetime.now(timezone.utc)
    wait = retry_after_seconds(answer.headers.get("retry-after"), moment)
    return wait if wait is not None else wait_in_sentence(answer.body)


def _headers(reach: Reach, request: Request) -> dict[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": ACCEPTED_ENCODINGS, **request.headers}
    return {**headers, "User-Agent": reach.user_agent} if reach.user_agent else headers


def _network_error(error: Exception, peer: str, *, was_connecting: bool) -> Transient:
    """Return a connection error as a value; its text could quote a URL with a password, so only its kind is named."""
    is_tls = isinstance(error, requests.exceptions.SSLError)
    unreachable = any(name in repr(error) for name in ("NewConnectionError", "NameResolutionError", "LocationParse"))
    kinds = (
        (requests.ConnectTimeout, "no connection within CONNECT_TIMEOUT_S"),
        (requests.exceptions.ReadTimeout, "no answer within READ_TIMEOUT_S"),
        (requests.exceptions.ProxyError, _unusable_proxy(is_reached=not unreachable)),
    )
    what = next((text for kind, text in kinds if isinstance(error, kind)), None)
    if tunnel := refused_tunnel(repr(error)):
        what = _without_way(tunnel, peer)
    is_closed = any(name in repr(error) for name in ("SSLEOFError", "SSLZeroReturnError"))
    # Later than the greeting, an error of TLS is a connection that broke, unless the server says what it refuses.
    if is_tls and not is_closed and (was_connecting or "_ALERT_" in repr(error)):
        what = f"{peer}'s certificate or TLS was not accepted"
    elif what is None:
        what = f"{peer} could not be reached" if unreachable else "the connection was lost before an answer came"
    return Transient(None, f"network error: {what}", None, may_have_arrived=not was_connecting)


def _unusable_proxy(*, is_reached: bool) -> str:
    if is_reached:
        return "the proxy closed the connection; check PROXY_URL, or the system's proxy"
    return "the proxy could not be reached; check PROXY_URL, or the system's proxy"


def _without_way(tunnel: RefusedTunnel, peer: str) -> str:
    match tunnel.why:
        case Refusal.LOGIN:
            return f"the proxy requires a login, HTTP {tunnel.status}; check PROXY_URL and PROXY_AUTH"
        case Refusal.FORBIDDEN:
            return f"the proxy forbids the way to {peer}, HTTP {tunnel.status}; ask the network team to allow it"
        case Refusal.UNREACHED:
            return f"the proxy could not reach {peer} itself, HTTP {tunnel.status}; ask the network team if it stays so"
        case Refusal.OTHER:
            return f"the proxy did not open a way to {peer}, HTTP {tunnel.status}; check PROXY_URL"
