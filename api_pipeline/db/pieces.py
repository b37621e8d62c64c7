"""The pieces of SQL in which the databases differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from api_pipeline.sql.binding import markers
from api_pipeline.sql.identifiers import Dialect

# What differs between the databases beyond DDL and the run lock, and `rows_as_table`: the end of a page, and how a row
# is kept still while its version is compared. SQLite needs no row lock: its transaction is opened for writing.
_DIFFERENCES = {
    Dialect.SQLSERVER: {
        "page": "OFFSET 0 ROWS FETCH NEXT {size} ROWS ONLY",
        "lock_rows": "WITH (UPDLOCK, ROWLOCK)",
        "locked": "",
        "moment": "DATETIME2(3)",
    },
    Dialect.POSTGRESQL: {
        "page": "OFFSET 0 ROWS FETCH NEXT {size} ROWS ONLY",
        "lock_rows": "",
        "locked": "FOR UPDATE",
        "moment": "TIMESTAMP",
    },
    Dialect.SQLITE: {"page": "LIMIT {size}", "lock_rows": "", "locked": "", "moment": "TEXT"},
}


def dialect_pieces(dialect: Dialect, size: int) -> dict[str, str]:
    """Return the pieces of SQL in which a database differs, by name in `queries.sql`; a page has `size` rows."""
    pieces = _DIFFERENCES[dialect]
    return {**pieces, "page": pieces["page"].format(size=size)}


def rows_as_table(dialect: Dialect, types: Sequence[type], count: int) -> str:
    """Return the SQL of a table `given` of `count` rows of parameters; `types` are int, str, datetime or bytes.

    Its columns are `column1`, `column2` and so on: what two of the three databases call them by themselves. VALUES is
    one part of a statement however many rows it has; as SELECTs joined by UNION ALL, a hundred rows take PostgreSQL
    ten times as long to plan.
    """
    row = f"({markers(types)})"
    names = ""
    if dialect is Dialect.SQLSERVER:
        names = f" ({', '.join(f'column{number}' for number in range(1, len(types) + 1))})"
    return f"(VALUES {', '.join([row] * count)}) AS given{names}"
