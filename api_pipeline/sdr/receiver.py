"""TEC on the wire: one method for each call, and a value or a sentence for whatever comes back (facts 1 to 8).

Requests go one at a time. A refused access token, an error that may pass and a `Retry-After` are `transport.exchange`'s
to meet; what is met here is the answer that says that another request is at work.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from api_pipeline.errors import (
    AlreadyRunning,
    AuthenticationRefused,
    ReceiverDeclined,
    ServiceUnavailable,
    SettingsError,
)
from api_pipeline.logs.plain_text import harmless
from api_pipeline.sdr import returns
from api_pipeline.sdr.answers import (
    Acknowledged,
    Answer,
    Blocked,
    Malformed,
    NotUnderstood,
    Problem,
    Refused,
    TokenGone,
    TooLarge,
    Unreadable,
    WrongAddress,
    classify,
    read_problem,
)
from api_pipeline.sdr.delivery import Verdict
from api_pipeline.sdr.difference import envelope
from api_pipeline.sdr.nouns import FILE_TYPES, Collection, ReturnPeriod, SubmissionToken, TecFinding, Validation
from api_pipeline.transport.exchange import Answered, Exchange, Unauthorised
from api_pipeline.transport.single_request import RawAnswer, Request, Transient, transient

BASE = "/submissions/v1.0"
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_LONGEST_WORDS = 200
_SECRET_PARTS = re.compile(r"(/(?:token|validate|validation)[^/]*/)[^/?]+")


class TokenIsGone(Exception):
    """TEC does not find the submission token any more; a new one is needed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


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
class Manners:
    """How patient and how compact: seconds that a blocked request is waited for, and whether bodies are compressed.

    `read_timeout_s` is the time in which an earlier request of ours, whose answer was lost, may still be at work.
    """

    wait_blocked_s: float = 600.0
    read_timeout_s: float = 60.0
    gzip: bool = False


