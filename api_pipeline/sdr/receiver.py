"""The calls of TEC's API, one method each: an answer becomes a value or an error with a sentence (facts 1 to 8).

Requests go one at a time. A refused access token, an error that may pass and a `Retry-After` are `transport.exchange`'s
to meet; what is met here is the answer that says that another request is at work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from api_pipeline.common.null_characters import stored_text
from api_pipeline.errors import ReceiverDeclined, ServiceUnavailable, SettingsError
from api_pipeline.logs.plain_text import harmless
from api_pipeline.run_summary import counted
from api_pipeline.sdr import returns
from api_pipeline.sdr.answers import Acknowledged, Answer, Malformed, Refusal, TokenGone, TooLarge
from api_pipeline.sdr.delivery import Verdict
from api_pipeline.sdr.difference import envelope
from api_pipeline.sdr.nouns import FILE_TYPES, Collection, ReturnPeriod, SubmissionToken, TecFinding, Validation
from api_pipeline.sdr.problem import Problem
from api_pipeline.sdr.wire import Wire, public

_LOG = logging.getLogger(__name__)
BASE = "/submissions/v1.0"
_LONGEST_WORDS = 200
_LONGEST_TOKEN = 300
# What the tables take of a code, an id or a word, and of a text; TEC's own are far shorter.
_LONGEST_NAME = 100
_LONGEST_CODE = 50
_LONGEST_TEXT = 10_000
# A list goes on for as many pages as its sender likes, and all of it is in memory before it is stored.
_LONGEST_LIST = 32 * 1024 * 1024


class TokenIsGone(Exception):
    """TEC does not find the submission token any more; a new one is needed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class TecReceiver:
    """Speaks to TEC for one organisation. `on_secret` gets each submission token, so that no log shows it."""

    def __init__(self, wire: Wire, on_secret: Callable[[str], None]) -> None:
        self.wire = wire
        self._on_secret = on_secret

    def returns(self) -> list[ReturnPeriod]:
        """Return every return that TEC lists for the organisation, the indicative ones among them."""

        def ask(page: int | None) -> Mapping[str, Any] | None:
            number = "" if page is None else f"&page={page}"
            return _page(self.wire.ask("GET", f"/returns?includeIndicative=true{number}", "SDR_API_ENDPOINT"))

        entries, missing = returns.read_all(self._bounded(ask), _return_id)
        if missing:
            _LOG.warning(
                "TEC counts %s than its list gave; look in Ngā Kete for a return that is not found",
                counted(missing, "{return|returns} more"),
            )
        found = (returns.period_of(entry) for entry in entries if isinstance(entry, dict))
        return [one for one in found if one is not None]

    def listed(self, period: ReturnPeriod) -> ReturnPeriod | None:
        """Return a period as TEC lists it now, which needs no submission token; None where it does not."""
        return next((one for one in self.returns() if one.return_id == period.return_id), None)

    def token(self, return_id: int) -> SubmissionToken:
        """Return a submission token for a period. Errors: ReceiverDeclined, AlreadyRunning and those of every call."""
        asked = datetime.now(timezone.utc)
        match self.wire.ask("POST", f"/token/{return_id}", "SDR_API_ENDPOINT"):
            case Acknowledged(content=content) if _is_token(content.get("submissionToken")):
                return self._token_of(content, return_id, asked)
            case Acknowledged():
                raise ServiceUnavailable("TEC's answer holds no submission token; nothing was sent, try again later.")
            case other:
                raise _declined(other, "declined the submission token; nothing was sent under it", tells=True)

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
            stored_text(content.get("submissionStatus"), _LONGEST_CODE),
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
        path = self.wire.address.paths[collection]
        setting = f"SDR_PATH_{collection.name}"
        answer = self._ask_under_token(method, f"/{path}", setting, envelope(token, list(bodies)), keys)
        match answer:
            case Acknowledged() | Malformed() | TooLarge():
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
        match self._ask_under_token(method, path, "SDR_API_ENDPOINT"):
            case Acknowledged(content=content):
                return _validation_of(content)
            case other:
                raise _declined(other, what, advice=advice)

    def findings(self, token: str) -> list[TecFinding]:
        """Return the results of the last validation, in TEC's order. Errors: TokenIsGone, and those of every call."""
        own = "/" + self.wire.address.results_path.replace("{token}", _part(token)).lstrip("/")
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
            content = _page(self._ask_under_token("GET", f"{path}{number}", "SDR_PATH_RESULTS"))
            if content is not None and "results" not in content:
                raise SettingsError(
                    f"SDR_PATH_RESULTS: TEC's answer at {public(path)} holds no validation results; set the path that "
                    "TEC's API documentation gives for them, then look again with d2i-csc-api sdr validate PERIOD "
                    "--resume."
                )
            return content

        # Two rules may say the same of the same record, so only their place distinguishes results.
        entries, missing = returns.read_all(self._bounded(ask), lambda call, place, _: (call, place))
        if missing:
            _LOG.warning(
                "TEC counts %s than its list gave; look at the return in Ngā Kete for the others",
                counted(missing, "{result of the validation|results of the validation} more"),
            )
        return [_finding(number, entry) for number, entry in enumerate(entries, 1) if isinstance(entry, dict)]

    def _bounded(self, ask: Callable[[int | None], Mapping[str, Any] | None]) -> Callable[[int | None], Any]:
        """Return the question for a page, as long as the list is not too long. Errors: ServiceUnavailable."""
        began = self.wire.received

        def asked(page: int | None) -> Mapping[str, Any] | None:
            answer = ask(page)
            if self.wire.received - began > _LONGEST_LIST:
                raise ServiceUnavailable(
                    "TEC's list goes on beyond 32 MiB, more than is read; nothing of it was stored. Look at the return "
                    "in Ngā Kete."
                )
            return answer

        return asked

    def reset(self, token: str) -> bool:
        """Delete the submission of a token; return False where TEC does not find it. Errors: those of every call."""
        path = f"/token/{_part(token)}/delete"
        match self.wire.ask("DELETE", path, "SDR_API_ENDPOINT", may_be_empty=True):
            case Acknowledged() | TokenGone() as answer:
                return isinstance(answer, Acknowledged)
            case other:
                raise _declined(other, "did not reset the submission")

    def delete_submission(self, return_id: int, token: str) -> None:
        """Delete the submission of a period. Errors: ServiceUnavailable where TEC finds no token of it.

        A token that TEC does not find expired, and the data are there, or its submission was deleted and the answer
        lost: another token tells.
        """
        if not self.reset(token) and not self.reset(self.token(return_id).value):
            raise ServiceUnavailable(
                "TEC does not find the submission token that it has just given, so the submission may still be there; "
                "run again later, and call TEC if it goes on."
            )

    def _ask_under_token(
        self, method: str, path: str, setting: str, body: bytes | None = None, keys: Sequence[str] = ()
    ) -> Answer:
        """Return the answer to a request that holds a submission token. Errors: TokenIsGone, those of every call."""
        answer = self.wire.ask(method, path, setting, body, keys)
        if isinstance(answer, TokenGone):
            raise TokenIsGone(answer.problem)
        return answer


