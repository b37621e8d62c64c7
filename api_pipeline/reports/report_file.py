"""Write report pages as files in a folder: one for each run, and an index page that lists the last nights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from api_pipeline.common.private_files import make_private_folder, replace_file
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.logs.plain_text import harmless
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.status import PastRun
from api_pipeline.reports.html_page import page
from api_pipeline.reports.index_page import index_page
from api_pipeline.reports.nights import Nights, gather_nights
from api_pipeline.reports.run_report import RunReport, gather
from api_pipeline.run_summary import RunSummary

INDEX = "index.html"


class Written(NamedTuple):
    """A report that was written: what it says, its page, and the folder's first page."""

    report: RunReport
    page: Path
    first_page: Path


def write_pages(
    store: StagingTable, table: str, folder: Path, *, run_id: str | None, summary: RunSummary | None = None
) -> Written:
    """Write the page of a run, chosen as `gather` says, and the folder's first page. Errors: those of `gather`."""
    report = gather(store, table, run_id=run_id, summary=summary)
    nights = gather_nights(store, table, report.in_error)
    return Written(report, write_report(report, folder), write_index(nights, folder))


def write_report(report: RunReport, folder: Path) -> Path:
    """Write the page into `folder`, which is made where it is missing, and return its path. Errors: SettingsError."""
    name = _name_of(report.run) if report.run else f"csc-api-report-{report.made_at:%Y-%m-%d-%H%M%S}.html"
    return _write(folder / name, page(report))


def write_index(nights: Nights, folder: Path) -> Path:
    """Write the folder's first page, in the place of the one before, and return its path. Errors: SettingsError."""
    names = {run.run_id: _name_of(run) for run in nights.runs}
    there = {run_id: name for run_id, name in names.items() if (folder / name).is_file()}
    return _write(folder / INDEX, index_page(nights, there))


def _write(path: Path, text: str) -> Path:
    folder = path.parent
    try:
        make_private_folder(folder)
        replace_file(path, harmless(text))
    except OSError as error:
        raise SettingsError(
            f"The report cannot be written into the folder {folder} ({reason_of(error)}); "
            "name another, or let this account write there."
        ) from None
    return path


def _name_of(run: PastRun) -> str:
    # Two runs may begin in one second (shards), so part of the id stands in the name.
    ending = re.sub(r"[^0-9A-Za-z]", "", run.run_id)[:8]
    return f"csc-api-run-{run.started_at:%Y-%m-%d-%H%M%S}-{ending}.html"
