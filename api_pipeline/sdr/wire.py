"""Send one request to TEC, again while TEC is busy, and return the meaning of its answer."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api_pipeline.errors import AlreadyRunning, AuthenticationRefused, ServiceUnavailable, SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.sdr.answers import (
    Acknowledged,
    Answer,
    Blocked,
    Malformed,
    NotUnderstood,
    Refused,
    TokenGone,
    Unreadable,
    WrongAddress,
    classify,
    has_known_code,
)
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.problem import read_problem
from api_pipeline.transport.body import without_mark
from api_pipeline.transport.exchange import Answered, Exchange, Unauthorised
from api_pipeline.transport.single_request import RawAnswer, Request, Transient, asked_wait_s, transient

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_SECRET_PARTS = re.compile(r"(/(?:token|validate|validation)[^/]*/)[^/?]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where TEC is and what its paths are called; `base` ends in /submissions/v1.0.

    `auth_header` is the header that carries the access token.
    """

    base: str
    eid: str
    paths: Mapping[Collection, str] = field(default_factory=lambda: {one: one.value for one in Collection})
    results_path: str = "validation/{token}/results"
    auth_header: str = "Authorization"


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """How long to wait in seconds while TEC is busy, and whether bodies are compressed.

    `read_timeout_s` is the time in which an earlier request of ours, whose answer was lost, may still be at work.
    """

    wait_blocked_s: float = 600.0
    read_timeout_s: float = 60.0
    gzip: bool = False


class Wire:
    """Sends one organisation's requests to TEC. `clock` gives monotonic seconds, `sleep` waits and may raise Stopped.

    `received` are the bytes of all answers so far.
    """

    def __init__(
        self,
        exchange: Exchange[Any],
        address: Address,
        request_options: RequestOptions,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._exchange = exchange
        self.address = address
        self._options = request_options
        self._clock = clock
        self.sleep = sleep
        self._gzip = request_options.gzip
        self._has_taken = False
        self.received = 0

    def log_in(self) -> None:
        """Get an access token from ESL, as the first call does by itself. Errors: those of the login."""
        self._exchange.log_in()

    def ask(
        self,
        method: str,
        path: str,
        setting: str,
        body: bytes | None = None,
        keys: Sequence[str] = (),
        *,
        may_be_empty: bool = False,
    ) -> Answer:
        """Send one request, again while TEC is busy. Errors: whatever no caller can handle."""
        answer = self._while_busy(lambda: self._send(method, path, body, keys, may_be_empty=may_be_empty))
        _raise_unusable(answer, path, setting, has_records=bool(keys))
        return answer

    def _while_busy(self, send: Callable[[], Answer]) -> Answer:
        """Return the first answer that says more than that TEC is busy, or the last of them after the longest wait."""
        waited_from = self._clock()
        wait = _FIRST_WAIT_S
        most = max(self._options.wait_blocked_s, self._options.read_timeout_s)
        while True:
            answer = send()
            if isinstance(answer, NotUnderstood) and self._gzip:
                self._gzip = False
                continue
            if not isinstance(answer, Blocked) or self._clock() - waited_from + max(wait, answer.wait_s) > most:
                return answer
            # Most likely the other request is our own, whose answer we gave up on.
            self.sleep(max(wait, answer.wait_s))
            wait = min(wait * 2, _LONGEST_WAIT_S)

    def _send(self, method: str, path: str, body: bytes | None, keys: Sequence[str], *, may_be_empty: bool) -> Answer:
        headers = {"EID": self.address.eid}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self._gzip:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body, 5)
        records = f" of {counted(len(keys), '{record|records}')}" if keys else ""
        request = Request(method, self.address.base + path, f"{method} {public(path)}{records}", headers, body)

        def read(raw: RawAnswer) -> Answer | Transient | Unauthorised:
            return self._read(raw, keys, may_be_empty=may_be_empty)

        answered: Answered[Answer] = self._exchange.send(request, read)
        if isinstance(answered.answer, Transient):
            raise ServiceUnavailable(
                f"TEC could not be reached or kept failing ({_network(answered.answer.reason)}); what was not taken "
                "stays due. Run again later; d2i-csc-api sdr test-endpoint shows the way to it."
            )
        if keys and isinstance(answered.answer, Acknowledged):
            self._has_taken = True
        return answered.answer

    def _read(self, raw: RawAnswer, keys: Sequence[str], *, may_be_empty: bool) -> Answer | Transient | Unauthorised:
        self.received += len(raw.body)
        if 200 <= raw.status < 300:
            return classify(raw.status, raw.body, keys, may_be_empty=may_be_empty)
        if 300 <= raw.status < 400:
            return Unreadable(f"HTTP {raw.status}, a redirect, as to a login page")
        problem = read_problem(raw.status, raw.body)
        answer = classify(raw.status, raw.body, keys)
        if isinstance(answer, Refused):
            return answer
        if raw.status == 401 or "AU2" in problem.codes:
            return Unauthorised(raw.status, problem.reason)
        if raw.status == 403 and not has_known_code(problem):
            # A firewall's page is about a record once the organisation's records were taken; else the token is meant.
            is_page = not without_mark(raw.body).lstrip().startswith(b"{")
            if not (is_page and keys and self._has_taken):
                return Unauthorised(raw.status, problem.reason)
            return Malformed(problem)
        if isinstance(answer, Blocked):
            return replace(answer, wait_s=asked_wait_s(raw) or 0.0)
        if isinstance(answer, TokenGone):
            return answer
        failure = transient(raw, f"HTTP {raw.status}")
        return failure if failure is not None else answer


