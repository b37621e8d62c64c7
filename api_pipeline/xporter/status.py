"""How old the data of each school are, by endpoint, and what went wrong last."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api_pipeline.common.clock import latest_start
from api_pipeline.run_summary import counted
from api_pipeline.xporter.consent import SchoolState
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.values import read_time

_ENDED = (SchoolState.REVOKED.value, SchoolState.REMOVED.value)


@dataclass(frozen=True, slots=True)
class EndpointAge:
    """One endpoint of a school: rows of all windows, the last complete round, and as of when its data are.

    `is_chosen` is not set where the settings name the endpoint no longer: nothing keeps its rows in step.
    """

    endpoint: str
    rows: int
    collected_at: datetime | None
    data_as_of: str | None
    problem: str | None
    is_stale: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class SchoolOverview:
    """One school."""

    estab: str
    name: str | None
    state: str
    problem: str | None
    purged_at: datetime | None
    purged_rows: int | None
    endpoints: tuple[EndpointAge, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """All schools as on `now`, in UTC. `outbox` counts the rows to be written back by school and state."""

    now: datetime
    schools: tuple[SchoolOverview, ...]
    outbox: tuple[tuple[str, str, int], ...] = ()

    @property
    def has_stale(self) -> bool:
        """Return whether a round of a school whose consent lasts is too old."""
        return any(endpoint.is_stale for school in self.schools for endpoint in school.endpoints)


def overview(store: LandingStore, now: datetime, limit: timedelta, chosen: Collection[str]) -> Overview:
    """Return every school with the age of its data; older than `limit` is stale. Errors: DatabaseError.

    `chosen` are the endpoints that the settings choose. A school whose first collection was killed has rounds, and one
    may have rows to be written back, though the table of schools does not know it.
    """
    rounds: dict[str, list[dict[str, Any]]] = {}
    for sync in store.syncs():
        rounds.setdefault(sync["estab"], []).append(sync)
    outbox = store.outbox_counts() if store.has_outbox() else ()
    known = {row["estab"]: row for row in store.schools()}
    schools = []
    for estab in sorted({*known, *rounds, *(row[0] for row in outbox)}):
        row = known.get(estab, {})
        state = row.get("state", SchoolState.UNKNOWN.value)
        oldest = now - limit if state not in _ENDED else datetime.min  # noqa: DTZ901 - without a zone, as all here
        ages = _ages(rounds.get(estab, []), oldest, chosen)
        schools.append(
            SchoolOverview(
                *(estab, row.get("school_name"), state, row.get("problem")),
                *(read_time(row.get("purged_at")), row.get("purged_rows"), ages),
            )
        )
    return Overview(now, tuple(schools), outbox)


def last_rounds(store: LandingStore) -> dict[str, datetime]:
    """Return when a school's last complete round ended, by school. Errors: DatabaseError."""
    found: dict[str, datetime] = {}
    for sync in store.syncs():
        ended = read_time(sync["round_ended"])
        if ended is not None:
            found[sync["estab"]] = max(ended, found.get(sync["estab"], ended))
    return found


def exit_codes(store: LandingStore) -> list[tuple[str, int | None]]:
    """Return how each collection ended, the newest first, by run; None has no end. Errors: DatabaseError."""
    runs = store.connection.query(store.sql("runs"), [latest_start()])
    return [(str(row[0]).strip(), None if row[11] is None else int(row[11])) for row in runs]


def _ages(syncs: list[dict[str, Any]], oldest: datetime, chosen: Collection[str]) -> tuple[EndpointAge, ...]:
    """Return the age of each endpoint of a school; a round of before `oldest` is stale."""
    names = sorted({sync["endpoint"] for sync in syncs})
    return tuple(
        _age(name, [sync for sync in syncs if sync["endpoint"] == name], oldest, is_chosen=name in chosen)
        for name in names
    )


def _age(name: str, syncs: list[dict[str, Any]], oldest: datetime, *, is_chosen: bool) -> EndpointAge:
    ended = [moment for sync in syncs if (moment := read_time(sync["round_ended"]))]
    # A closed week is never asked again, so that the newest window tells how far the collection has come.
    newest = max(syncs, key=lambda sync: sync["time_window"])
    last = max(ended, default=None)
    problem = next((sync["problem"] for sync in reversed(syncs) if sync["problem"]), None)
    is_stale = is_chosen and (last or datetime.min) < oldest  # noqa: DTZ901 - without a zone, as all here
    rows = sum(sync["row_count"] or 0 for sync in syncs)
    return EndpointAge(name, rows, last, newest["data_as_of"], problem, is_stale, is_chosen)


def status_lines(overview: Overview) -> list[str]:
    """Return the overview as lines: no value of a row, only counts and times."""
    lines = [f"Schools: {len(overview.schools)}, as on {overview.now:%Y-%m-%d %H:%M} UTC"]
    for school in overview.schools:
        lines.append(f"{school.estab}  {school.state:<10}  {school.name or ''}".rstrip())
        if school.purged_at is not None:
            removed = counted(school.purged_rows or 0, "{row was|rows were} removed")
            lines.append(f"  {removed} at {school.purged_at:%Y-%m-%d %H:%M} UTC")
        for endpoint in school.endpoints:
            when = f"{endpoint.collected_at:%Y-%m-%d %H:%M}" if endpoint.collected_at else "never"
            mark = "  STALE" if endpoint.is_stale else "" if endpoint.is_chosen else "  not in XPORTER_ENDPOINTS"
            rows = counted(endpoint.rows, "{row |rows}", ">9")
            lines.append(
                f"  {endpoint.endpoint:<28} {rows}  collected {when:<16}  data of "
                f"{endpoint.data_as_of or 'an unknown time'}{mark}"
            )
            if endpoint.problem:
                lines.append(f"    last problem: {endpoint.problem}")
        waiting = [f"{count} {state}" for estab, state, count in overview.outbox if estab == school.estab]
        if waiting:
            lines.append(f"  to be written back: {', '.join(waiting)}")
    return lines
