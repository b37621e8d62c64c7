"""Connections to the council's database: ODBC through pyodbc, the embedded one through Python's own sqlite3.

Both look alike from outside (`Connection`): rows as tuples, no transaction open unless one was asked for. There is one
way to run a statement: its parameters are written so that the driver asks the server nothing (`sql.binding`), every
result is read to its end, and before a commit the transaction is known to be the one that was begun. An error becomes a
`DatabaseError` whose sentence never quotes a value of a row (`sql.driver_errors`). The room uses `sql`, `common`
and `errors` alone. Start reading at `connection`; `odbc` is what it is behind ODBC, `opening` opens one, `pieces` has
the SQL in which the databases differ, `retry` repeats work on a database that went away, and `run_lock` keeps two runs
from one table.
"""

from api_pipeline.db.connection import Connection, Parameters, Row
from api_pipeline.db.hidden_tables import hidden_by_schema
from api_pipeline.db.many_rows import in_chunks, most_rows, parts_of
from api_pipeline.db.opening import connect, working_as
from api_pipeline.db.paging import check_ids_grow, check_ids_whole, pages_by_id
from api_pipeline.db.pieces import dialect_pieces
from api_pipeline.db.retry import LockLost, Retrying, refusal_of, unless_refused
from api_pipeline.sql.binding import Rows
from api_pipeline.sql.driver_errors import (
    ConnectionLost,
    DatabaseBusy,
    KeyTaken,
    RowsMissed,
    StatementFailed,
    TableMissing,
    TransactionLost,
    UnreadableText,
    UnstorableText,
)

__all__ = [
    "Connection",
    "ConnectionLost",
    "DatabaseBusy",
    "KeyTaken",
    "LockLost",
    "Parameters",
    "Retrying",
    "Row",
    "Rows",
    "RowsMissed",
    "StatementFailed",
    "TableMissing",
    "TransactionLost",
    "UnreadableText",
    "UnstorableText",
    "check_ids_grow",
    "check_ids_whole",
    "connect",
    "dialect_pieces",
    "hidden_by_schema",
    "in_chunks",
    "most_rows",
    "pages_by_id",
    "parts_of",
    "refusal_of",
    "unless_refused",
    "working_as",
]