def _raise_unusable(answer: Answer, path: str, setting: str, *, has_records: bool) -> None:
    """Raise the error for an answer that no caller can use; `setting` is what names the path."""
    match answer:
        case Unreadable(reason=reason) if has_records:
            raise ServiceUnavailable(
                f"TEC's answer at {public(path)} cannot be read ({reason}); what was sent is in doubt and is sent "
                "again by the next run. Check SDR_API_ENDPOINT and the proxy."
            )
        case Unreadable(reason=reason):
            raise ServiceUnavailable(
                f"TEC's answer at {public(path)} cannot be read ({reason}); check SDR_API_ENDPOINT and the proxy, and "
                "run again."
            )
        case WrongAddress(problem=problem):
            if setting == "SDR_PATH_RESULTS":
                raise SettingsError(
                    f"SDR_PATH_RESULTS: TEC has nothing at {public(path)} ({problem.code}); set the path that "
                    "TEC's API documentation gives for the results, then look again with d2i-csc-api sdr validate "
                    "PERIOD --resume."
                )
            raise SettingsError(
                f"{setting}: TEC has nothing at {public(path)} ({problem.code}); check {setting}"
                f"{'' if setting == 'SDR_API_ENDPOINT' else ' and SDR_API_ENDPOINT'}. Nothing was marked."
            )
        case Blocked(problem=problem):
            raise AlreadyRunning(
                f"TEC is busy with another request or a validation for this organisation ({problem.code}), longer than "
                "SDR_WAIT_BLOCKED_S; what was not taken stays due, so run again when it has ended."
            )
        case Refused(problem=problem) if "AU1" in problem.codes:
            raise AuthenticationRefused(
                "TEC does not know this machine account (AU1); ask the organisation's ESL administrator to "
                "register it with TEC's API, then run again."
            )
        case Refused(problem=problem):
            raise SettingsError(f"SDR_EID: TEC refused the EDUMIS number ({problem.code}); check SDR_EID.")


def refused_token(refusal: Unauthorised) -> AuthenticationRefused:
    """Return the error for an access token that TEC refused twice."""
    return AuthenticationRefused(
        f"TEC refused a fresh access token (HTTP {refusal.code}); check SDR_SCOPE, SDR_EID, "
        "SDR_AUTH_HEADER and SDR_API_ENDPOINT, and that the machine account is registered with TEC's API."
    )


def _network(reason: str) -> str:
    return reason.removeprefix("network error: ").removeprefix("TEC could not be reached") or "no connection"


def public(path: str) -> str:
    """Return a path without the submission token in it and without its query."""
    return _SECRET_PARTS.sub(r"\1***", path.partition("?")[0])
