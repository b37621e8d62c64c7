"""The program's name in a connection string."""

from __future__ import annotations

import pytest

from api_pipeline.sql.connection_string import with_program

SERVER = "Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d"


@pytest.mark.parametrize("text", [SERVER, f"{SERVER};", f"{SERVER}; "])
def test_sql_server_is_given_the_programs_name(text: str) -> None:
    assert with_program(text, "d2i-csc-api run 1") == f"{SERVER};APP=d2i-csc-api run 1"


@pytest.mark.parametrize(
    "text",
    [
        f"{SERVER};App=mine",
        f"{SERVER};Application Name=mine",
        "DSN=council",
        "Driver={PostgreSQL Unicode};Server=s",
        "Driver={SQLite3};Database=x",
    ],
)
def test_name_that_is_given_and_other_drivers_are_left_alone(text: str) -> None:
    assert with_program(text, "d2i-csc-api") == text
