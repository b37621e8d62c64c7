"""An invented school: its pupils and other rows, and what may happen to them from one night to the next."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import orjson

from api_pipeline.sandbox.invented_children import FIRST_NAMES, SURNAMES, invented_upn

Row = dict[str, Any]
_WEEK = timedelta(days=7)
_CONDUCT = ("AchievementForDateRange", "BehaviourForDateRange", "Detentions")
_MARKS = ("/", "\\", "/", "\\", "/", "\\", "/", "\\", "L", "I", "O", "C", "N")


@cache
def published() -> dict[str, dict[str, Any]]:
    """Return the data endpoints of the packaged catalogue by name in lower case."""
    text = (files("api_pipeline") / "data" / "xporter" / "catalogue.json").read_bytes()
    return {entry["name"].lower(): entry for entry in orjson.loads(text)["operations"] if entry.get("asking")}


def _all_scopes() -> frozenset[str]:
    texts = {field[2] for entry in published().values() for table in entry["tables"] for field in table["fields"]}
    return frozenset(scope for text in texts for group in text.split("&") for scope in group.split("|") if scope)


ALL_SCOPES = _all_scopes() | {"WritebackAttendance", "WritebackConduct"}


@dataclass(slots=True)
class School:
    """A school. `data` has the rows by endpoint and table; `withheld_people` are pupils whom the school ticked out.

    `lessons` are marks of lessons, `queue` what was written back and has not come into the school's system yet.
    """

    estab: str
    name: str
    secret: str
    data: dict[str, dict[str, dict[str, Row]]]
    authorised_at: datetime | None
    mis: str = "sims"
    scopes: frozenset[str] = ALL_SCOPES
    revoked_at: datetime | None = None
    is_paused: bool = False
    is_pending: bool = False
    age_days: int = 0
    withheld_people: set[str] = field(default_factory=set)
    withheld_fields: set[str] = field(default_factory=set)
    lessons: dict[str, Row] = field(default_factory=dict)
    queue: list[tuple[str, Row]] = field(default_factory=list)
    writes: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1), repr=False)  # noqa: S311 - invented data

    @property
    def is_open(self) -> bool:
        """Return whether its secret opens anything."""
        return self.authorised_at is not None and (self.revoked_at is None or self.authorised_at > self.revoked_at)

    @property
    def pupils(self) -> dict[str, Row]:
        """Return the pupils by Id."""
        return self.data["Students"]["Students"]

    def truth(self, endpoint: str, first: str = "", last: str = "9") -> dict[str, list[Row]]:
        """Return the tables of an endpoint as the school lets them out now; `first` to `last` bound dated rows."""
        tables = self.data.get(endpoint) or {}
        return {
            name: [
                self._without(row, hidden) for row in self._shown(rows) if first <= str(row.get("Date", first)) <= last
            ]
            for name, rows in tables.items()
            for hidden in (self._hidden(endpoint, name),)
        }

    def _shown(self, rows: Mapping[str, Row]) -> Iterable[Row]:
        for row in rows.values():
            student = row.get("StudentId") or row.get("StudentMis_Id") or row.get("Student_MisId")
            hidden = str(student) in self.withheld_people if student is not None else False
            if not hidden and not ("UPN" in row and str(row["Id"]) in self.withheld_people):
                yield row

    def _hidden(self, endpoint: str, table: str) -> frozenset[str]:
        return _not_allowed(endpoint, table, self.scopes) | self.withheld_fields

    @staticmethod
    def _without(row: Row, hidden: frozenset[str]) -> Row:
        return dict(row) if hidden.isdisjoint(row) else {name: row[name] for name in row if name not in hidden}

    def is_let_out(self, endpoint: str) -> bool:
        """Return whether any published column of an endpoint is let out."""
        fields = [field for table in published()[endpoint.lower()]["tables"] for field in table["fields"]]
        return not fields or any(_allows(field[2], self.scopes) for field in fields)

    def enrol(self, upn: str | None = None, **members: Any) -> str:
        """Take in a pupil, with marks; return the Id."""
        number = 1 + max((int(str(known).lstrip("B")) for known in self.pupils), default=9000)
        key = f"B{number}" if self.mis == "bromcom" else number
        row = _pupil(self.rng, key, upn) | members
        self.pupils[str(key)] = row
        return str(key)

    def leave(self, key: str) -> None:
        """Let a pupil leave, with every row about them."""
        for tables in self.data.values():
            for rows in tables.values():
                gone = [
                    name
                    for name, row in rows.items()
                    if key in (str(row.get(column)) for column in ("StudentId", "StudentMis_Id", "Student_MisId"))
                ]
                for name in gone:
                    del rows[name]
        del self.pupils[key]

    def change(self, key: str, **members: Any) -> None:
        """Change a pupil's row."""
        self.pupils[key].update(members)

    def mark(self, key: str, day: date, session: str, mark: str) -> None:
        """Give a pupil a mark for a day's session (AM or PM)."""
        marks = self.data["AttendanceForDateRange"]["AttendMarks"]
        student = self.pupils[key]["Id"]
        name = f"{student}.{day.isoformat()}.{session}"
        marks[name] = {
            **{"Id": name, "Date": day.isoformat(), "StudentId": student, "Mark": mark, "Type": "S"},
            "Session": session,
        }

    def mark_weeks(self, today: date, weeks: int) -> None:
        """Give every pupil marks for the school days of some weeks up to yesterday's."""
        monday = today - timedelta(days=today.weekday())
        for week in range(weeks):
            for weekday in range(5):
                day = monday - week * _WEEK + timedelta(days=weekday)
                if day < today:
                    for key in self.pupils:
                        for session in ("AM", "PM"):
                            self.mark(key, day, session, self.rng.choice(_MARKS))

    def exclude(self, key: str, day: date) -> str:
        """Exclude a pupil on a day; return the exclusion's Id."""
        rows = self.data["StudentExclusions"]["StudentExclusions"]
        name = str(2000 + len(rows))
        while name in rows:
            name += "1"
        student = self.pupils[key]
        rows[name] = {
            **{"Id": int(name), "StudentId": student["Id"], "Forename": student["Forename"]},
            **{"Surname": student["Surname"], "ExclusionTypeCode": "FIXD", "ExclusionSessions": "4"},
            **{"StartDate": day.isoformat(), "EndDate": day.isoformat(), "ExclusionDays": 2.0, "Comments": None},
        }
        self.data["StudentExclusions"]["StudentExclusionReasons"][f"{name}|1"] = {
            **{"StudentExclusionId": int(name), "ReasonId": 1},
        }
        return name

    def revoke(self, when: datetime) -> None:
        """Take the consent back; the secret is worthless from now on."""
        self.revoked_at = when

    def authorise_again(self, when: datetime) -> str:
        """Give consent anew; return the new secret."""
        self.authorised_at = when
        self.secret = f"secret-{self.estab}-{secrets.token_hex(6)}"
        return self.secret


