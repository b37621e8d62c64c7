"""The simulated TEC: its calls, which it checks and answers, without any notion of sockets."""

from __future__ import annotations

import gzip
import re
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, error_answer, json_answer
from api_pipeline.sandbox.simulator.faults import FaultTarget
from api_pipeline.sandbox.simulator.request_log import Visit
from api_pipeline.sandbox.simulator.shell import Shell
from api_pipeline.sandbox.simulator.tec.options import (
    BASE_PATH,
    TOKEN_PATH,
    BlockedAnswer,
    PutAnswer,
    TecConditions,
    TecOptions,
    UnknownDelete,
    usual_returns,
)
from api_pipeline.sandbox.simulator.tec.rules import COLLECTIONS
from api_pipeline.sandbox.simulator.tec.submissions import Submission, Submissions
from api_pipeline.sandbox.simulator.tokens import TokenOffice, TokenRules

RECORDS, CALLS, LOGIN = "records", "calls", "token"
_RECORDS_PATH = re.compile(rf"{re.escape(BASE_PATH)}/({'|'.join(COLLECTIONS)})")


def problem(status: int, code: str, title: str, errors: Mapping[str, Any] | None = None, **more: Any) -> Answer:
    """Return an error as TEC words it (RFC 7807)."""
    content = {"type": "about:blank", "title": title, "status": status, "errors": errors or {}, **more}
    return json_answer(status, {**content, "errorCode": code} if code else content)


def _held(simulator: TecSimulator, period: str, _: bytes) -> Answer:
    return json_answer(200, simulator.held(int(period)))


def _expire_submission_tokens(simulator: TecSimulator, _: str, __: bytes) -> Answer:
    simulator.expire_submission_tokens()
    return json_answer(200, {"done": True})


def _reset_period(simulator: TecSimulator, period: str, _: bytes) -> Answer:
    simulator.reset_by_another(int(period))
    return json_answer(200, {"done": True})