def _page(answer: Answer) -> Mapping[str, Any] | None:
    """Return the page of a list that an answer holds, None for one behind the last (PR2). Errors: ReceiverDeclined."""
    match answer:
        case Acknowledged(content=content):
            return content
        case Refusal(problem=problem) if "PR2" in problem.codes:
            return None
        case other:
            raise _declined(other, "refused the request")


def _declined(answer: Answer, what: str, *, tells: bool = False, advice: str = "") -> ReceiverDeclined:
    """Return the error for what TEC will not do; `tells` adds its words, for a call that has nothing of a record."""
    if not isinstance(answer, Refusal):
        return ReceiverDeclined(f"TEC {what}.")
    problem = answer.problem
    words = harmless(problem.text)[:_LONGEST_WORDS] if tells else ""
    advice = _ADVICE.get(problem.code) or advice
    error = ReceiverDeclined(
        f"TEC {what} ({problem.code}{': ' if words else ''}{words}){advice}. See d2i-csc-api sdr status, and Ngā Kete "
        "for the dates of the period."
    )
    error.code = problem.code
    error.reason = problem.reason
    return error


_ADVICE = {"R1": ": the reference year is not one that may be submitted now"}


def _validation_of(content: Mapping[str, Any]) -> Validation:
    status = content.get("status")
    if isinstance(content.get("results"), list) and not status:
        # The one address of the workflow page answers with results: the validation is over.
        errors = sum(1 for one in content["results"] if isinstance(one, dict) and one.get("errorType") == "Error")
        status = "Rejected" if errors else "Processed"
    return Validation(
        stored_text(status, _LONGEST_CODE),
        stored_text(content.get("dateReceived"), _LONGEST_CODE),
        returns.whole(content.get("errorCount")),
        returns.whole(content.get("warningCount")),
    )


def _is_token(value: object) -> bool:
    text = str(value) if isinstance(value, (str, int)) else ""
    return 0 < len(text) <= _LONGEST_TOKEN and "\x00" not in text


def _finding(number: int, entry: Mapping[str, Any]) -> TecFinding:
    def text(name: str, most: int = _LONGEST_NAME) -> str:
        return stored_text(entry.get(name), most)

    return TecFinding(
        number,
        FILE_TYPES.get(text("fileType").strip().lower()),
        text("localId") or None,
        text("errorCode", _LONGEST_CODE),
        text("errorType", 20),
        text("errorDescription", _LONGEST_TEXT),
        text("studentId"),
        text("courseCode"),
        text("recordText", _LONGEST_TEXT),
    )


def _return_id(_call: int, place: int, entry: Any) -> object:
    return entry.get("returnId") if isinstance(entry, dict) else place


def _part(token: str) -> str:
    return quote(token, safe="")
