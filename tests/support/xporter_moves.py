"""What may happen to simulated schools and to a collection of them, for the laws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from api_pipeline.sandbox.simulator.xporter import ALL_SCOPES, Quirk, School
from tests.support.xporter import TODAY, Rehearsal, day, make_school

ENDPOINTS = ("Students", "SchoolInfo", "AttendanceCodes", "AttendanceForDateRange", "StudentExclusions", "SEN")
SCOPES = ("UPN", "StudentFamily", "Attendance", "StudentExclusions", "SENTypes", "Student", "StudentFunding")
ESTABS = ("9990001", "9990002")
QUIRKS = (
    *("error_body", "not_ready", "html", "cut", "missing_table", "empty_table", "null_key", "duplicate_key"),
    *("extra_column", "number_to_text", "unavailable", "scope", "token_refused", "broken_gzip", "drop", "wrapped"),
)


class Killed(BaseException):
    """The process ends here."""


MOVES = st.tuples(
    st.sampled_from(
        (
            "enrol",
            "leave",
            "change",
            "mark",
            "exclude",
            "withhold",
            "show",
            "take_scope",
            "give_scope",
            "revoke",
            "again",
        )
    ),
    st.integers(0, 1),
    st.integers(0, 6),
    st.sampled_from(SCOPES),
)


def two_schools() -> list[School]:
    """Return two small schools, the second with another kind of system."""
    return [
        make_school(1, pupils=4, weeks=1, today=TODAY),
        make_school(2, pupils=3, weeks=1, today=TODAY, mis="bromcom"),
    ]


def move(rehearsal: Rehearsal, what: tuple[str, int, int, str], moment: int) -> None:
    """Let something happen at a school."""
    kind, which, pupil, scope = what
    school = rehearsal.simulator.schools[ESTABS[which]]
    keys = list(school.pupils)
    key = keys[pupil % len(keys)] if keys else None
    match kind:
        case "enrol":
            school.enrol()
        case "leave" if key:
            school.leave(key)
        case "change" if key:
            school.change(key, Surname=f"Changed{moment}", FsmEligible=None)
        case "mark" if key:
            school.mark(key, TODAY - timedelta(days=1), "AM", "O")
        case "exclude" if key:
            school.exclude(key, TODAY)
        case "withhold" if key:
            school.withheld_people.add(key)
        case "show":
            school.withheld_people.clear()
        case "take_scope":
            school.scopes = school.scopes - {scope}
        case "give_scope":
            school.scopes = ALL_SCOPES
        case "revoke":
            school.revoke(day(moment))
        case "again":
            if not school.is_open:
                rehearsal.secrets.known[school.estab] = school.authorise_again(day(moment))


@contextmanager
def killed_at(rehearsal: Rehearsal, statement: int | None) -> Iterator[None]:
    """End the collection at the database's n-th statement, as a process ends that is killed: nothing is committed."""
    connection: Any = rehearsal.connection
    left = [statement or 0]
    originals: dict[str, Callable[..., Any]] = {name: getattr(connection, name) for name in ("query", "execute")}

    def counted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return originals[name](*args, **keywords)

        return call

    if statement is not None:
        for name in originals:
            setattr(connection, name, counted(name))
    try:
        yield
    except Killed:
        pass
    finally:
        for name in originals:
            connection.__dict__.pop(name, None)


@dataclass(frozen=True)
class Night:
    """What happens before a collection, what is odd during it, and at which statement it is killed (None: not)."""

    moves: tuple[tuple[str, int, int, str], ...]
    quirks: tuple[tuple[str, int, str, int], ...]
    killed_at: int | None


QUIRKS_OF_A_NIGHT = st.tuples(
    st.sampled_from(QUIRKS), st.integers(0, 1), st.sampled_from(("", *ENDPOINTS)), st.integers(1, 4)
)
NIGHTS = st.builds(
    Night,
    st.lists(MOVES, max_size=4).map(tuple),
    st.lists(QUIRKS_OF_A_NIGHT, max_size=3).map(tuple),
    st.none() | st.integers(1, 120),
)


def through(rehearsal: Rehearsal, nights: list[Night], **options: Any) -> None:
    """Let nights pass; what is odd ends with the last."""
    for number, night in enumerate(nights):
        for item in night.moves:
            move(rehearsal, item, 2 * number + 1)
        for kind, which, endpoint, times in night.quirks:
            rehearsal.simulator.add_quirk(Quirk(kind, ESTABS[which], endpoint, times))
        with killed_at(rehearsal, night.killed_at):
            rehearsal.collect(**options)
    rehearsal.simulator.clear_quirks()


def check_landed(rehearsal: Rehearsal, *estabs: str) -> None:
    """L1: what is landed is what the schools let out; of all schools where none is named."""
    for estab in estabs or rehearsal.simulator.schools:
        for endpoint in ENDPOINTS:
            landed = rehearsal.landed(endpoint, estab)
            assert landed == rehearsal.expected(endpoint, rehearsal.simulator.schools[estab]), (endpoint, estab)


def check_counts(rehearsal: Rehearsal) -> None:
    """L6: the state's count of rows is that of the tables."""
    tables = [rehearsal.names.table(landing.name) for landing in rehearsal.store().existing()]
    counted: dict[tuple[str, str], int] = {}
    for sync in rehearsal.store().syncs():
        key = (str(sync["estab"]), str(sync["endpoint"]))
        counted[key] = counted.get(key, 0) + (sync["row_count"] or 0)
    for estab in {estab for estab, _ in counted}:
        there = sum(
            rehearsal.connection.query(f"SELECT COUNT(*) FROM {table} WHERE estab = ?", [estab])[0][0]
            for table in tables
        )
        assert there == sum(count for (school, _), count in counted.items() if school == estab)