@lru_cache(maxsize=512)
def _not_allowed(endpoint: str, table: str, given: frozenset[str]) -> frozenset[str]:
    """Return the columns of a table that scopes do not let out."""
    tables = published()[endpoint.lower()]["tables"]
    fields: list[list[str]] = next((item["fields"] for item in tables if item["name"] == table), [])
    return frozenset(name for name, _, scopes in fields if not _allows(scopes, given))


def _allows(scopes: str, given: frozenset[str]) -> bool:
    return not scopes or all(any(one in given for one in group.split("|")) for group in scopes.split("&"))


def make_school(
    number: int,
    *,
    pupils: int = 6,
    today: date,
    weeks: int = 3,
    mis: str = "sims",
    upns: Iterable[str] = (),
    authorised_at: datetime | None = None,
) -> School:
    """Return an invented school. The first pupils get the UPNs of `upns`, children of the council."""
    estab = f"999{number:04d}"
    rng = random.Random(number)  # noqa: S311 - invented data
    data: dict[str, dict[str, dict[str, Row]]] = {
        "Students": {"Students": {}},
        "SchoolInfo": {"SchoolInfo": {"1": {"Id": 1, "Name": f"Invented School {number}", "EstabId": estab}}},
        "AttendanceCodes": {"AttendCodes": {code: _code(code) for code in ("/", "\\", "L", "I", "O", "C", "N")}},
        "AttendanceForDateRange": {"AttendMarks": {}},
        "StudentExclusions": {
            "StudentExclusions": {},
            "StudentExclusionReasons": {},
            "ExclusionReasons": {"1": {"Id": 1, "ReasonCode": "PP", "ReasonDescription": "Physical assault"}},
        },
        **{name: {table["name"]: {} for table in published()[name.lower()]["tables"]} for name in _CONDUCT},
        "SEN": {table["name"]: {} for table in published()["sen"]["tables"]},
    }
    school = School(
        estab,
        f"Invented School {number}",
        f"secret-{estab}-first",
        data,
        authorised_at or datetime(2025, 9, 1, 8),  # noqa: DTZ001 - the list of schools writes no zone
        mis,
        rng=rng,
    )
    given = list(upns)
    for place in range(pupils):
        key = school.enrol(given[place] if place < len(given) else None)
        if place % 3 == 0:
            school.exclude(key, today - timedelta(days=10 + place))
        if place % 2 == 0:
            student = school.pupils[key]["Id"]
            data["SEN"]["StudentSENProvisionHistory"][f"P{student}"] = {
                **{"Id": f"P{student}", "StudentMis_Id": student, "SENProvisionCode": "K"},
                **{"SENProvisionDescription": "SEN Support", "SENProvisionStartDate": "2024-09-02", "Active": 1},
            }
    school.mark_weeks(today, weeks)
    return school


