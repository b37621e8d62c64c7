"""A council with invented schools served over real HTTP, and the installed command."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from api_pipeline.sandbox.simulator.xporter import School, XporterServer
from tests.support.commands import Completed, invoke_cli


class Council:
    """A council with three invented schools served over HTTP, and its command."""

    def __init__(self, server: XporterServer, folder: Path, schools: list[School]) -> None:
        self.server = server
        self.simulator = server.simulator
        self.schools = schools
        self.folder = folder
        self.database = folder / "council.db"
        self.settings = {
            **server.settings(),
            **{"DB_CONNECTION_STRING": f"sqlite:///{self.database}", "XPORTER_KEEP_UNMATCHED": "true"},
            **{"XPORTER_MIN_GAP_MS": "0", "MAX_ATTEMPTS": "2", "RETRY_MAX_WAIT_S": "0", "XPORTER_READY_WAIT_S": "0"},
            **{"XPORTER_READY_POLL_S": "0.01", "XPORTER_READ_TIMEOUT_S": "5", "DB_RETRY_S": "0"},
            "XPORTER_ENDPOINTS": "Students, SchoolInfo, StudentExclusions",
        }

    def run(self, *arguments: str, **settings: str) -> Completed:
        return invoke_cli(["xporter", *arguments], {**self.settings, **settings}, self.folder)

    def count(self, table: str, estab: str) -> int:
        with sqlite3.connect(self.database) as connection:
            found = connection.execute(f'SELECT COUNT(*) FROM "xporter_{table}" WHERE estab = ?', [estab]).fetchone()
        return int(found[0])

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the council's database, and commit."""
        with sqlite3.connect(self.database) as connection:
            return connection.execute(sql, values).fetchall()
