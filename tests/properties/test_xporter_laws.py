"""The laws of the school data collector (design 4.10): whatever happens, one calm collection puts everything right."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from api_pipeline.sandbox.simulator.xporter import Quirk, School
from tests.support.commands import ROOT, clean_environment
from tests.support.effort import examples
from tests.support.xporter import TODAY, Rehearsal, day, make_school
from tests.support.xporter_moves import (
    ENDPOINTS,
    ESTABS,
    NIGHTS,
    QUIRKS,
    SCOPES,
    Night,
    check_counts,
    check_landed,
    through,
    two_schools,
)

# An example is a few whole collections: what fails is worth reading as it is, and shrinking it takes minutes.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def _cohort(schools: list[School], minimised: bool) -> frozenset[str] | None:
    if not minimised:
        return None
    return frozenset(str(row["UPN"]) for school in schools for row in list(school.pupils.values())[::2])


_REVOKED_AND_KILLED_BEFORE_THE_PURGE = [Night((), (), None), Night((("revoke", 1, 0, "UPN"),), (), 36)]


@pytest.mark.slow
@example(_REVOKED_AND_KILLED_BEFORE_THE_PURGE, False, False)
@example([Night((), (("extra_column", 0, "Students", 4),), None)], False, True)
@settings(max_examples=examples(4, 200), phases=_PHASES)
@given(st.lists(NIGHTS, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_one_calm_collection_after_anything_lands_what_the_schools_let_out(
    nights: list[Night], minimised: bool, adds_columns: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        schools = two_schools()
        rehearsal = Rehearsal(Path(folder) / "law.db", schools, cohort=_cohort(schools, minimised))
        through(rehearsal, nights, adds_columns=adds_columns)

        summary = rehearsal.collect(adds_columns=adds_columns)

        assert summary.exit_code in (0, 1, 4), summary
        check_landed(rehearsal)
        check_counts(rehearsal)
        again = rehearsal.collect()
        assert (again.counts.added, again.counts.changed, again.counts.deleted) == (0, 0, 0)
        rehearsal.connection.close()


@settings(max_examples=examples(4, 200), phases=_PHASES)
@given(NIGHTS, st.lists(st.sampled_from(QUIRKS), max_size=6))
def test_nothing_of_a_school_that_revoked_remains_whatever_else_goes_wrong(night: Night, quirks: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        schools = two_schools()
        rehearsal = Rehearsal(Path(folder) / "law.db", schools)
        through(rehearsal, [night])
        schools[0].revoke(day(25))
        for kind in quirks:
            rehearsal.simulator.add_quirk(Quirk(kind, times=None))

        rehearsal.collect()

        for endpoint in ENDPOINTS:
            assert rehearsal.landed(endpoint, schools[0].estab) == {}
        assert not any(sync["estab"] == schools[0].estab for sync in rehearsal.store().syncs())
        assert schools[0].estab not in rehearsal.secrets.known
        rehearsal.connection.close()


@settings(max_examples=examples(4, 200), phases=_PHASES)
@given(st.sets(st.sampled_from(SCOPES), min_size=1), st.lists(st.sampled_from(QUIRKS), max_size=4))
def test_nothing_of_a_withdrawn_scope_remains_whatever_else_goes_wrong(taken: set[str], quirks: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        schools = two_schools()
        rehearsal = Rehearsal(Path(folder) / "law.db", schools)
        rehearsal.collect()
        schools[0].scopes = schools[0].scopes - taken
        for kind in quirks:
            rehearsal.simulator.add_quirk(Quirk(kind, times=None))

        rehearsal.collect()

        for endpoint in ENDPOINTS:
            for landing in rehearsal.store().existing():
                if landing.endpoint != endpoint or landing.is_for_unknown:
                    continue
                rows = rehearsal.landed(endpoint, schools[0].estab).get(landing.name, {})
                for column in landing.table.withheld(schools[0].scopes):
                    place = landing.columns.index(column)
                    assert all(values[place] is None for values in rows.values()), (landing.name, column)
        rehearsal.connection.close()


@settings(max_examples=examples(4, 200), phases=_PHASES)
@given(st.lists(st.sampled_from(QUIRKS), min_size=1, max_size=5), st.booleans())
def test_a_failing_school_changes_nothing_of_anothers_outcome(quirks: list[str], refused: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        schools = two_schools()
        rehearsal = Rehearsal(Path(folder) / "law.db", schools)
        for kind in quirks:
            rehearsal.simulator.add_quirk(Quirk(kind, schools[0].estab, times=None))
        if refused:
            rehearsal.secrets.known[schools[0].estab] = "a mistyped secret"

        summary = rehearsal.collect()

        assert not [problem for problem in summary.problems if problem.round.estab == schools[1].estab]
        check_landed(rehearsal, schools[1].estab)
        rehearsal.connection.close()


@settings(max_examples=examples(4, 200), phases=_PHASES)
@given(st.lists(st.sampled_from((*QUIRKS, "shrunk")), min_size=1, max_size=6), st.sampled_from(ESTABS))
def test_no_log_holds_a_secret_a_name_a_upn_or_a_date_of_birth(quirks: list[str], paused: str) -> None:
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign] # a sink
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with tempfile.TemporaryDirectory() as folder:
            schools = two_schools()
            rehearsal = Rehearsal(Path(folder) / "law.db", schools)
            for kind in quirks:
                rehearsal.simulator.add_quirk(Quirk(kind, times=2))
            rehearsal.simulator.schools[paused].is_paused = True
            summary = rehearsal.collect()
            stored = [
                str(row)
                for table in ("xporter_run_log", "xporter_sync", "xporter_school")
                for row in rehearsal.connection.query(f'SELECT * FROM "{table}"')
            ]
            rehearsal.connection.close()
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    text = "\n".join([*records, *stored, *summary.lines, *(problem.text for problem in summary.problems)])
    for school in schools:
        assert school.secret not in text
        for row in school.pupils.values():
            for member in ("Surname", "Forename", "UPN", "DateOfBirth"):
                assert f" {row[member]}" not in text
                assert f'"{row[member]}' not in text
    assert "Ada Nobody" not in text
    assert len(records) > 3


@pytest.mark.parametrize("shrinks", [True, False])
def test_a_set_that_shrinks_by_much_is_written_only_with_a_reason(tmp_path: Path, shrinks: bool) -> None:
    school = make_school(1, pupils=90, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "law.db", [school], endpoints=("Students",))
    rehearsal.collect()
    if shrinks:
        for key in list(school.pupils)[:70]:
            school.leave(key)
    else:
        rehearsal.simulator.add_quirk(Quirk("shrunk", endpoint="Students", times=None))

    summary = rehearsal.collect()

    assert summary.exit_code == (0 if shrinks else 1)
    assert len(rehearsal.landed("Students", school.estab)["Students"]) == (20 if shrinks else 90)
    if not shrinks:
        assert rehearsal.collect(accepts_shrink=True).exit_code == 0
        assert len(rehearsal.landed("Students", school.estab)["Students"]) == 30


_KILLED = """
import sys, threading
from pathlib import Path
from tests.support.xporter import Rehearsal, TODAY, make_school
rehearsal = Rehearsal(Path(sys.argv[1]), [make_school(n, pupils=30, weeks=1, today=TODAY) for n in (1, 2)])
rehearsal.connection.execute("PRAGMA synchronous = NORMAL")
print("ready", flush=True)
rehearsal.collect()
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_killed_collection_leaves_nothing_half_and_the_next_completes_it(tmp_path: Path) -> None:
    """L8, by a real end of the process: whatever is landed is whole rounds, and one more collection lands the rest."""
    path = tmp_path / "killed.db"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=clean_environment({}),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.15)
        process.kill()
    schools = [make_school(number, pupils=30, weeks=1, today=TODAY) for number in (1, 2)]
    rehearsal = Rehearsal(path, schools)
    for sync in rehearsal.store().syncs():
        if sync["endpoint"] == "Students":
            school = next(school for school in schools if school.estab == sync["estab"])
            assert rehearsal.landed("Students", school.estab) == rehearsal.expected("Students", school)

    assert rehearsal.collect().exit_code == 0

    check_landed(rehearsal)
    rehearsal.connection.close()


def test_a_stop_ends_the_collection_with_130_and_keeps_whole_rounds(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path / "law.db", two_schools())
    rehearsal.simulator.change(latency_s=0.2)
    requests: list[float] = []

    def stop_at_the_twelfth_of_twenty(seconds: float) -> None:
        requests.append(seconds)
        if len(requests) == 12:
            rehearsal.stop.set()

    rehearsal.simulator._sleep = stop_at_the_twelfth_of_twenty

    summary = rehearsal.collect()

    assert summary.exit_code == 130
    assert 0 < summary.rounds < 16
    rehearsal.stop.clear()
    rehearsal.simulator.change(latency_s=0.0)
    assert rehearsal.collect().exit_code == 0