class TecReceiver:
    """Speaks to TEC for one organisation. `clock` gives monotonic seconds, `sleep` waits and may raise Stopped."""

    def __init__(
        self,
        exchange: Exchange[Any],
        address: Address,
        manners: Manners,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_secret: Callable[[str], None] = lambda _token: None,
    ) -> None:
        self._exchange = exchange
        self._address = address
        self._manners = manners
        self._clock = clock
        self.sleep = sleep
        self._on_secret = on_secret
        self._gzip = manners.gzip
        self.has_taken = False

    def log_in(self) -> None:
        """Get an access token from ESL, as the first call does by itself. Errors: those of the login."""
        self._exchange.log_in()

    def returns(self) -> list[ReturnPeriod]:
        """Return every return that TEC lists for the organisation, the indicative ones among them."""

        def ask(page: int | None) -> Mapping[str, Any] | None:
            number = "" if page is None else f"&page={page}"
            return self._page("GET", f"/returns?includeIndicative=true{number}", "SDR_API_ENDPOINT")

        entries = returns.read_all(ask, _return_id)
        found = (returns.period_of(entry) for entry in entries if isinstance(entry, dict))
        return [one for one in found if one is not None]

    def token(self, return_id: int) -> SubmissionToken:
        """Return a submission token for a period. Errors: ReceiverDeclined, AlreadyRunning and those of every call."""
        asked = datetime.now(timezone.utc)
        match self._ask("POST", f"/token/{return_id}", "SDR_API_ENDPOINT"):
            case Acknowledged(content=content) if isinstance(content.get("submissionToken"), (str, int)):
                return self._token_of(content, return_id, asked)
            case Acknowledged():
                raise ServiceUnavailable("TEC's answer holds no submission token; nothing was sent, try again later.")
            case Blocked(problem=problem):
                raise AlreadyRunning(_BLOCKED.format(code=problem.code))
            case other:
                raise _declined(other, "declined the submission token; nothing was sent", tells=True)

    def _token_of(self, content: Mapping[str, Any], return_id: int, asked: datetime) -> SubmissionToken:
        value = str(content["submissionToken"])
        self._on_secret(value)
        limits = [returns.whole(content.get(name)) for name in ("maxBatchSize", "maxRecordPerBatch")]
        known = [limit for limit in limits if limit is not None and limit >= 1]
        return SubmissionToken(
            value,
            return_id,
            asked,
            returns.time_of(content.get("tokenExpiry")),
            min(known) if known else None,
            str(content.get("submissionStatus") or ""),
        )

    def learn(self, token: str) -> None:
        """Keep a submission token that was stored by an earlier run out of the logs."""
        self._on_secret(token)

    def put(self, collection: Collection, token: str, keys: Sequence[str], bodies: Sequence[bytes]) -> Verdict:
        """Upload records; the answer is a value. Errors: TokenIsGone, AlreadyRunning and those of every call."""
        return self._records("PUT", collection, token, keys, bodies)

    def delete(self, collection: Collection, token: str, keys: Sequence[str], bodies: Sequence[bytes]) -> Verdict:
        """Delete records; the answer is a value. Errors: as `put`."""
        return self._records("DELETE", collection, token, keys, bodies)

    def _records(
        self, method: str, collection: Collection, token: str, keys: Sequence[str], bodies: Sequence[bytes]
    ) -> Verdict:
        path = self._address.paths[collection]
        setting = f"SDR_PATH_{collection.name}"
        answer = self._ask(method, f"/{path}", setting, envelope(token, list(bodies)), keys)
        match answer:
            case TokenGone(problem=problem):
                raise TokenIsGone(problem)
            case Blocked(problem=problem):
                raise AlreadyRunning(_BLOCKED.format(code=problem.code))
            case Acknowledged():
                self.has_taken = True
                return answer
            case Malformed() | TooLarge():
                return answer
            case other:
                raise _declined(other, "declined the records; they stay due")

    def validate(self, token: str) -> Validation:
        """Ask TEC to validate. Errors: TokenIsGone, ReceiverDeclined, AlreadyRunning and those of every call."""
        advice = ": where nothing was submitted yet there is nothing to validate"
        return self._validation("POST", f"/validate/{_part(token)}", "did not start the validation", advice)

    def validation(self, token: str) -> Validation:
        """Return how the validation stands. Errors: as `validate`."""
        return self._validation("GET", f"/validation/{_part(token)}", "did not say how the validation stands")

    def _validation(self, method: str, path: str, what: str, advice: str = "") -> Validation:
        match self._ask(method, path, "SDR_API_ENDPOINT"):
            case Acknowledged(content=content):
                return _validation_of(content)
            case TokenGone(problem=problem):
                raise TokenIsGone(problem)
            case Blocked(problem=problem):
                raise AlreadyRunning(_BLOCKED.format(code=problem.code))
            case other:
                raise _declined(other, what, advice=advice)

    def findings(self, token: str) -> list[TecFinding]:
        """Return the results of the last validation, in TEC's order. Errors: TokenIsGone, and those of every call."""
        own = "/" + self._address.results_path.replace("{token}", _part(token)).lstrip("/")
        try:
            return self._findings(own)
        except SettingsError as error:
            # The workflow page knows one address for status and results; which of both it is shows the shape.
            with suppress(SettingsError):
                return self._findings(f"/validation/{_part(token)}")
            raise error from None

    def _findings(self, path: str) -> list[TecFinding]:
        def ask(page: int | None) -> Mapping[str, Any] | None:
            number = "" if page is None else f"?page={page}"
            content = self._page("GET", f"{path}{number}", "SDR_PATH_RESULTS")
            if content is not None and "results" not in content:
                raise SettingsError(
                    f"SDR_PATH_RESULTS: TEC's answer at {_public(path)} holds no validation results; set the path that "
                    "TEC's API documentation gives for them, then look again with d2i-csc-api sdr validate --resume."
                )
            return content

        # Two rules may say the same of the same record, so results are told apart by their place alone.
        entries = returns.read_all(ask, lambda call, place, _: (call, place))
        return [_finding(number, entry) for number, entry in enumerate(entries, 1) if isinstance(entry, dict)]

    def reset(self, token: str) -> None:
        """Delete the submission of a token; one that is gone already is deleted. Errors: those of every call."""
        match self._ask("DELETE", f"/token/{_part(token)}/delete", "SDR_API_ENDPOINT"):
            case Acknowledged() | TokenGone():
                return
            case Blocked(problem=problem):
                raise AlreadyRunning(_BLOCKED.format(code=problem.code))
            case other:
                raise _declined(other, "did not reset the submission")

    def _page(self, method: str, path: str, setting: str) -> Mapping[str, Any] | None:
        """Return a page of a list, None for one behind the last (PR2)."""
        match self._ask(method, path, setting):
            case Acknowledged(content=content):
                return content
            case TokenGone(problem=problem):
                raise TokenIsGone(problem)
            case Blocked(problem=problem):
                raise AlreadyRunning(_BLOCKED.format(code=problem.code))
            case other:
                said = getattr(other, "problem", None)
                if isinstance(said, Problem) and "PR2" in said.codes:
                    return None
                raise _declined(other, "refused the request")

    def _ask(self, method: str, path: str, setting: str, body: bytes | None = None, keys: Sequence[str] = ()) -> Answer:
        """Send one request and wait while another is at work; raise what no caller can go on from."""
        waited_from = self._clock()
        wait = _FIRST_WAIT_S
        most = max(self._manners.wait_blocked_s, self._manners.read_timeout_s)
        while True:
            answer = self._send(method, path, body, keys)
            if isinstance(answer, NotUnderstood) and self._gzip:
                self._gzip = False
                continue
            if not isinstance(answer, Blocked) or self._clock() - waited_from + wait > most:
                break
            # Most likely the other request is our own, whose answer we gave up on.
            self.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_S)
        match answer:
            case Unreadable(reason=reason):
                raise ServiceUnavailable(
                    f"TEC's answer cannot be read ({reason}); what was sent is in doubt and is sent again by the next "
                    "run. Check SDR_API_ENDPOINT and the proxy."
                )
            case WrongAddress(problem=problem):
                if setting == "SDR_PATH_RESULTS":
                    raise SettingsError(
                        f"SDR_PATH_RESULTS: TEC has nothing at {_public(path)} ({problem.code}); set the path that "
                        "TEC's API documentation gives for the results, then look again with d2i-csc-api sdr validate "
                        "--resume."
                    )
                raise SettingsError(
                    f"{setting}: TEC has nothing at {_public(path)} ({problem.code}); check {setting}"
                    f"{'' if setting == 'SDR_API_ENDPOINT' else ' and SDR_API_ENDPOINT'}. Nothing was marked."
                )
            case Refused(problem=problem) if "AU1" in problem.codes:
                raise AuthenticationRefused(
                    "TEC does not know this machine account (AU1); ask the organisation's ESL administrator to "
                    "register it with TEC's API, then run again."
                )
            case Refused(problem=problem):
                raise SettingsError(f"SDR_EID: TEC refused the EDUMIS number ({problem.code}); check SDR_EID.")
        return answer

    def _send(self, method: str, path: str, body: bytes | None, keys: Sequence[str]) -> Answer:
        headers = {"EID": self._address.eid}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self._gzip:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body, 5)
        records = f" of {len(keys)} records" if keys else ""
        request = Request(method, self._address.base + path, f"{method} {_public(path)}{records}", headers, body)

        def read(raw: RawAnswer) -> Answer | Transient | Unauthorised:
            return self._read(raw, keys)

        answered: Answered[Answer] = self._exchange.send(request, read)
        if isinstance(answered.answer, Transient):
            raise ServiceUnavailable(
                f"TEC could not be reached or kept failing ({_network(answered.answer.reason)}); what was not taken "
                "stays due. Run again later; d2i-csc-api sdr test-endpoint shows the way to it."
            )
        return answered.answer

    def _read(self, raw: RawAnswer, keys: Sequence[str]) -> Answer | Transient | Unauthorised:
        if 200 <= raw.status < 300:
            return classify(raw.status, raw.body, keys)
        if 300 <= raw.status < 400:
            return Unreadable(f"HTTP {raw.status}, a redirect, as to a login page")
        problem = read_problem(raw.status, raw.body)
        if raw.status == 401 or "AU2" in problem.codes:
            return Unauthorised(raw.status, problem.reason)
        if raw.status == 403 and not problem.codes:
            # A firewall's page is about a record once the organisation's records were taken; else the token is meant.
            is_page = not raw.body.lstrip().startswith(b"{")
            if not (is_page and keys and self.has_taken):
                return Unauthorised(raw.status, problem.reason)
            return Malformed(problem)
        answer = classify(raw.status, raw.body, keys)
        if isinstance(answer, (Blocked, Refused, TokenGone)):
            return answer
        fault = transient(raw, f"HTTP {raw.status}")
        return fault if fault is not None else answer


