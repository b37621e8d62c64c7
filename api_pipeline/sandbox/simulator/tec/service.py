"""The simulated TEC: its calls, which it checks and answers, without any notion of sockets."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, error_answer, json_answer
from api_pipeline.sandbox.simulator.faults import FaultTarget
from api_pipeline.sandbox.simulator.request_log import Visit
from api_pipeline.sandbox.simulator.shell import Shell
from api_pipeline.sandbox.simulator.tec.answers import blocked, gone, page_of, problem
from api_pipeline.sandbox.simulator.tec.options import BASE_PATH, TOKEN_PATH, TecConditions, TecOptions, usual_returns
from api_pipeline.sandbox.simulator.tec.rules import COLLECTIONS
from api_pipeline.sandbox.simulator.tec.submissions import Submission, Submissions
from api_pipeline.sandbox.simulator.tec.uploads import delete, put, read_records
from api_pipeline.sandbox.simulator.tokens import TokenOffice, TokenRules

RECORDS, CALLS, LOGIN = "records", "calls", "token"
_RECORDS_PATH = re.compile(rf"{re.escape(BASE_PATH)}/({'|'.join(COLLECTIONS)})")


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
                return self._returns(visit, conditions)
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
                return gone() if one is None else page_of(one.findings, visit, conditions)
        return error_answer(404, "Resource not found")

    def _returns(self, visit: Visit, conditions: TecConditions) -> Answer:
        for one in self._submissions.by_id.values():
            self._submissions.poll(one, conditions)
        with_indicative = parse_qs(visit.query).get("includeIndicative", [""])[-1] == "true"
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
        return page_of(entries, visit, conditions)

    def _token(self, return_id: int, conditions: TecConditions) -> Answer:
        one = self._submissions.by_id.get(return_id)
        if one is None:
            return problem(400, "R1", "The reference year is not valid.")
        if one.is_validating:
            return blocked(conditions)
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
            return gone()
        self._submissions.cancel(one)
        return Answer(204)

    def _validate(self, token: str, conditions: TecConditions) -> Answer:
        one = self._submissions.with_token(token)
        if one is None:
            return gone()
        if one.is_validating:
            return blocked(conditions)
        if not any(one.held.values()):
            return problem(400, "", "No records uploaded")
        self._submissions.validate(one, conditions)
        return json_answer(200, {"submissionToken": token, **one.runs[-1]})

    def _validation(self, token: str, visit: Visit, conditions: TecConditions) -> Answer:
        one = self._submissions.with_token(token)
        if one is None:
            return gone()
        was_over = not one.is_validating
        self._submissions.poll(one, conditions)
        if not conditions.separate_results and was_over and one.runs:
            return page_of(one.findings, visit, conditions)
        return json_answer(200, {"submissionToken": token, **(one.runs[-1] if one.runs else {"status": one.status})})

    def _records_call(self, visit: Visit, conditions: TecConditions, headers: Mapping[str, str], body: bytes) -> Answer:
        read = read_records(headers, body, conditions)
        if isinstance(read, Answer):
            return read
        token, records = read
        one = self._submissions.with_token(token)
        if one is None:
            return problem(400, "SC1", "The submission token was not found.", {"submissionToken": token})
        if one.is_validating:
            return blocked(conditions)
        self._batch_sizes.append(len(records))
        if len(records) > (conditions.taken_limit or conditions.batch_limit):
            return problem(400, "MP1", "More records than allowed.")
        held = one.held[visit.path.rpartition("/")[2]]
        if visit.method == "PUT":
            answer = put(held, records, conditions, keeps=self.options.keep_records)
        elif visit.method == "DELETE":
            answer = delete(held, records, conditions)
        else:
            return error_answer(405, "Method not allowed")
        if answer.status == 200:
            self._records += len(records)
            self._submissions.use(one, conditions)
        return answer

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
        """Return the id of the last full return of the list."""
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
        """Return how many records each request brought that reached a living submission."""
        return list(self._batch_sizes)

    @property
    def most_at_once(self) -> int:
        """Return the most requests that were under way at one time, the login's left out."""
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
