"""Change sets and, now and then, the whole set land what comparing whole sets lands (design 3)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from api_pipeline.errors import SettingsError
from api_pipeline.sandbox.simulator.xporter import Quirk, SchoolConditions
from api_pipeline.settings.definitions.xporter import DEFAULT_ENDPOINTS
from api_pipeline.xporter.asking import choices
from api_pipeline.xporter.collect.change_sets import check_endpoints
from tests.support.effort import examples
from tests.support.xporter import TODAY, Rehearsal, make_school, total
from tests.support.xporter_moves import ENDPOINTS, MOVES, check_landed, killed_at, move, two_schools

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
_SWITCHED = frozenset({"students", "attendancefordaterange", "schoolinfo", "sen"})
# What a server may do to an answer without lying about the values of a snapshot.
_LOSSES = ("error_body", "html", "cut", "unavailable", "drop", "not_ready", "wrapped")


@dataclass(frozen=True)
class Night:
    moves: tuple[tuple[str, int, int, str], ...]
    losses: tuple[tuple[str, str, int], ...]
    forgets: bool
    killed_at: int | None


_nights = st.builds(
    Night,
    st.lists(MOVES, max_size=4).map(tuple),
    st.lists(st.tuples(st.sampled_from(_LOSSES), st.sampled_from(("", *ENDPOINTS)), st.integers(1, 3)), max_size=2).map(
        tuple
    ),
    st.booleans(),
    st.none() | st.integers(1, 120),
)
_LEFT_AND_CAME = [
    Night((), (), False, None),
    Night((("leave", 0, 1, "UPN"), ("enrol", 0, 0, "UPN"), ("change", 0, 2, "UPN")), (), True, None),
]


@example(_LEFT_AND_CAME, "lie", 100_011)
@example(_LEFT_AND_CAME, "full", 2)
@example([Night((("take_scope", 1, 0, "Attendance"),), (), False, None)], "lie", 2)
@settings(max_examples=examples(4, 200), phases=_PHASES, deadline=None)
@given(
    st.lists(_nights, min_size=1, max_size=4), st.sampled_from(("error", "full", "lie")), st.sampled_from((100_011, 2))
)
@pytest.mark.slow
def test_change_sets_land_what_comparing_whole_sets_lands(nights: list[Night], unknown: str, most_rows: int) -> None:
    conditions = SchoolConditions(unknown_snapshot=unknown, most_rows=most_rows)
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = Rehearsal(Path(folder) / "law.db", two_schools(), conditions=conditions)
        for number, night in enumerate(nights):
            for item in night.moves:
                move(rehearsal, item, 2 * number + 1)
            for kind, endpoint, times in night.losses:
                rehearsal.simulator.add_quirk(Quirk(kind, "", endpoint, times))
            if night.forgets:
                rehearsal.simulator.snapshots.forget()
            with killed_at(rehearsal, night.killed_at):
                rehearsal.collect(change_sets=_SWITCHED)
        rehearsal.simulator.clear_quirks()

        assert rehearsal.collect(change_sets=_SWITCHED).exit_code in (0, 1, 4)

        check_landed(rehearsal)
        rehearsal.connection.close()


def test_a_quiet_night_with_change_sets_receives_little_and_writes_nothing(tmp_path: Path) -> None:
    school = make_school(1, pupils=60, weeks=1, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "saving.db", [school], endpoints=("Students", "AttendanceForDateRange"))
    first = rehearsal.collect(change_sets=_SWITCHED)
    again = rehearsal.collect(change_sets=_SWITCHED)
    assert (again.counts.added, again.counts.changed, again.counts.deleted) == (0, 0, 0)
    assert again.received_bytes < first.received_bytes / 5
    rehearsal.connection.close()


def test_a_change_that_the_server_omits_comes_with_the_next_whole_set(tmp_path: Path) -> None:
    """R6: a count cannot see a stale value."""
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "stale.db", [school], endpoints=("Students",))
    rehearsal.collect(change_sets=_SWITCHED)
    school.change(next(iter(school.pupils)), Surname="Changed")
    rehearsal.simulator.add_quirk(Quirk("empty_table", endpoint="Students"))

    rehearsal.collect(change_sets=_SWITCHED)
    rehearsal.collect(change_sets=_SWITCHED)
    assert rehearsal.landed("Students", school.estab) != rehearsal.expected("Students", school)
    rehearsal.collect(change_sets=_SWITCHED, whole_every=timedelta(0))
    assert rehearsal.landed("Students", school.estab) == rehearsal.expected("Students", school)
    rehearsal.connection.close()


def test_rows_of_a_pupil_off_the_roll_whom_another_endpoint_still_names_come_again(tmp_path: Path) -> None:
    """They are taken out with the pupil, and are no change to the API; a longer table has the count of the set."""
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, _ = school.pupils
    sen = school.data["SEN"]
    sen["StudentDisabilities"] = {"7": {"Id": 7, "StudentMis_Id": first}}
    sen["StudentSENTypeHistory"] = {key: {"Id": int(key), "StudentMis_Id": second} for key in ("8", "9")}
    rehearsal = Rehearsal(tmp_path / "named.db", [school], endpoints=("Students", "SEN"))
    rehearsal.collect(change_sets=_SWITCHED)
    pupil = school.pupils.pop(first)

    rehearsal.collect(change_sets=_SWITCHED)
    assert total(rehearsal, "SEN_StudentDisabilities", school.estab) == 1
    school.pupils[first] = pupil
    rehearsal.collect(change_sets=_SWITCHED)
    assert total(rehearsal, "SEN_StudentDisabilities", school.estab) == 1
    rehearsal.connection.close()


@pytest.mark.parametrize(("table", "landed"), [("StudentSiblings", "StudentSiblings"), ("Unpublished", "Other")])
def test_rows_of_a_pupil_off_the_roll_whom_another_table_of_the_roll_still_names_come_again(
    tmp_path: Path, table: str, landed: str
) -> None:
    school = make_school(1, pupils=5, weeks=0, today=TODAY)
    first, second, *_ = school.pupils
    school.data["Students"][table] = {
        "1": {"Id": 1, "StudentId": first, "SiblingId": second},
        "2": {"Id": 2, "StudentId": second},
    }
    rehearsal = Rehearsal(tmp_path / "roll.db", [school], endpoints=("Students",))
    rehearsal.collect(change_sets=_SWITCHED)
    pupil = school.pupils.pop(first)

    rehearsal.collect(change_sets=_SWITCHED)
    assert total(rehearsal, f"Students_{landed}", school.estab) == 1
    school.pupils[first] = pupil
    rehearsal.collect(change_sets=_SWITCHED)
    assert total(rehearsal, f"Students_{landed}", school.estab) == 2
    rehearsal.connection.close()


def test_list_of_pupils_has_a_pupil_again_who_is_back_on_the_roll(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    first, second = school.pupils
    incident = {"Id": 7, "Date": str(TODAY), "StudentIds": f"{first},{second}"}
    school.data["BehaviourForDateRange"]["Behaviour"] = {"7": incident}
    rehearsal = Rehearsal(
        tmp_path / "list.db", [school], endpoints=("Students", "BehaviourForDateRange+includeStudentIds")
    )
    options: dict[str, Any] = {"change_sets": frozenset({"students", "behaviourfordaterange"}), "weeks_back": 0}
    rehearsal.collect(**options)
    pupil = school.pupils.pop(first)
    rehearsal.collect(**options)
    school.pupils[first] = pupil

    rehearsal.collect(**options)

    table = rehearsal.names.table("BehaviourForDateRange_Behaviour")
    ((extra,),) = rehearsal.connection.query(f"SELECT extra FROM {table}")
    assert f"{first},{second}" in extra
    rehearsal.connection.close()


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("StudentSiblings", [{"StudentId": 1, "SiblingId": 2}, {"StudentId": 2, "SiblingId": 1}]),
        ("Unpublished", [{"Id": 1, "StudentId": 1}, {"Id": 2, "StudentId": 2}]),
        ("Unpublished", [{"StudentId": 1}, {"StudentId": 2}]),
    ],
)
def test_row_of_an_unpublished_table_goes_with_the_change_set_that_does_not_have_it(
    tmp_path: Path, table: str, rows: list[dict[str, Any]]
) -> None:
    """A longer table has the count of the set."""
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    school.data["Students"][table] = dict(enumerate(rows))  # type: ignore[arg-type] # the keys are the simulator's own
    rehearsal = Rehearsal(tmp_path / "unpublished.db", [school], endpoints=("Students",))
    rehearsal.collect(change_sets=_SWITCHED)
    landed = "Students_StudentSiblings" if table == "StudentSiblings" else "Students_Other"
    assert total(rehearsal, landed, school.estab) == 2
    del school.data["Students"][table][1]  # type: ignore[arg-type] # as above

    rehearsal.collect(change_sets=_SWITCHED)

    assert total(rehearsal, landed, school.estab) == 1
    rehearsal.connection.close()


def test_other_members_are_to_be_landed_so_the_whole_set_is_requested(tmp_path: Path) -> None:
    school = make_school(1, pupils=1, weeks=0, today=TODAY)
    school.change(next(iter(school.pupils)), Shoe="4")
    rehearsal = Rehearsal(tmp_path / "members.db", [school], endpoints=("Students",))
    rehearsal.collect(change_sets=_SWITCHED, keeps_unknown=False)

    assert rehearsal.collect(change_sets=_SWITCHED).counts.changed == 1
    assert rehearsal.collect(change_sets=_SWITCHED).counts.changed == 0
    rehearsal.connection.close()


@pytest.mark.parametrize(
    ("names", "is_minimised", "said"),
    [
        (("Students",), True, "XPORTER_KEEP_UNMATCHED"),
        (("Staff",), False, "of XPORTER_ENDPOINTS"),
        (("StudentExclusions",), False, "named by their Id"),
    ],
)
def test_endpoints_that_change_sets_cannot_serve_are_a_settings_error(
    names: tuple[str, ...], is_minimised: bool, said: str
) -> None:
    chosen = choices(DEFAULT_ENDPOINTS)
    with pytest.raises(SettingsError, match=said):
        check_endpoints(chosen, names, is_minimised=is_minimised)
