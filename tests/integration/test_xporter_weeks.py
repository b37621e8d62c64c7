"""A week is landed as it was after its last day, however long nothing was collected."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from api_pipeline.xporter.asking import choices
from api_pipeline.xporter.windows import windows
from tests.support.xporter import TODAY, Rehearsal, make_school


def test_week_that_was_landed_before_its_end_is_asked_again_after_it(tmp_path: Path) -> None:
    school = make_school(1, pupils=1, weeks=0, today=TODAY)
    (pupil,) = school.pupils
    rehearsal = Rehearsal(tmp_path / "weeks.db", [school], endpoints=("Students", "AttendanceForDateRange"))
    monday = TODAY - timedelta(days=TODAY.weekday())
    weeks = {"weeks_back": 0, "earliest": monday}
    school.mark(pupil, monday, "AM", "/")
    rehearsal.collect(**weeks)
    rehearsal.connection.execute("UPDATE xporter_sync SET round_ended = ?", [datetime(2025, 11, 26, 4)])  # noqa: DTZ001
    school.mark(pupil, monday + timedelta(days=3), "AM", "O")

    rehearsal.collect(today=TODAY + timedelta(weeks=4), **weeks)

    landed = rehearsal.landed("AttendanceForDateRange", school.estab)
    assert landed == rehearsal.expected("AttendanceForDateRange", school)
    # The roll, and the week that goes on.
    assert rehearsal.collect(today=TODAY + timedelta(weeks=4), **weeks).rounds == 2


def test_school_year_ends_with_august() -> None:
    (choice,) = choices(("HistoricalAttendanceSummary",))
    found = windows(choice.endpoint, date(2026, 9, 1), 2, date(2024, 10, 1))
    assert [(one.name, one.closed_on) for one in found] == [("2024", date(2025, 8, 31)), ("2025", None), ("2026", None)]
