"""The connection string that the guided set-up makes from its answers."""

from __future__ import annotations

import pytest

from api_pipeline.setup.databases import connection_string

LOGIN = {"database": "council", "user": "analyst", "password": "p"}


@pytest.mark.parametrize(
    ("server", "parts"),
    [
        ("db.council.example", "Server=db.council.example;Port=5432"),
        ("db.council.example:55432", "Server=db.council.example;Port=55432"),
        ("127.0.0.1,55432", "Server=127.0.0.1;Port=55432"),
        ("::1", "Server=::1;Port=5432"),
    ],
)
def test_postgresql_takes_a_port_behind_the_name(server: str, parts: str) -> None:
    assert parts in connection_string("postgresql", {"server": server, **LOGIN}, ())


@pytest.mark.parametrize(
    ("server", "part"),
    [("SRV:1433", "Server=SRV,1433"), ("SRV,1433", "Server=SRV,1433"), (r"SRV\SSD", r"Server=SRV\SSD")],
)
def test_sql_server_takes_its_port_behind_a_comma(server: str, part: str) -> None:
    assert part in connection_string("sqlserver-login", {"server": server, **LOGIN}, ())
