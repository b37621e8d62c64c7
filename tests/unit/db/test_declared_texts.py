"""How a text is declared to an ODBC driver."""

from __future__ import annotations

import pyodbc
import pytest

from api_pipeline.db.odbc import declared_text
from api_pipeline.sql.binding import UNLIMITED


@pytest.mark.parametrize(
    ("driver", "length", "declared"),
    [
        ("libmsodbcsql-18.6.so.2.1", UNLIMITED, pyodbc.SQL_WVARCHAR),
        ("msodbcsql17.dll", 64, pyodbc.SQL_WVARCHAR),
        ("libtdsodbc.so", 64, pyodbc.SQL_WVARCHAR),
        # By the other name it refuses every text of more than 4,000 bytes: invalid string or buffer length.
        ("libtdsodbc.so", UNLIMITED, pyodbc.SQL_WLONGVARCHAR),
    ],
)
def test_text_without_limit_has_the_name_that_the_driver_takes(driver: str, length: int, declared: int) -> None:
    assert declared_text(driver, length) == (declared, length, 0)
