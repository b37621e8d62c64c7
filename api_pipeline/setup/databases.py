"""The database of a new installation: its connection string, and the staging table found by its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from api_pipeline.db import connect
from api_pipeline.diagnostics.columns import QUERIES
from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import examine
from api_pipeline.settings.model import Purpose, Settings
from api_pipeline.settings.sources import Sources
from api_pipeline.sql.connection_string import (
    NUMBERED_DRIVER,
    SQLITE_PREFIX,
    embedded_path,
    in_braces,
    is_embedded,
    trusted_connection_string,
)
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.native import NEWEST_DRIVER
from api_pipeline.sql.statements import load

KINDS = (
    ("sqlserver", "SQL Server, logging in as the Windows account that runs the program"),
    ("sqlserver-login", "SQL Server, with a user name and password"),
    ("postgresql", "PostgreSQL"),
    ("sqlite", "a SQLite file"),
    ("string", "a connection string of your own"),
    ("sample", "a sample database of invented children, to try things on"),
)
_DEFAULT_SCHEMAS = frozenset({"", "dbo", "public"})
# A name with a port behind a colon or a comma; an address of IPv6 has more than one colon.
_PORT = re.compile(r"([^:,]+)[:,] *([0-9]+)")


def connection_string(kind: str, answers: dict[str, str], drivers: Sequence[str]) -> str:
    """Return the connection string for a kind of database and the answers: server, database, user, password, file."""
    given = answers.get("server", "").strip()
    found = _PORT.fullmatch(given)
    host, port = found.groups() if found else (given, "")
    database = answers.get("database", "")
    # SQL Server has its port behind a comma.
    server = f"{host},{port}" if port else host
    if kind == "sqlite":
        return f"{SQLITE_PREFIX}{Path(answers['file']).absolute().as_posix()}"
    if kind == "sqlserver":
        built = trusted_connection_string(server, database, drivers)
        return built or _pairs(
            {"Driver": NEWEST_DRIVER, "Server": server, "Database": database, "Trusted_Connection": "yes"}
        )
    login = {"UID": answers.get("user", ""), "PWD": answers.get("password", "")}
    if kind == "sqlserver-login":
        return _pairs({"Driver": _newest(drivers), "Server": server, "Database": database, **login})
    driver = next((name for name in drivers if name.startswith("PostgreSQL Unicode")), "PostgreSQL Unicode")
    return _pairs({"Driver": driver, "Server": host, "Port": port or "5432", "Database": database, **login})


def with_whole_path(text: str) -> str:
    """Return a connection string as it may be written in any folder: a relative path of a SQLite file made absolute.

    In a settings file such a path counts from the file's folder, which need not be the one where it was tried.
    """
    if not is_embedded(text) or not embedded_path(text):
        return text
    return f"{SQLITE_PREFIX}{Path(embedded_path(text)).absolute().as_posix()}"


def settings_of(values: Mapping[str, str], folder: Path, purpose: Purpose) -> Settings:
    """Return settings of nothing but these answers; `folder` is that of the settings file. Errors: SettingsError."""
    options = {**values, "SPOOL_FOLDER": str(folder.absolute())}
    # Neither the environment nor a settings file that is there already is read.
    found = examine(Sources(options, {}, folder / "no-settings-here"), purpose)
    if found.errors:
        raise SettingsError(" ".join(found.errors))
    return found.settings


def staging_tables(text: str) -> list[str]:
    """Return the tables and views with the columns of a staging table, in any schema. Errors: DatabaseError."""
    connection = connect(text)
    try:
        kind = "sqlite" if connection.dialect is Dialect.SQLITE else "server"
        rows = connection.query(load(QUERIES)[f"staging_tables_{kind}"].sql)
    finally:
        connection.close()
    return [
        str(table) if str(schema or "").lower() in _DEFAULT_SCHEMAS else f"{schema}.{table}" for schema, table in rows
    ]


def _newest(drivers: Sequence[str]) -> str:
    numbered = [(int(match[1]), name) for name in drivers if (match := NUMBERED_DRIVER.fullmatch(name))]
    return max(numbered)[1] if numbered else NEWEST_DRIVER


def _pairs(values: dict[str, str]) -> str:
    parts = [
        f"{name}={{{value}}}" if name == "Driver" else f"{name}={in_braces(value)}" for name, value in values.items()
    ]
    return ";".join(parts)
