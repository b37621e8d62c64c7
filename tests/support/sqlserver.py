"""`python -m tests.support.sqlserver` waits for a SQL Server, makes a database there, and prints how to connect to it.

The driver is the installed one (18, else 17), or that of the wheel mssql-python.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pyodbc

from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase
from tests.support.microsoft import driver

DATABASE = "d2i_tests"
_INSTALLED = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
_MAKE = f"IF DB_ID(N'{DATABASE}') IS NULL CREATE DATABASE {DATABASE}"


def connection_string(host: str, password: str, database: str) -> str:
    """Return the connection string for the account sa; the server made its own certificate when it was started."""
    name = next((f"{{{name}}}" for name in _INSTALLED if name in pyodbc.drivers()), None) or driver()
    text = f"Driver={name};Server={host};Database={database};UID=sa;PWD={{{password.replace('}', '}}')}}}"
    return f"{text};Encrypt=yes;TrustServerCertificate=yes"


def make_database(host: str, password: str, patience_s: float) -> str:
    """Return the connection string of the tests' database, made where it is not there.

    Errors: SystemExit where the server lets nobody in for `patience_s` seconds.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection = pyodbc.connect(connection_string(host, password, "master"), autocommit=True, timeout=5)
            break
        except pyodbc.Error as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"SQL Server on {host} lets nobody in: {error.args[0]}") from None
            time.sleep(1.0)
    connection.execute(_MAKE)
    connection.close()
    return connection_string(host, password, DATABASE)


@contextmanager
def own_database(server: str) -> Iterator[TestDatabase]:
    """Yield a new database on the SQL Server of a connection string, which nobody else uses, and remove it."""
    name = f"d2i_test_{secrets.token_hex(6)}"
    maker = pyodbc.connect(server, autocommit=True)
    try:
        maker.execute(f"CREATE DATABASE {name}")
        # Of two settings of one keyword some drivers take the first, some the last.
        text = f"{re.sub('(?i)(^|;) *database=[^;]*', '', server)};Database={name}"
        connection = pyodbc.connect(text, autocommit=True)
        try:
            yield TestDatabase("sqlserver", text, Dialect.SQLSERVER, connection)
        finally:
            connection.close()
            _drop(maker, name)
    finally:
        maker.close()


def _drop(maker: pyodbc.Connection, name: str, patience_s: float = 20.0) -> None:
    """Remove a database, once the server has noticed that its last session has ended."""
    deadline = time.monotonic() + patience_s
    while maker.execute("SELECT DB_ID(?)", name).fetchval() is not None:
        try:
            maker.execute(f"DROP DATABASE {name}")
        except pyodbc.Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    try:
        print(make_database(os.environ["SQLSERVER_HOST"], os.environ["SQLSERVER_PASSWORD"], patience_s=120.0))
    except KeyError as missing:
        raise SystemExit(f"{missing.args[0]} is not set; it says where SQL Server is, or how to log in.") from None
