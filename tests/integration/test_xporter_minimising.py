"""A pupil who becomes one of the council's children is landed whole, closed weeks as well."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator.xporter import Quirk
from tests.support.xporter import TODAY, Rehearsal, make_school

_MARKS = "SELECT COUNT(*) FROM xporter_AttendanceForDateRange_AttendMarks WHERE StudentId = ?"


@pytest.mark.parametrize("fails_first", [False, True])
def test_closed_weeks_are_asked_again_for_a_new_child(tmp_path: Path, fails_first: bool) -> None:
    school = make_school(1, pupils=3, weeks=3, today=TODAY)
    first, second, _ = school.pupils
    endpoints = ("Students", "AttendanceForDateRange")
    cohort = {str(school.pupils[first]["UPN"])}
    rehearsal = Rehearsal(tmp_path / "new.db", [school], endpoints=endpoints, cohort=cohort)
    weeks = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=3)}
    rehearsal.collect(**weeks)
    rehearsal.cohort = cohort | {str(school.pupils[second]["UPN"])}
    if fails_first:
        rehearsal.simulator.add_quirk(Quirk("unavailable", endpoint="AttendanceForDateRange", times=6))
        rehearsal.collect(**weeks)

    rehearsal.collect(**weeks)

    counts = [rehearsal.connection.query(_MARKS, [key])[0][0] for key in (first, second)]
    assert counts[0] == counts[1] > 10
    requests = rehearsal.collect(**weeks).requests
    assert requests < 6
