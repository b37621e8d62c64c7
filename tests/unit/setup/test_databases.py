"""The connection string that the guided set-up makes from its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.setup.databases import connection_string, with_whole_path

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


def test_own_connection_string_to_a_file_means_the_same_in_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_whole_path("sqlite:///staging.db") == f"sqlite:///{(tmp_path / 'staging.db').as_posix()}"
    for text in ("Driver={x};Server=s", "sqlite:///", f"sqlite:///{tmp_path.as_posix()}/s.db"):
        assert with_whole_path(text) == text
