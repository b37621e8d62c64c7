"""Three invented schools and an invented council: three nights of collection, then each child's attendance."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from api_pipeline.db.retry import RetryBudget
from api_pipeline.demos.database import open_new
from api_pipeline.errors import first_exit_code
from api_pipeline.run_summary import counted
from api_pipeline.sandbox.simulator.adapter import in_process_session
from api_pipeline.sandbox.simulator.xporter import (
    GET_TOKEN_PATH,
    MANAGEMENT_SECRET,
    RELYING_PARTY,
    School,
    XporterSimulator,
    make_school,
)
from api_pipeline.sandbox.synthetic_ssd.database import create_tables
from api_pipeline.settings.definitions.xporter import DEFAULT_ENDPOINTS
from api_pipeline.xporter.asking import choices
from api_pipeline.xporter.cohort import people, pupils
from api_pipeline.xporter.collect import CollectOptions, CollectSummary, collect
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.layout import Names
from api_pipeline.xporter.match import cohort_marks, proposals
from api_pipeline.xporter.parts import Parts
from api_pipeline.xporter.schema import statements
from api_pipeline.xporter.wire.access import Access

_URL = "https://schools.invented.example"
_CHILDREN_AT_EACH = 3
_MARK = b"XPOD"
_FILE = "xporter-demo.db"


@dataclass(slots=True)
class _Secrets:
    known: dict[str, str]

    def get(self, estab: str) -> str | None:
        return self.known.get(estab)

    def estabs(self) -> list[str]:
        return list(self.known)

    def forget(self, estab: str) -> bool:
        return self.known.pop(estab, None) is not None


def default_folder() -> Path:
    """Return a new folder for a demo."""
    return Path(tempfile.mkdtemp(prefix="d2i-csc-api-xporter-"))


def demo(folder: Path, echo: Callable[[str], None], stop: threading.Event, today: date | None = None) -> int:
    """Show a first collection, one after a pupil left, and one after a school revoked; return the exit code.

    Errors: SettingsError, DatabaseError.
    """
    day = today or datetime.now(timezone.utc).date()
    path = folder / _FILE
    connection = open_new(path, _MARK)
    try:
        schools = [make_school(number, pupils=12, today=day) for number in (1, 2, 3)]
        _invent_ssd(connection, schools)
        names = Names(connection.dialect)
        chosen = choices(DEFAULT_ENDPOINTS)
        for statement in statements(names, [choice.endpoint for choice in chosen], with_ssd=""):
            connection.execute(statement)
        simulator = XporterSimulator(schools)
        secrets = _Secrets({school.estab: school.secret for school in schools})

        def night(title: str) -> CollectSummary:
            echo(f"\n{title}")
            store = LandingStore(connection, names, str(uuid.uuid4()))
            cohort = cohort_marks(people(connection, ""))
            options = CollectOptions(today=day, choices=chosen, cohort=cohort, shrink_pause_s=0.0)
            summary = collect(_parts(store, simulator, secrets, stop), options)
            _show(summary, echo)
            return summary

        codes = [night("Night 1: three schools; only the council's own children are landed.").exit_code]
        ours = {str(row[1]) for row in connection.query("SELECT pers_person_id, pers_upn FROM ssd_person")}
        leaver = next(key for key, row in schools[0].pupils.items() if row["UPN"] in ours)
        schools[0].leave(leaver)
        codes.append(night(f"Night 2: one of our children has left school {schools[0].estab}.").exit_code)
        schools[2].revoke(datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0))
        codes.append(night(f"Night 3: school {schools[2].estab} has revoked its consent.").exit_code)
        _show_attendance(connection, echo)
        found = proposals(people(connection, ""), pupils(LandingStore(connection, names)))
        echo(f"\nProposals for a worker (xporter match): {len(found)}")
        echo(f"\nThe database of this demo: {path}")
    finally:
        connection.close()
    return first_exit_code(codes)


def _parts(store: LandingStore, simulator: XporterSimulator, secrets: _Secrets, stop: threading.Event) -> Parts:
    access = Access(
        session=in_process_session(simulator),
        base_url=_URL,
        token_url=_URL + GET_TOKEN_PATH,
        relying_party=RELYING_PARTY,
        user_agent="d2i-csc-api demo",
        timeouts=(5.0, 10.0),
        management_secret=MANAGEMENT_SECRET,
        min_gap_s=0.0,
        is_stopped=stop.is_set,
    )
    return Parts(store, access, secrets, RetryBudget(5.0, time.monotonic, time.sleep))


def _invent_ssd(connection: Any, schools: list[School]) -> None:
    """Make the SSD's tables and put some pupils of each school into them: the council's own children."""
    create_tables(connection.execute, connection.dialect)
    number = 0
    for school in schools:
        for row in list(school.pupils.values())[:_CHILDREN_AT_EACH]:
            number += 1
            connection.execute(
                "INSERT INTO ssd_person (pers_person_id, pers_upn, pers_forename, pers_surname, pers_dob) "
                "VALUES (?, ?, ?, ?, ?)",
                [f"P{number:03d}", row["UPN"], row["Forename"], row["Surname"], row["DateOfBirth"]],
            )
            started = (datetime.now(timezone.utc) - timedelta(days=90)).date().isoformat()
            connection.execute(
                "INSERT INTO ssd_cin_episodes (cine_referral_id, cine_person_id, cine_referral_date) VALUES (?, ?, ?)",
                [f"R{number:03d}", f"P{number:03d}", started],
            )


def _show(summary: CollectSummary, echo: Callable[[str], None]) -> None:
    counts = summary.counts
    for line in summary.lines:
        echo(f"  {line}")
    dropped = counted(summary.dropped, "{row|rows} about other pupils")
    echo(
        f"  {counted(summary.schools, '{school|schools}')}, {counted(summary.rounds, '{round|rounds}')}: "
        f"{counted(counts.added, '{row|rows}')} added, {counts.changed} changed, "
        f"{counts.deleted} deleted, {counts.unchanged} unchanged; {dropped} dropped; "
        f"exit code {summary.exit_code}"
    )


def _show_attendance(connection: Any, echo: Callable[[str], None]) -> None:
    echo("\nEach child's attendance (view xporter_vChildAttendance), the newest week of each child:")
    echo("  person  school   week from   possible present authorised unauthorised CIN CLA")
    rows = connection.query(
        "SELECT person_id, estab, MAX(week_from), possible, present, authorised, unauthorised, is_cin, is_cla "
        'FROM "xporter_vChildAttendance" GROUP BY person_id, estab ORDER BY person_id'
    )
    for person, estab, week, possible, present, authorised, unauthorised, cin, cla in rows:
        echo(
            f"  {person:<7} {estab}  {week or '-':<10}  {possible:>8} {present:>7} {authorised:>10} {unauthorised:>12} "
            f"{cin:>3} {cla:>3}"
        )
