"""Find out whether a pooler, such as PgBouncer, gives the server's session to other programs between transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from api_pipeline.db.connection import translated
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.statements import load

if TYPE_CHECKING:
    import pyodbc

# What the driver prepares in one session it would look for in another.
WITHOUT_PREPARED_STATEMENTS = "UseServerSidePrepare=0"
# Which of two connections is asked for its process. One after the other both ways round: of a pooler that takes its
# sessions in turn, whatever their number, one connection then meets two of them.
_ASKED = (0, 1, 1, 0, 0, 1)

_KNOWN: dict[str, bool] = {}


def is_behind_pooler(
    connection: pyodbc.Connection, connection_string: str, open_another: Callable[[], pyodbc.Connection]
) -> bool:
    """Return whether a connection to PostgreSQL shares the server's sessions with others.

    Two connections that are open together each have a process of the server's for themselves, unless a pooler is in
    between. What is found counts for all connections of the same string. Where no second connection is possible, a
    pooler is assumed: what is safe behind one is safe without. Errors: ConnectionLost.
    """
    if connection_string not in _KNOWN:
        _KNOWN[connection_string] = not _have_their_own(connection, open_another)
    return _KNOWN[connection_string]


def _have_their_own(connection: pyodbc.Connection, open_another: Callable[[], pyodbc.Connection]) -> bool:
    sql = load()["session_postgresql"].sql
    try:
        pair = (connection, open_another())
    except DatabaseError:
        return False
    try:
        with translated():
            found = [(which, pair[which].execute(sql).fetchone()[0]) for which in _ASKED]
    finally:
        pair[1].close()
    processes = dict(found)
    return processes[0] != processes[1] and set(found) == set(processes.items())
