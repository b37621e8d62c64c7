"""A rehearsal of the school data collector: simulated schools, a database of its own, and a collection over both."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from api_pipeline.db import Connection, connect
from api_pipeline.db.retry import RetryBudget
from api_pipeline.sandbox.simulator.adapter import in_process_session
from api_pipeline.sandbox.simulator.xporter import (
    GET_TOKEN_PATH,
    MANAGEMENT_SECRET,
    RELYING_PARTY,
    School,
    SchoolConditions,
    XporterSimulator,
    make_school,
)
from api_pipeline.settings.definitions.xporter import DEFAULT_ENDPOINTS
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.xporter.asking import choices
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.collect import CollectOptions, CollectSummary, collect
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.layout import Names, landings
from api_pipeline.xporter.parts import Parts
from api_pipeline.xporter.rows import RowReader
from api_pipeline.xporter.schema import statements
from api_pipeline.xporter.wire.access import IN_MEMORY_BYTES, Access
from api_pipeline.xporter.write_back import WriteBackSummary, write_back
from api_pipeline.xporter.write_back.options import WriteBackOptions

TODAY = date(2025, 11, 26)
URL = "https://schools.invented.example"


@dataclass
class Secrets:
    """The secrets of schools that the council was given."""

    known: dict[str, str]
    forgotten: list[str] = field(default_factory=list)

    def get(self, estab: str) -> str | None:
        return self.known.get(estab)

    def estabs(self) -> Iterable[str]:
        return list(self.known)

    def forget(self, estab: str) -> bool:
        self.forgotten.append(estab)
        return self.known.pop(estab, None) is not None


def deploy(connection: Connection, names: Names, endpoints: Iterable[str] = DEFAULT_ENDPOINTS) -> None:
    """Make the landing tables of the endpoints."""
    chosen = [choice.endpoint for choice in choices(endpoints)]
    with connection.transaction():
        for statement in statements(names, chosen):
            connection.execute(statement)


class Rehearsal:
    """Simulated schools and a SQLite database of their own; `collect` runs the collector over both."""

    def __init__(
        self,
        path: Path,
        schools: Iterable[School],
        *,
        endpoints: Iterable[str] = DEFAULT_ENDPOINTS,
        conditions: SchoolConditions | None = None,
        cohort: Set[str] | None = None,
        connection: Connection | None = None,
        schema: str | None = None,
        in_memory_bytes: int = IN_MEMORY_BYTES,
    ) -> None:
        self.in_memory_bytes = in_memory_bytes
        self.simulator = XporterSimulator(schools, conditions, sleep=lambda _seconds: None)
        self.endpoints = tuple(endpoints)
        self.connection = connection or connect(f"sqlite:///{path}", create=True)
        if self.connection.driver == "sqlite3":
            # The laws are about processes that end, not about machines that lose their power.
            self.connection.execute("PRAGMA synchronous = OFF")
        self.names = Names(self.connection.dialect, schema or "xporter")
        deploy(self.connection, self.names, self.endpoints)
        self.secrets = Secrets({school.estab: school.secret for school in self.simulator.schools.values()})
        self.cohort = cohort
        self.stop = threading.Event()
        self.budget = RetryBudget(0.0, time.monotonic, lambda _seconds: None)

    def collect(self, **options: Any) -> CollectSummary:
        """Collect once, inside the process."""
        parts = self._parts(management_secret=options.pop("management_secret", MANAGEMENT_SECRET))
        given = {"today": TODAY, "cohort": self.cohort, "shrink_pause_s": 0.0, "schools_at_once": 2, **options}
        return collect(parts, CollectOptions(choices=choices(self.endpoints), **given))

    def write_back(self, **options: Any) -> WriteBackSummary:
        """Write back once, inside the process."""
        given = {"kinds": frozenset({"attendance", "lesson", "conduct"}), **options}
        return write_back(self._parts(), WriteBackOptions(**given))

    def _parts(self, **access: Any) -> Parts:
        way = Access(
            session=in_process_session(self.simulator),
            base_url=URL,
            token_url=URL + GET_TOKEN_PATH,
            relying_party=RELYING_PARTY,
            user_agent="test",
            timeouts=(5.0, 5.0),
            max_attempts=3,
            retry_max_wait_s=0.0,
            min_gap_s=0.0,
            ready_wait_s=0.05,
            ready_poll_s=0.001,
            in_memory_bytes=self.in_memory_bytes,
            is_stopped=self.stop.is_set,
            **access,
        )
        return Parts(self.store(), way, self.secrets, self.budget)

    def store(self) -> LandingStore:
        """Return the landing tables under a new run."""
        return LandingStore(self.connection, self.names, str(uuid.uuid4()))

    def landed(self, endpoint: str, estab: str) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Return what is landed of a school's endpoint: values by landing table and key."""
        return landed_rows(self.connection, self.names, endpoint, estab)

    def expected(self, endpoint: str, school: School) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Return what should be landed of it, from the school's own truth."""
        return expected_rows(endpoint, school, self.cohort)


