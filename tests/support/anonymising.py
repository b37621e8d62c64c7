"""The command `anonymise` on a database, and the rows of its copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.staging import table_rows


def run(database: TestDatabase, folder: Path, *args: str) -> Completed:
    return invoke_cli(["anonymise", *args], database.settings, folder)


def copied_rows(database: TestDatabase) -> list[dict[str, Any]]:
    return table_rows(database, database.anon_table)
