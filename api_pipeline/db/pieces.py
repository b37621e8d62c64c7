"""The pieces of SQL in which the databases differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from api_pipeline.db.many_rows import MOST_PARAMETERS
from api_pipeline.sql.driver_errors import UnstorableText
from api_pipeline.sql.identifiers import Dialect

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
    row = f"({', '.join([_MARKER_OF[kind] for kind in types])})"
    names = ""
    if dialect is Dialect.SQLSERVER:
        names = f" ({', '.join(f'column{number}' for number in range(1, len(types) + 1))})"
    return f"(VALUES {', '.join([row] * count)}) AS given{names}"


# A value's marker (`sql.binding`), and its column as one parameter.
_MARKER_OF = {int: "?number", str: "?text", datetime: "?time", bytes: "?bytes"}
_ARRAYS = {int: "BIGINT[]", str: "TEXT[]", datetime: "TIMESTAMP[]", bytes: "BYTEA[]"}
# A longer text is not worth making a part of an array of: every quotation mark in it is escaped there.
_LONGEST_IN_ARRAY = 1000


def given_rows(
    dialect: Dialect, types: Sequence[type], rows: Sequence[Sequence[object]]
) -> tuple[str, Sequence[object]]:
    """Return the SQL of a table `given` of rows, as `rows_as_table`, and the parameters that fill it.

    PostgreSQL takes each column as one parameter, an array: its text is the same for any number of rows, which may be
    large, and to hand a hundred rows over takes a third of the time of as many parameters. Times are without a zone.
    """
    is_small = len(rows) * len(types) <= MOST_PARAMETERS
    if dialect is not Dialect.POSTGRESQL or (is_small and _have_long_text(rows)):
        return rows_as_table(dialect, types, len(rows)), [value for row in rows for value in row]
    columns = ", ".join(f"CAST(?text AS {_ARRAYS[kind]})" for kind in types)
    names = ", ".join(f"column{number}" for number in range(1, len(types) + 1))
    return f"UNNEST({columns}) AS given ({names})", [
        _array([row[place] for row in rows]) for place in range(len(types))
    ]


def given_texts(dialect: Dialect, texts: Sequence[str]) -> tuple[str, Sequence[object]]:
    """Return what follows `column IN` or `= ANY`, both words included, for a list of texts, and its parameters.

    PostgreSQL takes them as one parameter, an array. They are looked up in the index of the column, whatever the
    database knows of the table; joined, each might be compared with each record.
    """
    return _among(dialect, str, texts)


def given_numbers(dialect: Dialect, numbers: Sequence[int]) -> tuple[str, Sequence[object]]:
    """Return the same for whole numbers."""
    return _among(dialect, int, numbers)


def given_values(dialect: Dialect, values: Sequence[object]) -> tuple[str, Sequence[object]]:
    """Return the same for values that are all texts, or all whole numbers."""
    return _among(dialect, int if values and isinstance(values[0], int) else str, values)


def _among(dialect: Dialect, kind: type, values: Sequence[object]) -> tuple[str, Sequence[object]]:
    if dialect is not Dialect.POSTGRESQL:
        return f"IN ({', '.join('?' * len(values))})", values
    return f"= ANY (CAST(?text AS {_ARRAYS[kind]}))", [_array(values)]


def _have_long_text(rows: Sequence[Sequence[object]]) -> bool:
    return any(isinstance(value, str) and len(value) > _LONGEST_IN_ARRAY for row in rows for value in row)


def _array(values: Sequence[object]) -> str:
    """Return an array as PostgreSQL writes it. JSON writes it alike, but for escapes and bytes."""
    try:
        text = orjson.dumps(values, default=_hexadecimal).decode()
    except orjson.JSONEncodeError:
        raise UnstorableText("A text cannot be passed to the database: it holds half of a character.") from None
    return f"{{{','.join(map(_element, values))}}}" if "\\" in text else f"{{{text[1:-1]}}}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    text = _hexadecimal(value) if isinstance(value, bytes) else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _hexadecimal(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError
