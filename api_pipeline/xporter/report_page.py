"""A collection as one HTML page: no script, nothing from elsewhere, every text escaped, no value of a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from api_pipeline.common.clock import latest_start
from api_pipeline.common.page_frame import document, section, table, verdict
from api_pipeline.common.private_files import make_private_folder, replace_file
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.logs.plain_text import harmless
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.status import EndpointAge, Overview

_ENDINGS = {
    0: ("good", "Every round is complete"),
    1: ("warn", "A school or an endpoint needs a look"),
    3: ("bad", "The database could not be used"),
    4: ("bad", "Every school refused"),
    5: ("bad", "A school could not be reached or kept failing"),
    130: ("warn", "The collection was stopped by a signal"),
}
_COUNTS = ("added", "changed", "deleted", "unchanged")


def write_page(store: LandingStore, overview: Overview, folder: Path, run_id: str | None) -> Path:
    """Write the page of a collection and return its path. Errors: SettingsError, DatabaseError."""
    runs = store.connection.query(store.sql("runs"), [latest_start()])
    run = next((row for row in runs if run_id is None or str(row[0]).strip() == run_id), None)
    if run is None:
        raise SettingsError("There is no such collection in the table xporter_run; list them there, or collect first.")
    entries = store.connection.query(store.sql("run_log"), [str(run[0]).strip()])
    text = page(run, entries, overview)
    path = folder / f"xporter-{str(run[1])[:10]}-{str(run[0])[:8]}.html"
    try:
        make_private_folder(folder)
        replace_file(path, harmless(text))
    except OSError as error:
        raise SettingsError(
            f"The report cannot be written to {path} ({reason_of(error)}); name another --folder."
        ) from None
    return path


def page(run: Sequence[object], entries: Iterable[Sequence[object]], overview: Overview) -> str:
    """Return the page of a collection (a row of `runs`) with its entries (rows of `run_log`)."""
    title = f"School data of {str(run[1])[:16]} UTC"
    code = run[11]
    tone, heading = _ENDINGS.get(int(str(code)) if code is not None else -1, ("warn", "The collection has no end yet"))
    facts = [("Schools", run[3]), ("Rounds", run[4])]
    facts += [(f"Rows {name}", count) for name, count in zip(_COUNTS, run[5:9], strict=True)]
    facts += [("Requests", run[9]), ("Bytes received", run[10])]
    odd = [entry for entry in entries if entry[10]]
    parts = [
        verdict(tone, heading, str(run[12] or "")),
        _table("This collection", ("What", "Count"), facts),
        _table(
            "What needs a look",
            ("School", "Endpoint", "Window", "Outcome", "Why"),
            [(entry[0], entry[1], entry[2], entry[3], entry[10]) for entry in odd],
        ),
        _table("Schools", ("School", "Name", "State", "Endpoint", "Rows", "Collected", "Data of"), _ages(overview)),
        _table(
            "Removed when consent ended",
            ("School", "Rows removed", "At (UTC)"),
            [(school.estab, school.purged_rows, school.purged_at) for school in overview.schools if school.purged_at],
        ),
    ]
    return document(title, "from the schools' own systems", parts, footer=f"Collection {escape(str(run[0]))}.")


def _ages(overview: Overview) -> list[tuple[object, ...]]:
    return [
        (
            *(school.estab, school.name, school.state, endpoint.endpoint, endpoint.rows),
            *(f"{endpoint.collected_at or 'never'}{_mark(endpoint)}", endpoint.data_as_of),
        )
        for school in overview.schools
        for endpoint in school.endpoints
    ]


def _mark(endpoint: EndpointAge) -> str:
    if endpoint.is_stale:
        return " (stale)"
    return "" if endpoint.is_chosen else " (not in XPORTER_ENDPOINTS)"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return section(title, table(heads, rows)) if rows else ""
