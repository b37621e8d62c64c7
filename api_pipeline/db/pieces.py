"""The pieces of SQL in which the databases differ. Pure."""

from __future__ import annotations

from api_pipeline.sql.identifiers import Dialect

# What differs between the databases beyond DDL, the run lock and lists (`sql.binding`): a page's end, and how a row
# is kept still while its version is compared. SQLite needs no row lock: its transaction is opened for writing.
# SQL Server refuses to compare two columns of different collations (error 468) unless one of them is given one: our own
# keys stand beside columns of the database's default. Others compare every text exactly.
_DIFFERENCES = {
    Dialect.SQLSERVER: {
        "page": "OFFSET 0 ROWS FETCH NEXT {size} ROWS ONLY",
        "lock_rows": "WITH (UPDLOCK, ROWLOCK)",
        "locked": "",
        "moment": "DATETIME2(3)",
        "exact": " COLLATE Latin1_General_BIN2",
        "usual": " COLLATE DATABASE_DEFAULT",
    },
    Dialect.POSTGRESQL: {
        "page": "OFFSET 0 ROWS FETCH NEXT {size} ROWS ONLY",
        "lock_rows": "",
        "locked": "FOR UPDATE",
        "moment": "TIMESTAMP",
        "exact": "",
        "usual": "",
    },
    Dialect.SQLITE: {
        "page": "LIMIT {size}",
        "lock_rows": "",
        "locked": "",
        "moment": "TEXT",
        "exact": "",
        "usual": "",
    },
}


def dialect_pieces(dialect: Dialect, size: int | str) -> dict[str, str]:
    """Return the pieces of SQL in which a database differs, by name in `queries.sql`; a page has `size` rows.

    `size` may be a name in braces, for which the number is put in later.
    """
    pieces = _DIFFERENCES[dialect]
    return {**pieces, "page": pieces["page"].format(size=size)}