class TecSimulator(Shell[TecConditions]):
    """The simulated TEC. Safe to use from several threads at once; the arguments are those of `Shell`."""

    endpoints = frozenset({RECORDS, CALLS, LOGIN})
    counted = frozenset({RECORDS, CALLS})
    routes = {  # noqa: RUF012 - a ClassVar in Shell
        ("GET", "held", True): _held,
        ("POST", "expire-submission-tokens", False): _expire_submission_tokens,
        ("POST", "reset-period", True): _reset_period,
    }

    def __init__(
        self,
        options: TecOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.options = options = options or TecOptions()
        super().__init__(options.conditions, clock=clock, now=now, sleep=sleep)
        rules = TokenRules(
            options.client_id,
            options.client_secret,
            options.scope,
            options.esl_lifetime_s,
            is_basic=True,
            extra={"org_id": options.eid},
            tells_lifetime=options.tells_lifetime,
        )
        self._tokens = TokenOffice(rules, clock)
        self._submissions = Submissions(options.returns or usual_returns(now()), now)
        self._lock = threading.Lock()
        self._records = 0
        self._batch_sizes: list[int] = []

    def endpoint_of(self, path: str) -> str:
        """Return which endpoint a path is for: login, records, or one of the other calls."""
        if path == TOKEN_PATH:
            return LOGIN
        if _RECORDS_PATH.fullmatch(path):
            return RECORDS
        return CALLS if path.startswith(f"{BASE_PATH}/") else FaultTarget.NOWHERE

    def respond(self, visit: Visit, conditions: TecConditions, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer of the login, or of TEC once the caller is known."""
        if visit.target == LOGIN:
            return self._tokens.answer(visit.method, headers, body)
        refusal = self._refusal(conditions, headers)
        if refusal is not None:
            return refusal
        with self._lock:
            if visit.target == RECORDS:
                return self._records_call(visit, conditions, headers, body)
            return self._call(visit, conditions)

    def _refusal(self, conditions: TecConditions, headers: Mapping[str, str]) -> Answer | None:
        if not self._tokens.is_good(headers.get(conditions.auth_header, "")):
            return problem(conditions.esl_status, "", "The access token is missing, expired or not valid.")
        eid = headers.get("eid", "")
        if not eid:
            return problem(400, "AM2", "The EID header is missing.")
        if not eid.isdigit():
            return problem(400, "AM1", "The EID header is not numeric.")
        if int(eid) != int(self.options.eid) or not conditions.is_registered:
            return problem(400, "AU1", "The machine account is not set up.")
        return None

    def _call(self, visit: Visit, conditions: TecConditions) -> Answer:
        parts = [unquote(part) for part in visit.path[len(BASE_PATH) + 1 :].split("/")]
        match visit.method, parts:
            case "GET", ["returns"]:
                return self._returns(parse_qs(visit.query), conditions)
            case "POST", ["token", return_id] if return_id.isdigit():
                return self._token(int(return_id), conditions)
            case "DELETE", ["token", token, "delete"]:
                return self._reset(token)
            case "POST", ["validate", token]:
                return self._validate(token, conditions)
            case "GET", ["validation", token]:
                return self._validation(token, visit, conditions)
            case "GET", ["validation", token, "results"] if conditions.separate_results:
                one = self._submissions.with_token(token)
                return _gone() if one is None else _page(one.findings, visit, conditions)
        return error_answer(404, "Resource not found")

    def _returns(self, query: Mapping[str, list[str]], conditions: TecConditions) -> Answer:
        for one in self._submissions.by_id.values():
            self._submissions.poll(one, conditions)
        with_indicative = query.get("includeIndicative", [""])[-1] == "true"
        entries = [
            {
                "edumis": int(self.options.eid),
                "returnId": one.period.return_id,
                "returnYear": one.period.year,
                "returnMonth": one.period.month,
                "openWindowDate": one.period.opens.isoformat(),
                "closeWindowDate": one.period.closes.isoformat(),
                "returnStatus": {"Pending": "Accumulate"}.get(one.status, one.status or None),
                "returnType": "Indicative" if one.period.indicative else "Full",
            }
            for one in self._submissions.by_id.values()
            if with_indicative or not one.period.indicative
        ]
        return _paged(entries, query, conditions)

    def _token(self, return_id: int, conditions: TecConditions) -> Answer:
        one = self._submissions.by_id.get(return_id)
        if one is None:
            return problem(400, "R1", "The reference year is not valid.")
        if one.is_validating:
            return _blocked(conditions)
        if conditions.declines or not one.period.opens <= self._now() <= one.period.closes:
            return problem(400, conditions.declines, "The return is not open.")
        self._submissions.give_token(one, conditions)
        return json_answer(
            200,
            {
                "submissionToken": one.token,
                "tokenExpiry": one.expiry.isoformat() if one.expiry else None,
                **dict.fromkeys(conditions.limit_names, conditions.batch_limit),
                "returnId": return_id,
                "submissionStatus": one.status,
                "validationRunResults": one.runs,
            },
        )

    def _reset(self, token: str) -> Answer:
        one = self._submissions.with_token(token)
        if one is None:
            return _gone()
        self._submissions.cancel(one)
        return Answer(204)

    def _validate(self, token: str, conditions: TecConditions) -> Answer:
        one = self._submissions.with_token(token)
        if one is None:
            return _gone()
        if one.is_validating:
            return _blocked(conditions)
        if not any(one.held.values()):
            return problem(400, "", "No records uploaded")
        self._submissions.validate(one, conditions)
        return json_answer(200, {"submissionToken": token, **one.runs[-1]})

    def _validation(self, token: str, visit: Visit, conditions: TecConditions) -> Answer:
        one = self._submissions.with_token(token)
        if one is None:
            return _gone()
        was_over = not one.is_validating
        self._submissions.poll(one, conditions)
        if not conditions.separate_results and was_over and one.runs:
            return _page(one.findings, visit, conditions)
        return json_answer(200, {"submissionToken": token, **(one.runs[-1] if one.runs else {"status": one.status})})

    def _records_call(self, visit: Visit, conditions: TecConditions, headers: Mapping[str, str], body: bytes) -> Answer:
        read = _read(headers, body, conditions)
        if isinstance(read, Answer):
            return read
        token, records = read
        one = self._submissions.with_token(token)
        if one is None:
            return problem(400, "SC1", "The submission token was not found.", {"submissionToken": token})
        if one.is_validating:
            return _blocked(conditions)
        self._batch_sizes.append(len(records))
        if len(records) > (conditions.taken_limit or conditions.batch_limit):
            return problem(400, "MP1", "More records than allowed.")
        held = one.held[visit.path.rpartition("/")[2]]
        if visit.method == "PUT":
            answer = self._put(held, records, conditions)
        elif visit.method == "DELETE":
            answer = self._delete(held, records, conditions)
        else:
            return error_answer(405, "Method not allowed")
        if answer.status == 200:
            self._records += len(records)
            self._submissions.use(one, conditions)
        return answer

    def _put(self, held: dict[str, dict[str, Any]], records: list[Any], conditions: TecConditions) -> Answer:
        broken = [place for place, record in enumerate(records) if _has(record, conditions.bad)]
        if broken:
            errors = {f"content[{place}]": ["The record does not match the schema."] for place in broken}
            more = {"errorCodes": ["CV1"]} if conditions.code_in_list else {}
            code = "" if conditions.code_in_list else "CV1"
            return problem(400, code, "Schema validation failed", errors if conditions.names_culprit else {}, **more)
        content = []
        for record in records:
            is_refused = _has(record, conditions.refused)
            if not is_refused and self.options.keep_records:
                held[record["localId"]] = record
            content.append({"localId": record["localId"], "errors": ["not acceptable"] if is_refused else []})
        return _acknowledgement(content, conditions)

    def _delete(self, held: dict[str, dict[str, Any]], records: list[Any], conditions: TecConditions) -> Answer:
        unknown = [record["localId"] for record in records if record["localId"] not in held]
        if unknown and conditions.unknown_delete is UnknownDelete.REFUSED:
            return problem(400, "CV1", "A record was not found")
        for record in records:
            held.pop(record["localId"], None)
        tells = conditions.unknown_delete is UnknownDelete.ERRORS
        content = [
            {"localId": record["localId"], "errors": ["not found"] if tells and record["localId"] in unknown else []}
            for record in records
        ]
        return json_answer(200, {"content": content})

    def count_records(self, endpoint: str, body: bytes) -> int:
        """Return how many records a request carries, as far as it can be read."""
        if endpoint != RECORDS:
            return 0
        try:
            return len(orjson.loads(body)["content"])
        except (ValueError, KeyError, TypeError):
            return 0

    def forget(self) -> None:
        """Forget the tokens and everything that was submitted."""
        self._tokens.reset()
        with self._lock:
            self._submissions.forget()
            self._records = 0
            self._batch_sizes.clear()

    def expire_tokens(self) -> None:
        """Make every access token worthless."""
        self._tokens.expire_all()

    def expire_submission_tokens(self) -> None:
        """Make every submission token worthless."""
        with self._lock:
            for one in self._submissions.by_id.values():
                self._submissions.expire(one)

    def reset_by_another(self, return_id: int) -> None:
        """Delete the submission of a period, as somebody does in the portal."""
        with self._lock:
            self._submissions.cancel(self._submissions.by_id[return_id])

    @property
    def latest_return(self) -> int:
        """The id of the last full return of the list."""
        return max(one.period.return_id for one in self._submissions.by_id.values() if not one.period.indicative)

    def held(self, return_id: int) -> dict[str, dict[str, dict[str, Any]]]:
        """Return what is held for a period, by collection and localId."""
        with self._lock:
            found = self._submissions.by_id[return_id].held
            return {name: dict(records) for name, records in found.items()}

    def submission(self, return_id: int) -> Submission:
        """Return the submission of a period as it stands."""
        return self._submissions.by_id[return_id]

    @property
    def batch_sizes(self) -> list[int]:
        """How many records each request brought that reached a living submission."""
        return list(self._batch_sizes)

    @property
    def most_at_once(self) -> int:
        """The most requests that were under way at one time, the login's left out."""
        return self._log.most_at_once

    def counts(self) -> dict[str, Any]:
        """Return the counts since the last reset, as JSON can carry them."""
        return {
            "requests": self._log.came(RECORDS) + self._log.came(CALLS),
            "answers": {str(code): n for code, n in self._log.answers.items()},
            "record_requests": self._log.came(RECORDS),
            "records": self._records,
            "token_requests": self._log.came(LOGIN),
            "most_at_once": self._log.most_at_once,
            "too_early": self._log.too_early,
        }


def _read(
    headers: Mapping[str, str], body: bytes, conditions: TecConditions
) -> Answer | tuple[str, list[dict[str, Any]]]:
    if headers.get("content-encoding", "") == "gzip":
        try:
            body = gzip.decompress(body) if conditions.gzip else b""
        except (OSError, EOFError, zlib.error):
            body = b""
        if not body:
            return problem(400, "GM1", "The compressed payload stream could not be read.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return problem(400, "CV1", "The body is not JSON")
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list) or not all(
        isinstance(one, dict) and isinstance(one.get("localId"), str) and one["localId"] for one in content
    ):
        return problem(400, "CV1", "Each record needs a localId")
    return str(value.get("submissionToken", "")), content


def _has(record: Any, marks: tuple[str, ...]) -> bool:
    return bool(marks) and any(mark in str(value) for mark in marks for value in record.values())


def _acknowledgement(content: list[dict[str, Any]], conditions: TecConditions) -> Answer:
    match conditions.put_answer:
        case PutAnswer.ECHO:
            return json_answer(200, {"content": content})
        case PutAnswer.ERRORS:
            return json_answer(200, {"content": [one for one in content if one["errors"]]})
        case PutAnswer.EMPTY:
            with_errors = [one for one in content if one["errors"]]
            return json_answer(200, {"content": with_errors} if with_errors else {})
        case PutAnswer.NOTHING:
            with_errors = [one for one in content if one["errors"]]
            return json_answer(200, {"content": with_errors}) if with_errors else Answer(200)


def _blocked(conditions: TecConditions) -> Answer:
    match conditions.blocked:
        case BlockedAnswer.DS:
            return problem(429, "DS2", "Concurrent Request Not Allowed")
        case BlockedAnswer.CONFLICT:
            return problem(409, "", "A validation is running")
        case BlockedAnswer.BAD_REQUEST:
            return problem(400, "", "A validation is running")


def _gone() -> Answer:
    return problem(400, "SC2", "The submission token was not found.")


def _page(entries: list[dict[str, Any]], visit: Visit, conditions: TecConditions) -> Answer:
    return _paged(entries, parse_qs(visit.query), conditions)


def _paged(entries: list[dict[str, Any]], query: Mapping[str, list[str]], conditions: TecConditions) -> Answer:
    text = query.get("page", [str(conditions.page_base)])[-1]
    page = int(text) if text.lstrip("-").isdigit() else -1
    if page < 0:
        return problem(400, "PR1", "The page is below 0.")
    size = conditions.page_size
    start = (page - conditions.page_base) * size
    if start < 0 or (start >= len(entries) and page != conditions.page_base):
        return problem(400, "PR2", "The page is behind the data.")
    return json_answer(
        200, {"page": page, "pageSize": size, "totalCount": len(entries), "results": entries[start : start + size]}
    )
