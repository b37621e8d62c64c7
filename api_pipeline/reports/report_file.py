"""The report page as a file in a folder."""

from __future__ import annotations

import re
from pathlib import Path

from api_pipeline.errors import SettingsError
from api_pipeline.logs.plain_text import harmless
from api_pipeline.private_files import make_private_folder, private_opener
from api_pipeline.reports.html_page import page
from api_pipeline.reports.run_report import RunReport


def write_report(report: RunReport, folder: Path) -> Path:
    """Write the page into `folder`, which is made where it is missing, and return its path. Errors: SettingsError."""
    path = folder / _file_name(report)
    try:
        make_private_folder(folder)
        with open(path, "w", encoding="utf-8", newline="\n", opener=private_opener) as file:
            file.write(harmless(page(report)))
    except OSError as error:
        raise SettingsError(
            f"The report cannot be written into the folder {folder} ({type(error).__name__}); "
            "name another, or let this account write there."
        ) from None
    return path


def _file_name(report: RunReport) -> str:
    if report.run is None:
        return f"csc-api-report-{report.made_at:%Y-%m-%d-%H%M%S}.html"
    # Two runs may begin in one second (shards), so part of the id stands in the name.
    ending = re.sub(r"[^0-9A-Za-z]", "", report.run.run_id)[:8]
    return f"csc-api-run-{report.run.started_at:%Y-%m-%d-%H%M%S}-{ending}.html"
