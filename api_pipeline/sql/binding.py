"""Write the parameters of a statement so that no driver has to ask the server what they are. Pure.

A statement marks a parameter with `?`, or with `?number`, `?text`, `?time`, `?bytes` where the type must be known even
when the value is null or its length changes from row to row. `?among` takes a list of values, as what follows `column`
in `column IN (...)`, and `?rows` a table of rows (`Rows`). Three rules, each with the failure that forces it:

- A null is written into the statement and never bound. A driver asks the server for the type of a null parameter; the
  server's error on that side question can roll the whole transaction back, and nobody sees it.
- A long text is declared as a text without limit. As the driver would send it (NTEXT), databases whose collation is
  UTF-8 or knows supplementary characters refuse it.
- A time travels as ISO text inside a CAST. Bound as a time, its fractions depend on what the driver says of its types.

On SQL Server a short text is declared with one of three lengths. Declared with its own, as the driver does it, each
mixture of lengths is another statement to the server, which plans it anew and keeps the plan.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import UnstorableText
from api_pipeline.sql.identifiers import Dialect

# SQL Server takes 2,100 parameters in a statement, some of them its driver's own.
MOST_PARAMETERS = 2000

# A text of more UTF-16 units than this goes out as NTEXT unless it is declared.
LONGEST_PLAIN_TEXT = 2000
# The lengths in UTF-16 units that SQL Server gets for short texts: ids and words, names, and all others.
_DECLARED_LENGTHS = (64, 256, LONGEST_PLAIN_TEXT)
UNLIMITED = 0
_PIECE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\?([a-z]*)")
_TYPES = {
    Dialect.SQLSERVER: {
        "number": "BIGINT",
        "text": "NVARCHAR(MAX)",
        "time": "DATETIME2(3)",
        "bytes": "VARBINARY(8000)",
    },
    Dialect.POSTGRESQL: {"number": "BIGINT", "text": "TEXT", "time": "TIMESTAMP", "bytes": "BYTEA"},
    # SQLite's types belong to values; a CAST to a time would make a number of it.
    Dialect.SQLITE: {},
}
# PostgreSQL takes a parameter in a list of rows for text unless it is cast.
_ALWAYS_CAST = {
    Dialect.SQLSERVER: frozenset({"time"}),
    Dialect.POSTGRESQL: frozenset({"number", "time", "bytes"}),
    Dialect.SQLITE: frozenset[str](),
}
_LISTS = frozenset({"among", "rows"})
MARKERS = frozenset({"", "number", "text", "time", "bytes"}) | _LISTS


class Bound(NamedTuple):
    """A statement with the values that are bound, in order, and which of these are declared as texts without limit."""

    sql: str
    values: list[object]
    unlimited: list[bool]


class Rows(NamedTuple):
    """A table of parameters: the rows, and the types of their columns (int, str, datetime or bytes)."""

    types: Sequence[type]
    rows: Sequence[Sequence[object]]


def bind(sql: str, parameters: Sequence[object], dialect: Dialect) -> Bound:
    """Return the statement as it is sent. Errors: DatabaseError where markers and parameters differ in number."""
    texts, markers = _parts(str(sql))
    if len(markers) != len(parameters):
        raise DatabaseError(
            f"The statement {getattr(sql, 'name', '') or 'at hand'} has {len(markers)} parameters and was given "
            f"{len(parameters)} values; this is an error of the program, please report it."
        )
    if not _LISTS.isdisjoint(markers):
        spread, parameters = _spread(texts, markers, parameters, dialect)
        texts, markers = _parts(spread)
    types, always = _TYPES[dialect], _ALWAYS_CAST[dialect]
    pieces: list[str] = [texts[0]]
    values: list[object] = []
    unlimited: list[bool] = []
    for marker, value, text in zip(markers, parameters, texts[1:], strict=True):
        kind, sent = marker, value
        if isinstance(value, datetime):
            kind, sent = "time", _time_as_sent(value, dialect)
        written = "NULL" if value is None else "?"
        if kind in types and (kind in always or value is None):
            written = f"CAST({written} AS {types[kind]})"
        pieces += (written, text)
        if value is not None:
            values.append(sent)
            unlimited.append(isinstance(value, str) and (marker == "text" or is_long(value)))
    return Bound("".join(pieces), values, unlimited)


def _spread(
    texts: Sequence[str], markers: Sequence[str], parameters: Sequence[object], dialect: Dialect
) -> tuple[str, list[object]]:
    """Return a statement with its lists written out, and its parameters."""
    pieces = [texts[0]]
    values: list[object] = []
    for marker, value, text in zip(markers, parameters, texts[1:], strict=True):
        written = f"?{marker}"
        given: Sequence[object] = (value,)
        if isinstance(value, Rows):
            written, given = _given_rows(dialect, value)
        elif marker == "among" and isinstance(value, Sequence):
            written, given = _given_values(dialect, value)
        pieces += (written, text)
        values += given
    return "".join(pieces), values


def declared_lengths(bound: Bound, dialect: Dialect) -> list[int | None] | None:
    """Return as how long each value is declared, None for one that is not; None where the driver knows them all.

    SQL Server's texts have one length in a statement, which the longest decides.
    """
    if dialect is not Dialect.SQLSERVER:
        return [UNLIMITED if is_long else None for is_long in bound.unlimited] if any(bound.unlimited) else None
    texts = [
        value
        for value, is_long in zip(bound.values, bound.unlimited, strict=True)
        if isinstance(value, str) and not is_long
    ]
    if not texts and not any(bound.unlimited):
        return None
    longest = max((len(text.encode("utf-16-le", "surrogatepass")) // 2 for text in texts), default=0)
    length = next(step for step in _DECLARED_LENGTHS if longest <= step)
    return [
        UNLIMITED if is_long else length if isinstance(value, str) else None
        for value, is_long in zip(bound.values, bound.unlimited, strict=True)
    ]


def is_long(text: str) -> bool:
    """Return whether a text has more UTF-16 units than go out as a plain text."""
    if len(text) > LONGEST_PLAIN_TEXT:
        return True
    return len(text) * 2 > LONGEST_PLAIN_TEXT and len(text.encode("utf-16-le", "surrogatepass")) > (
        2 * LONGEST_PLAIN_TEXT
    )


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


# A value's marker, and its column as one parameter.
_MARKER_OF = {int: "?number", str: "?text", datetime: "?time", bytes: "?bytes"}
_ARRAYS = {int: "BIGINT[]", str: "TEXT[]", datetime: "TIMESTAMP[]", bytes: "BYTEA[]"}
# A longer text is not worth making a part of an array of: every quotation mark in it is escaped there.
_LONGEST_IN_ARRAY = 1000


def _given_rows(dialect: Dialect, given: Rows) -> tuple[str, Sequence[object]]:
    """Return the SQL of a table `given` of rows, as `rows_as_table`, and the parameters that fill it.

    PostgreSQL takes each column as one parameter, an array: its text is the same for any number of rows, which may be
    large, and to hand a hundred rows over takes a third of the time of as many parameters. Times are without a zone.
    """
    types, rows = given
    values = list(zip(*rows, strict=True))
    is_small = len(rows) * len(types) <= MOST_PARAMETERS
    if dialect is not Dialect.POSTGRESQL or (is_small and any(map(_is_of_long_texts, types, values))):
        return rows_as_table(dialect, types, len(rows)), [value for row in rows for value in row]
    columns = ", ".join([f"CAST(?text AS {_ARRAYS[kind]})" for kind in types])
    names = ", ".join([f"column{number}" for number in range(1, len(types) + 1)])
    return f"UNNEST({columns}) AS given ({names})", [_array(column) for column in values] or ["{}"] * len(types)


def _given_values(dialect: Dialect, values: Sequence[object]) -> tuple[str, Sequence[object]]:
    """Return `IN` or `= ANY` for values that are all texts, or all whole numbers, and their parameters.

    PostgreSQL takes them as one parameter, an array. They are looked up in the index of the column, whatever the
    database knows of the table; joined, each might be compared with each record.
    """
    if dialect is not Dialect.POSTGRESQL:
        return f"IN ({', '.join('?' * len(values))})", values
    kind = int if values and isinstance(values[0], int) else str
    return f"= ANY (CAST(?text AS {_ARRAYS[kind]}))", [_array(values)]


def _is_of_long_texts(kind: type, column: Sequence[Any]) -> bool:
    return kind is str and max(map(len, filter(None, column)), default=0) > _LONGEST_IN_ARRAY


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


def _time_as_sent(value: datetime, dialect: Dialect) -> str:
    moment = value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value
    return moment.isoformat(" " if dialect is Dialect.SQLITE else "T", "milliseconds")


@lru_cache(maxsize=256)
def _parts(sql: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the text between the markers, one piece more than there are markers, and the markers' types."""
    texts: list[str] = []
    found: list[str] = []
    start = 0
    for piece in _PIECE.finditer(sql):
        if piece[1] is None:
            continue
        if piece[1] not in MARKERS:
            raise DatabaseError(f"A statement has a parameter of the unknown type {piece[1]}; please report this.")
        texts.append(sql[start : piece.start()])
        found.append(piece[1])
        start = piece.end()
    return (*texts, sql[start:]), tuple(found)
