"""The laws of the collector on a server, and what a reader with a connection of its own sees at every instant."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api_pipeline.db import Connection, connect
from tests.support.databases import TestDatabase
from tests.support.effort import examples
from tests.support.xporter import TODAY, Rehearsal
from tests.support.xporter_moves import (
    MOVES,
    NIGHTS,
    Night,
    check_counts,
    check_landed,
    move,
    through,
    two_schools,
)

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
# The database is emptied before each example.
_SUPPRESSED = (HealthCheck.function_scoped_fixture,)
# A withdrawn scope empties columns before a school is asked, which is the law of withdrawn scopes.
_WITHIN_SCOPES = MOVES.filter(lambda item: not item[0].endswith("_scope"))
_TABLES = ("StudentExclusions", "StudentExclusions_StudentExclusionReasons")


@contextmanager
def _rehearsal(database: TestDatabase, folder: Path, **options: object) -> Iterator[Rehearsal]:
    """Give simulated schools and the database without a row."""
    connection = connect(database.connection_string)
    rehearsal = Rehearsal(folder / "unused.db", two_schools(), connection=connection, **options)  # type: ignore[arg-type] # as given
    try:
        for name in ("school", "sync", "run", "run_log", "column", "match", "outbox"):
            connection.execute(f"DELETE FROM {rehearsal.names.table(f'xporter_{name}')}")
        for landing in rehearsal.store().existing():
            connection.execute(f"DELETE FROM {rehearsal.names.table(landing.name)}")
        yield rehearsal
    finally:
        connection.close()


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@settings(max_examples=examples(2, 200), phases=_PHASES, deadline=None, suppress_health_check=_SUPPRESSED)
@given(st.lists(NIGHTS, min_size=1, max_size=2))
def test_one_calm_collection_after_anything_lands_the_schools_on_a_server(
    database: TestDatabase, tmp_path: Path, nights: list[Night]
) -> None:
    with _rehearsal(database, tmp_path) as rehearsal:
        through(rehearsal, nights)

        assert rehearsal.collect().exit_code in (0, 1, 4)

        check_landed(rehearsal)
        check_counts(rehearsal)
        again = rehearsal.collect()
        assert (again.counts.added, again.counts.changed, again.counts.deleted) == (0, 0, 0)


def _snapshot_sql(rehearsal: Rehearsal) -> str:
    """Return a query of both tables in one statement: school, table, key, hash, pupil."""
    exclusions, reasons = (rehearsal.names.table(name) for name in _TABLES)
    column = rehearsal.names.column
    return (
        f"SELECT estab, 1, row_key, row_sha, {column('StudentId')} FROM {exclusions} UNION ALL "
        f"SELECT r.estab, 2, r.row_key, r.row_sha, e.{column('StudentId')} FROM {reasons} AS r LEFT JOIN {exclusions} "
        f"AS e ON e.estab = r.estab AND e.row_key = r.{column('StudentExclusionId')}"
    )


def _seen(connection: Connection, sql: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(str(value) for value in row) for row in connection.query(sql))


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
@settings(max_examples=examples(2, 200), phases=_PHASES, deadline=None, suppress_health_check=_SUPPRESSED)
@given(st.lists(st.lists(_WITHIN_SCOPES, min_size=1, max_size=4), min_size=2, max_size=4))
def test_a_reader_always_sees_one_snapshot_of_each_schools_endpoint(
    database: TestDatabase, tmp_path: Path, nights: list[list[tuple[str, int, int, str]]]
) -> None:
    """L3: what is seen of a school is what one collection left there, and never a mixture of two.

    The round of the roll removes the rows of pupils who left it, before the endpoint's own round: such a snapshot
    without these pupils is the one other thing that is seen. A reason whose exclusion the school took out an earlier
    night is nobody's ("None"), and stays.
    """
    with _rehearsal(database, tmp_path, endpoints=("Students", "StudentExclusions")) as rehearsal:
        if database.name == "sqlite":
            rehearsal.connection.execute("PRAGMA journal_mode = WAL")
        sql = _snapshot_sql(rehearsal)
        roll_sql = f"SELECT estab, row_key FROM {rehearsal.names.table('Students')}"
        left = [_seen(rehearsal.connection, sql)]
        rolls = [_seen(rehearsal.connection, roll_sql)]
        seen: set[frozenset[tuple[str, ...]]] = set()
        done = threading.Event()

        def read() -> None:
            reader = connect(database.connection_string)
            while not done.is_set():
                seen.add(_seen(reader, sql))
            reader.close()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for number, moves in enumerate(nights):
                for item in moves:
                    move(rehearsal, item, 2 * number + 1)
                for school in rehearsal.simulator.schools.values():
                    for key in list(school.pupils)[: 1 + number % 3]:
                        school.exclude(key, TODAY)
                rehearsal.collect(schools_at_once=1)
                left.append(_seen(rehearsal.connection, sql))
                rolls.append(_seen(rehearsal.connection, roll_sql))
        finally:
            done.set()
            thread.join()

        for estab in rehearsal.simulator.schools:
            states = {frozenset(row for row in state if row[0] == estab) for state in left}
            states |= {
                frozenset(row for row in state if row[0] == estab and (row[4] == "None" or (estab, row[4]) in roll))
                for state, roll in zip(left, rolls[1:], strict=False)
            }
            mixtures = {frozenset(row for row in state if row[0] == estab) for state in seen} - states
            assert not mixtures, (estab, len(states))
        assert seen
