"""The pieces of SQL in which the databases differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from api_pipeline.sql.binding import markers
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import placeholders

# What differs between the databases beyond DDL and the run lock, and `rows_as_table`: the end of a page, and how a row
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


_FROM_JSON = {int: "CAST({} AS BIGINT)", str: "{}", datetime: "CAST({} AS TIMESTAMP)", bytes: "DECODE({}, 'hex')"}


def given_rows(
    dialect: Dialect, types: Sequence[type], rows: Sequence[Sequence[object]]
) -> tuple[str, Sequence[object]]:
    """Return the SQL of a table `given` of rows, as `rows_as_table`, and the parameters that fill it.

    PostgreSQL takes them as one JSON text: it reads that in half the time of as many parameters, and there is no
    largest number of rows. As JSONB each row is parsed once, as JSON once for each column. Times are without a zone.
    """
    if dialect is not Dialect.POSTGRESQL:
        return rows_as_table(dialect, types, len(rows)), [value for row in rows for value in row]
    columns = ", ".join(
        f"{_FROM_JSON[kind].format(f'one->>{place}')} AS column{place + 1}" for place, kind in enumerate(types)
    )
    text = orjson.dumps(rows, default=_hexadecimal).decode()
    # Made of places and types alone.
    return f"(SELECT {columns} FROM jsonb_array_elements(CAST(?text AS JSONB)) AS list(one)) AS given", [text]  # noqa: S608


def given_texts(dialect: Dialect, texts: Sequence[str]) -> tuple[str, Sequence[object]]:
    """Return what follows `column IN` or `= ANY`, both words included, for a list of texts, and its parameters.

    PostgreSQL takes them as one JSON text. As an array they are looked up in the index of the column, whatever the
    database knows of the table; joined, each might be compared with each record.
    """
    if dialect is not Dialect.POSTGRESQL:
        return f"IN ({placeholders(len(texts))})", texts
    return "= ANY (ARRAY(SELECT json_array_elements_text(CAST(?text AS JSON))))", [orjson.dumps(texts).decode()]


def given_numbers(dialect: Dialect, numbers: Sequence[int]) -> tuple[str, Sequence[object]]:
    """Return the same for whole numbers."""
    if dialect is not Dialect.POSTGRESQL:
        return f"IN ({placeholders(len(numbers))})", numbers
    part = "CAST(json_array_elements_text(CAST(?text AS JSON)) AS BIGINT)"
    return f"= ANY (ARRAY(SELECT {part}))", [orjson.dumps(numbers).decode()]


def _hexadecimal(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError
