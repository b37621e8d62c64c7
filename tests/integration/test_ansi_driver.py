"""PostgreSQL's ODBC driver for ANSI texts, which takes no Unicode: it is named before anything else is done."""

from __future__ import annotations

from pathlib import Path

import pyodbc
import pytest

from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase, missing
from tests.support.postgres import DRIVER

ANSI = "PostgreSQL ANSI"


@pytest.mark.parametrize("command", ["run", "test-db-connection"])
@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_driver_without_unicode_is_named_with_the_one_to_take(
    deployed: TestDatabase, tmp_path: Path, command: str
) -> None:
    if ANSI not in pyodbc.drivers():
        missing(f"the ODBC driver {ANSI} is not installed")
    text = deployed.connection_string.replace(DRIVER, ANSI)

    done = invoke_cli([command], {**deployed.settings, "DB_CONNECTION_STRING": text}, tmp_path)

    assert done.code == 3, done.text
    assert "The ODBC driver PostgreSQL ANSI takes no text in Unicode" in done.text
    assert "Driver={PostgreSQL Unicode}" in done.text
