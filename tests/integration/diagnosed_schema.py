"""`test-schema` on a database, and the steps of its tables."""

from __future__ import annotations

from pathlib import Path

from tests.support.databases import TestDatabase
from tests.support.diagnosing import Found, diagnose

CONTROL_TABLES = (
    *("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed", "ssd_api_left_window", "ssd_api_built"),
    "ssd_api_runs",
)


def check(database: TestDatabase, folder: Path, *args: str) -> Found:
    return diagnose("test-schema", database.settings, folder, *args)


def named(found: Found, table: str) -> dict[str, str]:
    """Return the step of a table, however this database writes its name."""
    return next(dict(step) for name, step in found.steps.items() if name.replace('"', "").endswith(table))
