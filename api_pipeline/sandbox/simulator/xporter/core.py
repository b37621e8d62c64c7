"""The simulated School Data API: tokens, the list of schools, scopes and data, with its own moods (`Quirk`)."""

from __future__ import annotations

import gzip
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, Ending, json_answer, page_answer
from api_pipeline.sandbox.simulator.faults import FaultTarget
from api_pipeline.sandbox.simulator.request_log import Visit
from api_pipeline.sandbox.simulator.shell import Shell
from api_pipeline.sandbox.simulator.xporter.change_sets import Snapshots
from api_pipeline.sandbox.simulator.xporter.data import SchoolConditions, paged, tables_of
from api_pipeline.sandbox.simulator.xporter.quirks import Quirk, spoilt
from api_pipeline.sandbox.simulator.xporter.school import School, published
from api_pipeline.sandbox.simulator.xporter.writing import WRITE_PATHS, Refused, take_queue, write

RELYING_PARTY = "app.invented.example"
MANAGEMENT_SECRET = "invented-management-secret"  # noqa: S105 - invented, known to the simulator alone
GET_TOKEN_PATH = "/api/oauth/GetToken"  # noqa: S105 - a path
SCHOOLS_PATH = "/api/XporterOnDemand/GetXodSchools"
SCOPES_PATH = "/api/v1/Scopes"
GDPR_PATH = "/api/v1/GDPRIDs"
_DATA_PREFIX = "/api/v1/School/"
_NOT_CORRECT = "Relying Party not found for estab or secret not correct"
_PAUSED = "Authorisation is currently paused while the school finalises the selection of people"
_GZIP_FROM = 1024


