"""Logins of a test's own on a server: they belong to the server, which tests of several workers share."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.databases import TestDatabase
from tests.support.postgres import PostgresServer

_PASSWORD = "invented"


@dataclass(frozen=True, slots=True)
class Login:
    """A login and how it reaches the test's database."""

    name: str
    connection_string: str


@contextmanager
def another_login(
    database: TestDatabase, server: PostgresServer, *grants: str, name: str | None = None
) -> Iterator[Login]:
    """Make a login with these rights, each as GRANT has it before its TO, and drop it at the end."""
    name = name or f"csc_api_{secrets.token_hex(6)}"
    database.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{_PASSWORD}'")
    try:
        for grant in grants:
            database.execute(f"GRANT {grant} TO {name}")
        current = str(database.rows("SELECT current_database()")[0][0])
        yield Login(name, server.connection_string(current, user=name, password=_PASSWORD))
    finally:
        database.execute(f"DROP OWNED BY {name}")
        database.execute(f"DROP ROLE {name}")


@contextmanager
def sql_server_login(database: TestDatabase, *grants: str) -> Iterator[Login]:
    """Make a login and user of SQL Server with these rights, as `another_login`, and drop both at the end."""
    name, password = f"csc_api_{secrets.token_hex(6)}", f"In-{secrets.token_hex(12)}"
    database.execute(f"CREATE LOGIN {name} WITH PASSWORD = '{password}'")
    try:
        database.execute(f"CREATE USER {name} FOR LOGIN {name}")
        try:
            for grant in grants:
                database.execute(f"GRANT {grant} TO {name}")
            # Of two settings of one keyword some drivers take the first, some the last.
            server = re.sub("(?i)(^|;) *(uid|pwd)=[^;]*", "", database.connection_string)
            yield Login(name, f"{server};UID={name};PWD={password}")
        finally:
            for grant in grants:
                database.execute(f"REVOKE {grant} FROM {name}")
            database.execute(f"DROP USER {name}")
    finally:
        database.execute(f"DROP LOGIN {name}")