_BLOCKED = (
    "TEC is busy with another request or a validation for this organisation ({code}), longer than SDR_WAIT_BLOCKED_S; "
    "what was not taken stays due, so run again when it has ended."
)


def refused_token(refusal: Unauthorised) -> AuthenticationRefused:
    """Return the error for an access token that TEC refused twice."""
    return AuthenticationRefused(
        f"TEC refused a fresh access token (HTTP {refusal.code}); check SDR_SCOPE, SDR_EID, "
        "SDR_AUTH_HEADER and SDR_API_ENDPOINT, and that the machine account is registered with TEC's API."
    )


def _declined(answer: Answer, what: str, *, tells: bool = False, advice: str = "") -> ReceiverDeclined:
    """Return the error for what TEC will not do; `tells` adds its words, for a call that has nothing of a record."""
    problem = getattr(answer, "problem", None)
    if not isinstance(problem, Problem):
        return ReceiverDeclined(f"TEC {what}.")
    words = harmless(problem.text)[:_LONGEST_WORDS] if tells else ""
    advice = _ADVICE.get(problem.code) or advice
    error = ReceiverDeclined(
        f"TEC {what} ({problem.code}{': ' if words else ''}{words}){advice}. See d2i-csc-api sdr status, and Ngā Kete "
        "for the dates of the period."
    )
    error.code = problem.code
    error.reason = problem.reason
    return error