def _pupil(rng: random.Random, key: object, upn: str | None) -> Row:
    first, last = rng.choice(FIRST_NAMES), rng.choice(SURNAMES)
    born = date(2010, 9, 1) + timedelta(days=rng.randrange(2000))
    return {
        **{"Id": key, "ExternalId": f"x{key}", "Forename": first, "Surname": last, "DisplayName": f"{first} {last}"},
        **{"LegalForename": first, "LegalSurname": last, "Gender": rng.choice("MF"), "YearGroup": "Year 7"},
        **{"DateOfBirth": born.isoformat(), "EntryDate": "2021-09-06T00:00:00", "LeavingDate": None},
        **{"UPN": upn or invented_upn(rng), "FormerUPN": None, "InLeaCare": 0, "FsmEligible": 1},
        **{"NumPossMarks": 100, "NumPresMarks": 95, "PostCode": "ZZ99 3CZ", "EAL": 0},
    }


def _code(code: str) -> Row:
    meaning = {"/": "Present", "\\": "Present", "L": "Present", "I": "Authorised Absence", "C": "Authorised Absence"}
    return {
        **{
            "Mark": code,
            "Description": f"Code {code}",
            "MeaningDescription": meaning.get(code, "Unauthorised Absence"),
        },
        "Active": 1,
    }


def sample_rows(endpoint: str, pupils: Mapping[str, Row]) -> dict[str, list[Row]]:
    """Return three invented rows for each published table of an endpoint that the school keeps no rows for."""
    keys = [row["Id"] for row in pupils.values()] or [1]
    made: dict[str, list[Row]] = {}
    for table in published()[endpoint.lower()]["tables"]:
        made[table.get("alias", table["name"])] = [
            {name: _sample(name, kind, number, keys) for name, kind, _ in table["fields"]}
            if table["fields"]
            else {"Id": number, "StudentId": keys[number % len(keys)], "Value": f"v{number}"}
            for number in (1, 2, 3)
        ]
    return made


def _sample(name: str, kind: str, number: int, pupils: list[Any]) -> Any:
    if name.lower() in ("studentid", "studentmis_id", "student_misid", "studentmisid"):
        return pupils[number % len(pupils)]
    if name == "PersonType":
        return "Student"
    values = {
        **{"id": number, "date": f"2025-10-0{number}", "datetime": f"2025-10-0{number}T08:30:00.1234567"},
        **{"integer": number, "decimal": number + 0.5, "flag": number % 2, "hash": f"{number:032x}"},
        **{"time": "08:30", "datetime_odd": f"0{number}-10-2025T08:30:00"},
    }
    return values.get(kind, f"{name} {number}")