class XporterSimulator(Shell[SchoolConditions]):
    """The simulated School Data API. Safe to use from several threads at once; the arguments are those of `Shell`."""

    endpoints = frozenset({"token", "manage", "data", "write"})
    counted = frozenset({"data", "write"})

    def __init__(
        self,
        schools: Iterable[School],
        conditions: SchoolConditions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(conditions or SchoolConditions(), clock=clock, now=now, sleep=sleep)
        self.schools = {school.estab: school for school in schools}
        self.lock = threading.RLock()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._clock = clock
        self._quirks: list[tuple[Quirk, int | None]] = []
        self._answered: dict[str, int] = {}
        self.snapshots = Snapshots()

    def endpoint_of(self, path: str) -> str:
        """Return which endpoint a path is for."""
        if path == GET_TOKEN_PATH:
            return "token"
        if path in (SCHOOLS_PATH, SCOPES_PATH, GDPR_PATH):
            return "manage"
        if path.startswith(WRITE_PATHS):
            return "write"
        return "data" if path.startswith(_DATA_PREFIX) else FaultTarget.NOWHERE

    def add_quirk(self, *quirks: Quirk) -> None:
        """Program quirks behind those that wait already."""
        with self.lock:
            self._quirks += [(quirk, quirk.times) for quirk in quirks]

    def clear_quirks(self) -> None:
        """Take every quirk out."""
        with self.lock:
            self._quirks.clear()

    def respond(self, visit: Visit, conditions: SchoolConditions, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the service's own answer."""
        with self.lock:
            self._answered[visit.target] = self._answered.get(visit.target, 0) + 1
            if visit.target == "token":
                return self._token(conditions, body)
            query = {name.lower(): value for name, value in parse_qsl(visit.query)}
            whose = self._whose(headers.get("authorization", ""))
            if visit.path == SCHOOLS_PATH:
                return self._list(whose, query, conditions)
            if visit.path in (SCOPES_PATH, GDPR_PATH):
                return self._of_token(visit.path, whose, conditions)
            if visit.target == "write":
                return self._write(visit.path, body, whose, conditions)
            answer = self._data(visit.path, query, whose, conditions)
        if "gzip" in headers.get("accept-encoding", "") and len(answer.body) > _GZIP_FROM:
            packed = gzip.compress(answer.body, 1)
            return replace(answer, body=packed, headers={**answer.headers, "Content-Encoding": "gzip"})
        return answer

    def forget(self) -> None:
        """Forget tokens and quirks; the schools stay."""
        with self.lock:
            self._tokens.clear()
            self._quirks.clear()
            self._answered.clear()

    def expire_tokens(self) -> None:
        """Make every token that was issued worthless."""
        with self.lock:
            self._tokens.clear()

    def counts(self) -> dict[str, Any]:
        """Return how many requests were answered, by endpoint."""
        with self.lock:
            return {"answered": dict(self._answered), "tokens": len(self._tokens), "schools": len(self.schools)}

    def _token(self, conditions: SchoolConditions, body: bytes) -> Answer:
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._error("The request is not JSON", "System.FormatException", 400, conditions)
        estab = str(asked.get("estab") or "")
        if asked.get("relyingParty") != RELYING_PARTY:
            return self._no_token(_NOT_CORRECT)
        if not estab:
            if asked.get("password") != MANAGEMENT_SECRET:
                return self._no_token(_NOT_CORRECT)
            return self._issue("", conditions)
        school = self.schools.get(estab)
        if school is None or not school.is_open or asked.get("password") != school.secret:
            return self._no_token(_NOT_CORRECT)
        return self._no_token(_PAUSED) if school.is_paused else self._issue(estab, conditions)

    def _issue(self, estab: str, conditions: SchoolConditions) -> Answer:
        token = secrets.token_urlsafe(32)
        self._tokens[token] = (estab, self._clock() + conditions.token_lifetime_s)
        clock = self._now() + timedelta(seconds=conditions.clock_offset_s)
        expires = clock + timedelta(seconds=conditions.token_lifetime_s)
        members = {
            **{"token": token, "expires": expires.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"},
            **{"Message": None, "ExceptionType": None, "ExceptionMessage": None, "InnerException": None},
        }
        dated = clock.astimezone(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return json_answer(200, members, {"Date": dated})

    def _no_token(self, message: str) -> Answer:
        return json_answer(
            200,
            {
                **{"token": None, "expires": "0001-01-01T00:00:00", "Message": "An error has occurred."},
                **{"ExceptionType": "System.Exception", "ExceptionMessage": message, "InnerException": None},
            },
        )

    def _whose(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        found = self._tokens.get(token.strip()) if scheme == "Idaas" else None
        return found[0] if found and self._clock() < found[1] else None

    def _list(self, whose: str | None, query: Mapping[str, str], conditions: SchoolConditions) -> Answer:
        if whose != "":
            return self._token_refused(conditions)
        authorised, revoked, pending = [], [], []
        for school in self.schools.values():
            if school.authorised_at is not None and not school.is_pending:
                if school.is_open:
                    authorised.append(
                        {
                            **{"estab": school.estab, "schoolName": school.name},
                            **{"dateAuthorised": school.authorised_at.isoformat(), "installedStatus": "Installed"},
                            **{"scopesAuthorised": ",".join(sorted(school.scopes)), "installMessage": None},
                        }
                    )
                if school.revoked_at is not None:
                    at = school.revoked_at.isoformat()
                    revoked.append({"estab": school.estab, "schoolName": school.name, "dateRevoked": at})
            elif query.get("includependingauthorisation") == "true":
                pending.append({"estab": school.estab, "schoolName": school.name, "dateInvited": "2025-09-01T08:00:00"})
        return json_answer(200, {"Authorised": authorised, "Revoked": revoked, "PendingAuthorisation": pending})

    def _of_token(self, path: str, whose: str | None, conditions: SchoolConditions) -> Answer:
        school = self.schools.get(whose or "")
        if school is None:
            return self._token_refused(conditions)
        if path == GDPR_PATH:
            people = [{"Id": key} for key in sorted(school.withheld_people)]
            return json_answer(200, {"GDPR": people, "ExceptionMessage": None})
        return json_answer(200, {"Scopes": sorted(school.scopes), "ExceptionMessage": None})

    def _data(self, path: str, query: dict[str, str], whose: str | None, conditions: SchoolConditions) -> Answer:
        estab, _, rest = path[len(_DATA_PREFIX) :].partition("/")
        name = rest.strip("/")
        school = self.schools.get(estab)
        if school is None or name.lower() not in published():
            return self._error("Not found", "System.ArgumentException", 404, conditions)
        if whose != estab or not school.is_open:
            return self._token_refused(conditions)
        quirk = self._quirk(estab, name)
        if quirk:
            early = self._early(quirk, conditions)
            if early is not None:
                return early
        endpoint = published()[name.lower()]["name"]
        if endpoint == "TestError":
            return self._error("A test error", "System.Exception", 500, conditions)
        if not school.is_let_out(endpoint):
            return self._scope_missing(conditions)
        tables = tables_of(school, endpoint, query)
        changes: dict[str, Any] | None = None
        if asked := query.get("changedrows"):
            parameters = repr(
                sorted(item for item in query.items() if item[0] not in ("changedrows", "page", "pagesize"))
            )
            found = self.snapshots.answer((estab, endpoint, parameters), tables, asked, conditions.unknown_snapshot)
            if found is None:
                return self._error("The changedRows hash is not known", "System.ArgumentException", 500, conditions)
            tables, changes = found
        if quirk:
            tables = spoilt(quirk.kind, tables)
        moment = (self._now() - timedelta(days=school.age_days)).replace(tzinfo=None)
        return paged(moment, tables, query, conditions, quirk, changes)

    def _write(self, path: str, body: bytes, whose: str | None, conditions: SchoolConditions) -> Answer:
        school = self.schools.get(whose or "")
        if school is None or not school.is_open:
            return self._token_refused(conditions)
        needed = "WritebackConduct" if "/Writeback/" in path else "WritebackAttendance"
        if needed not in school.scopes:
            return self._scope_missing(conditions)
        quirk = self._quirk(school.estab, "write")
        early = self._early(quirk, conditions) if quirk else None
        if early is not None:
            return early
        is_lost = quirk is not None and quirk.kind == "write_lost"
        try:
            return write(school, path, body, is_queued=conditions.queues_writes, is_lost=is_lost)
        except Refused as error:
            return self._error(str(error), "System.ArgumentException", 400, conditions)

    def take_queues(self) -> None:
        """Bring what was written back and waits into every school's system."""
        with self.lock:
            for school in self.schools.values():
                take_queue(school)

    def _early(self, quirk: Quirk, conditions: SchoolConditions) -> Answer | None:
        match quirk.kind:
            case "error_body":
                return self._error(
                    "Something went wrong for Ada Nobody, 2011-02-03", "System.Exception", 500, conditions
                )
            case "scope":
                return self._scope_missing(conditions)
            case "token_refused":
                return self._token_refused(conditions)
            case "not_ready":
                return json_answer(200, {"__dbstatus__": [{"Database": "XodSchoolData", "Status": "Pending"}]})
            case "html":
                return page_answer(200, "Please log in")
            case "unavailable":
                return json_answer(503, {"Message": "Service Unavailable"})
            case "drop":
                return Answer(0, ending=Ending.DROP)
        return None

    def _quirk(self, estab: str, endpoint: str) -> Quirk | None:
        for place, (quirk, left) in enumerate(self._quirks):
            if quirk.estab in ("", estab) and quirk.endpoint.lower() in ("", endpoint.lower()):
                if left is not None and left <= 1:
                    del self._quirks[place]
                elif left is not None:
                    self._quirks[place] = (quirk, left - 1)
                return quirk
        return None

    def _token_refused(self, conditions: SchoolConditions) -> Answer:
        return self._error("The token is not valid", "System.UnauthorizedAccessException", 401, conditions)

    def _scope_missing(self, conditions: SchoolConditions) -> Answer:
        return self._error("The scope is missing", "System.UnauthorizedAccessException", 403, conditions)

    def _error(self, message: str, kind: str, code: int, conditions: SchoolConditions) -> Answer:
        members = {
            **{"Message": "An error has occurred.", "ExceptionType": kind, "ExceptionMessage": message},
            "InnerException": None,
        }
        return json_answer(code if conditions.real_codes else 200, members)
