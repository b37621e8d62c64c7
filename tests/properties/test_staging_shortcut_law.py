"""A payload that is not built again is the one that would have been built: with and without what is kept of sources.

Two councils with the same rows live through the same nights, the one with the table `ssd_api_built`, the other without.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from contextlib import closing
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_pipeline.db import Connection, connect
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill, write_night
from api_pipeline.sandbox.synthetic_ssd.nights import Night
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.sources import Sources
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging import sources
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.issues import Issue
from api_pipeline.staging.outcome import StagingObservers
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.session import stage
from api_pipeline.staging.window import window_for
from tests.properties.test_staging_laws import Maker, outcome_on
from tests.support.effort import examples
from tests.support.ssd import DEFAULTS, RUN_DATE, WINDOW

TABLE = "ssd_api_data_staging"
RECEIVER = "http://127.0.0.1:1/1/children_social_care_data/845/children"
OPTIONS = (
    DEFAULTS,
    DEFAULTS._replace(one_block_per_child=True, cohort_include_cp_plans=True, cohort_include_disabled=True),
)
CONTEXT = sources.context_hash(WINDOW, OPTIONS[0], b"rules", TABLE)
SETTINGS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"ONE_BLOCK_PER_CHILD": "true"},
    {"COHORT_INCLUDE_DISABLED": "true"},
    {"PURGE_LEFT_WINDOW": "true"},
    {"DELETE_LEFT_WINDOW": "false"},
    {"COHORT_MONTHS_BACK": "12"},
    {"UASC_VALUES": "nobody"},
)
few = settings(max_examples=examples(3, 5), deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=examples(25, 200), deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)


class Council:
    """A database with an SSD and a staging table. `keeps` is whether it has the table of what payloads came from."""

    def __init__(self, path: Path, *, keeps: bool) -> None:
        self._path = path
        if not keeps:
            with closing(self._opened()) as connection:
                connection.execute("DROP TABLE ssd_api_built")

    def _opened(self) -> Connection:
        return connect(f"sqlite:///{self._path}")

    def live_through(self, night: Night, sent: float, forgotten: float, seed: int) -> None:
        """Change the SSD, let the receiver take a share of the rows, and let another program break a share."""
        rng = random.Random(seed)
        with closing(self._opened()) as connection:
            write_night(connection, night)
            with connection.transaction():
                rows = connection.query(f"SELECT id, person_id, json_payload, row_state FROM {TABLE} ORDER BY id")
                for row_id, person, text, state in rows:
                    if rng.random() < sent:
                        _accept(connection, row_id, person, text, is_deleted=state == "deleted")
                    if rng.random() < forgotten:
                        lost = rng.choice(("current_hash = NULL", "row_state = 'deleted'", "json_payload = '{}'"))
                        connection.execute(f"UPDATE {TABLE} SET {lost} WHERE id = ?", [row_id])

    def stage(self, day: date, more: dict[str, str]) -> tuple[Any, ...]:
        """Stage, and return all that came of it."""
        issues: Counter[Issue] = Counter()
        named = {"DB_CONNECTION_STRING": f"sqlite:///{self._path}", "TABLE_NAME": TABLE, "LA_CODE": "845"}
        named |= {"API_ENDPOINT": "http://127.0.0.1:1/1", **more}
        found = load_settings(Sources({}, named, self._path.parent), Purpose.STAGE)
        observers = StagingObservers(issue=lambda issue: issues.update([issue]))
        summary = stage(found, StageCall(day, allows_deletions=True), observers, threading.Event())
        counts = (summary.people, summary.cohort, summary.withheld, summary.kept, +summary.words, +summary.issues)
        with closing(self._opened()) as connection:
            columns = (
                "id, person_id, legacy_id, json_payload, current_hash, previous_json_payload, submission_status, "
                "row_state, api_response"
            )
            rows = connection.query(f"SELECT {columns} FROM {TABLE} ORDER BY id")
            retained = connection.query("SELECT * FROM ssd_api_left_window ORDER BY person_id")
        return counts, issues, rows, retained

    def recorded(self) -> int:
        """Return of how many people it is recorded what their payload was built from."""
        with closing(self._opened()) as connection:
            return int(connection.query("SELECT COUNT(*) FROM ssd_api_built")[0][0])


def _accept(connection: Connection, row_id: int, person: str, text: str, *, is_deleted: bool) -> None:
    """Leave a row as `run` does when its record, or its deletion, was accepted."""
    connection.execute("DELETE FROM ssd_api_held WHERE la_child_id = ?", [person])
    if is_deleted:
        connection.execute(
            f"UPDATE {TABLE} SET submission_status = 'sent', previous_json_payload = NULL, previous_hash = NULL "
            "WHERE id = ?",
            [row_id],
        )
        return
    connection.execute(
        f"UPDATE {TABLE} SET submission_status = 'sent', row_state = 'unchanged', previous_hash = current_hash, "
        "previous_json_payload = json_payload WHERE id = ?",
        [row_id],
    )
    connection.execute(
        "INSERT INTO ssd_api_held (receiver, la_child_id, held_payload, held_hash) VALUES (?, ?, ?, ?)",
        [RECEIVER, person, text, sha256(text.encode()).hexdigest()],
    )


@pytest.mark.slow
@few
@given(seeds)
def test_nights_with_and_without_the_shortcut_leave_the_same_table(tmp_path_factory: Any, seed: int) -> None:
    rng = random.Random(seed)
    folder: Path = tmp_path_factory.mktemp("council")
    day = RUN_DATE
    ssd = SyntheticSsd(20, day, seed % 1000, all_cases_first=rng.random() < 0.5)
    with closing(connect(f"sqlite:///{folder / 'with.db'}", create=True)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        ddl.apply(connection.execute, Dialect.SQLITE, TABLE)
        create_tables(connection.execute, Dialect.SQLITE)
        fill(connection, ssd)
    shutil.copyfile(folder / "with.db", folder / "without.db")
    keeping, building = Council(folder / "with.db", keeps=True), Council(folder / "without.db", keeps=False)

    for _ in range(3):
        more = rng.choice(SETTINGS)
        assert keeping.stage(day, more) == building.stage(day, more)
        # The same again: nothing changed, and everything that can be left out is.
        assert keeping.stage(day, more) == building.stage(day, more)
        assert keeping.recorded()
        day += timedelta(days=rng.choice([0, 1, 1, 7, 300, -40]))
        night, sent = ssd.next_night(rng, 0.1, day), rng.choice([0.0, 0.6, 1.0])
        forgotten, number = rng.choice([0.0, 0.0, 0.1]), rng.randrange(2**32)
        for council in (keeping, building):
            council.live_through(night, sent, forgotten, number)


@many
@given(seeds, st.integers(0, 4000), st.booleans())
def test_until_its_last_day_a_person_comes_to_the_same(seed: int, days: int, near: bool) -> None:
    rows = Maker(seed).person_rows()
    last = sources.last_day_alike(rows, WINDOW)
    assert last >= RUN_DATE
    day = last if near else min(last, RUN_DATE + timedelta(days=days))
    later = window_for(min(day, date(9990, 1, 1)))
    if (later.start, later.census_dates) != (WINDOW.start, WINDOW.census_dates):
        return

    for options in OPTIONS:
        assert outcome_on(rows, later, options) == outcome_on(rows, WINDOW, options)


@many
@given(seeds, st.randoms(use_true_random=False))
def test_the_hash_of_sources_is_that_of_the_rows_in_any_order(seed: int, shuffler: random.Random) -> None:
    rows, shuffled, other = (Maker(number).person_rows() for number in (seed, seed, seed + 1))
    for name in PersonRows.__slots__:
        if name != "person":
            shuffler.shuffle(getattr(shuffled, name))

    hashed = sources.rows_hash(CONTEXT, rows)
    assert sources.rows_hash(CONTEXT, shuffled) == hashed
    assert hashed is None or hashed != sources.rows_hash(CONTEXT, other)


@many
@given(seeds, st.data())
def test_any_change_of_a_row_changes_the_hash_of_sources(seed: int, data: st.DataObject) -> None:
    rows, changed = Maker(seed).person_rows(), Maker(seed).person_rows()
    names = [name for name in PersonRows.__slots__ if name != "person" and getattr(rows, name)]
    name = data.draw(st.sampled_from(names))
    found = getattr(changed, name)
    place = data.draw(st.integers(0, len(found) - 1))
    field = data.draw(st.integers(0, len(found[place]) - 1))
    row = list(found[place])
    row[field] = "another value"
    found[place] = type(found[place])(*row)

    hashed = sources.rows_hash(CONTEXT, rows)
    assert hashed is None or hashed != sources.rows_hash(CONTEXT, changed)


def test_every_setting_is_in_the_hash_of_the_context() -> None:
    window = window_for(RUN_DATE, months_back=12)
    found = [
        *(CONTEXT, sources.context_hash(window, OPTIONS[0], b"rules", TABLE)),
        *(sources.context_hash(WINDOW, OPTIONS[0], b"other rules", TABLE),),
        *(sources.context_hash(WINDOW, OPTIONS[0], b"rules", "other"),),
    ]
    # Each of the settings, with a value that none of them has.
    for name in DEFAULTS._fields:
        other: dict[str, Any] = {name: "another"}
        found.append(sources.context_hash(WINDOW, DEFAULTS._replace(**other), b"rules", TABLE))
    assert len(set(found)) == len(found)


def test_issues_are_read_as_they_were_written() -> None:
    issues = tuple(
        issue for seed in range(30) for issue in outcome_on(Maker(seed).person_rows(), WINDOW, OPTIONS[0])[2]
    )

    for issue in issues:
        assert sources.read_issues(sources.issues_text([issue]), issue.person_id) == (issue,)
    assert issues
    assert sources.issues_text([]) is None
    assert sources.read_issues(None, "1001") == ()