def _network(reason: str) -> str:
    return reason.removeprefix("network error: ").removeprefix("TEC could not be reached") or "no connection"


_ADVICE = {"R1": ": the reference year is not one that may be submitted now"}


def _validation_of(content: Mapping[str, Any]) -> Validation:
    if isinstance(content.get("results"), list):
        # The one address of the workflow page answers with results: the validation is over.
        errors = sum(1 for one in content["results"] if isinstance(one, dict) and one.get("errorType") == "Error")
        return Validation(str(content.get("status") or ("Rejected" if errors else "Processed")))
    return Validation(
        str(content.get("status") or ""),
        str(content.get("dateReceived") or ""),
        returns.whole(content.get("errorCount")),
        returns.whole(content.get("warningCount")),
    )


def _finding(number: int, entry: Mapping[str, Any]) -> TecFinding:
    def text(name: str) -> str:
        value = entry.get(name)
        return "" if value is None else str(value)

    return TecFinding(
        number,
        FILE_TYPES.get(text("fileType").strip().lower()),
        text("localId") or None,
        text("errorCode"),
        text("errorType"),
        text("errorDescription"),
        text("studentId"),
        text("courseCode"),
        text("recordText"),
    )


def _return_id(_call: int, place: int, entry: Any) -> object:
    return entry.get("returnId") if isinstance(entry, dict) else place


def _part(token: str) -> str:
    return quote(token, safe="")


def _public(path: str) -> str:
    """Return a path without the submission token in it and without its query."""
    return _SECRET_PARTS.sub(r"\1***", path.partition("?")[0])