def landed_rows(
    connection: Connection, names: Names, endpoint: str, estab: str
) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return the landed values by landing table and key."""
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for landing in landings(load_catalogue().endpoint(endpoint)):
        columns = ", ".join(names.column(column) for column in (*landing.columns, "extra"))
        sql = f"SELECT row_key, {columns} FROM {names.table(landing.name)} WHERE estab = ?"
        rows = connection.query(sql, [estab])
        # The reference names this table and none of its columns; it repeats what was asked.
        if rows and not landing.name.endswith("_DateRange"):
            found[landing.name] = {str(row[0]): tuple(row[1:]) for row in rows}
    return found


def expected_rows(endpoint: str, school: School, cohort: Set[str] | None) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return the values that the school's truth gives, by landing table and key, minimised by hand."""
    if not school.is_open or not school.is_let_out(endpoint):
        return {}
    pupils = school.truth("Students")["Students"]
    ours = {str(row["Id"]) for row in pupils if cohort is None or row.get("UPN") in cohort}
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    excluded = school.truth("StudentExclusions")["StudentExclusions"]
    exclusions = {str(row["Id"]) for row in excluded if str(row.get("StudentId")) in ours}
    for landing in landings(load_catalogue().endpoint(endpoint)):
        # An Id of which the reference names no scope is not collected alone.
        if landing.is_for_unknown or landing.table.is_withheld(school.scopes):
            continue
        reader = RowReader(landing, landing.table.withheld(school.scopes))
        for row in school.truth(endpoint).get(landing.table.name, []):
            is_personal = landing.name == "Students" or landing.table.owner is not None
            if cohort is not None and is_personal and not _is_ours(landing.name, row, ours, exclusions):
                continue
            key = reader.key(row)
            assert key is not None
            found.setdefault(landing.name, {})[key] = tuple(reader.values(row))
    return found


def _is_ours(name: str, row: Mapping[str, Any], ours: set[str], exclusions: set[str]) -> bool:
    if name == "Students":
        return str(row["Id"]) in ours
    if name == "StudentExclusions_StudentExclusionReasons":
        return str(row.get("StudentExclusionId")) in exclusions
    student = row.get("StudentId", row.get("StudentMis_Id", row.get("Student_MisId")))
    return student is not None and str(student) in ours


def three_schools(**options: Any) -> list[School]:
    """Return three invented schools, the third with another kind of system."""
    return [
        make_school(number, today=TODAY, mis="bromcom" if number == 3 else "sims", **options) for number in (1, 2, 3)
    ]


def upns(school: School, *keys: str) -> set[str]:
    """Return the UPNs of these pupils of a school, or of all: a cohort."""
    return {str(school.pupils[key]["UPN"]) for key in keys or school.pupils}


def day(number: int) -> datetime:
    """Return a moment of the autumn."""
    return datetime(2025, 11, 1 + number, 12)  # noqa: DTZ001 - the list of schools writes no zone


def total(rehearsal: Rehearsal, table: str, estab: str) -> int:
    """Return how many rows of a school a table has."""
    sql = f"SELECT COUNT(*) FROM {rehearsal.names.table(table)} WHERE estab = ?"
    return int(rehearsal.connection.query(sql, [estab])[0][0])


__all__ = ["TODAY", "Dialect", "Rehearsal", "Secrets", "day", "deploy", "make_school", "three_schools", "total", "upns"]
