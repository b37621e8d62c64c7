"""Put as many rows into one INSERT as a statement takes, so that they cost one round trip. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from api_pipeline.sql.binding import MOST_PARAMETERS
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import NamedSql

_Row = TypeVar("_Row")
# SQL Server takes so many rows after VALUES.
MOST_ROWS = 1000
_ONE_ROW = re.compile(r"^\s*INSERT\s.*\bVALUES\s*(\((?:[^()]|\([^()]*\))*\))\s*$", re.IGNORECASE | re.DOTALL)


def put_together(sql: str, rows: Sequence[Sequence[object]]) -> Iterator[tuple[str, Sequence[object]]]:
    """Return the statements that do what `sql` does for each row, in order: each one's text and its parameters.

    An INSERT of one row of values takes many rows at once; any other statement takes one.
    """
    found = _ONE_ROW.match(sql)
    if found is None:
        yield from ((sql, row) for row in rows)
        return
    for part in _parts(rows):
        together = sql + f", {found[1]}" * (len(part) - 1)
        if isinstance(sql, NamedSql):
            together = NamedSql(together, sql.name)
        yield together, [value for row in part for value in row]


def parts_of(dialect: Dialect, rows: Sequence[_Row], width: int, beside: int = 0) -> list[Sequence[_Row]]:
    """Divide rows of `width` parameters for statements that take them as a table, with `beside` parameters besides.

    PostgreSQL takes each column as one parameter (`sql.binding`).
    """
    return in_chunks(rows, MOST_ROWS if dialect is Dialect.POSTGRESQL else most_rows(width, beside))


def most_rows(width: int, beside: int = 0) -> int:
    """Return how many rows of `width` parameters one statement takes, with `beside` parameters besides."""
    return min(MOST_ROWS, (MOST_PARAMETERS - beside) // width)


def in_chunks(values: Sequence[_Row], size: int) -> list[Sequence[_Row]]:
    """Divide values into parts of `size`, in order; there is none where there are no values."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def _parts(rows: Sequence[Sequence[object]]) -> Iterator[Sequence[Sequence[object]]]:
    """Divide rows so that a part is within the limits and no column of it holds values of two types.

    SQL Server gives a column of such a list one type, as UNION ALL does: a text among numbers would be read as one.
    """
    start, kinds = 0, list[type]()
    for place, row in enumerate(rows):
        here = [type(value) for value in row]
        count = place - start
        is_full = count == MOST_ROWS or (count + 1) * len(row) > MOST_PARAMETERS
        if count and (is_full or not _fit(kinds, here)):
            yield rows[start:place]
            start, kinds = place, here
        elif kinds != here:
            kinds = [new if old is type(None) else old for old, new in zip(kinds or here, here, strict=False)]
    if start < len(rows):
        yield rows[start:]


def _fit(kinds: Sequence[type], here: Sequence[type]) -> bool:
    nothing = type(None)
    return len(kinds) == len(here) and all(
        old is new or old is nothing or new is nothing for old, new in zip(kinds, here, strict=True)
    )
