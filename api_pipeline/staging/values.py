"""What a driver gives for a column, made alike for every database: ids and texts as str, dates as datetime. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from math import isfinite
from operator import attrgetter
from typing import Any, Final

from api_pipeline.errors import DatabaseError
from api_pipeline.staging.tables import SsdColumn, SsdKind, SsdTable

_NONE = type(None)
_TEXTS = frozenset({str, _NONE})
_DATES = frozenset({datetime, _NONE})
_zone = attrgetter("tzinfo")
_new: Any = tuple.__new__
_NO_DATE: Final = "not a date"
_DATE_AS_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(?: ?(?:Z|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII | re.IGNORECASE,
)


def typed_rows(table: SsdTable, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the rows of an SSD table as its named tuples; a row's own id is never None, but "" where it is null.

    Errors: DatabaseError naming column and row where a date is none.
    """
    if not rows:
        return []
    columns = list(zip(*rows, strict=True))
    found = [_typed(values, column, columns[0], table) for values, column in zip(columns, table.columns, strict=True)]
    if None in found[0]:
        found[0] = ["" if key is None else key for key in found[0]]
    is_as_read = all(typed is values for typed, values in zip(found, columns, strict=True))
    # A NamedTuple is a tuple with a class: made here without the call of Python code that `_make` is.
    return list(map(_new, repeat(table.row_type), rows if is_as_read else zip(*found, strict=True)))


def text_of(value: object) -> str:
    """Return an id or text as text whatever the type of its column; a whole number has no decimals."""
    if isinstance(value, (Decimal, float)) and isfinite(value) and value == int(value):
        return str(int(value))
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)


def _typed(values: Sequence[Any], column: SsdColumn, keys: Sequence[Any], table: SsdTable) -> Sequence[Any]:
    # Most columns come as wanted already: one look at the types of a whole column is quicker than one at each value.
    kinds = set(map(type, values))
    if column.kind is SsdKind.DATE:
        if kinds <= _DATES and not any(map(_zone, filter(None, values))):
            return values
        moments = {value: _moment(value) for value in set(values)}
        if _NO_DATE in moments.values():
            key = text_of(next(key for key, value in zip(keys, values, strict=True) if moments[value] is _NO_DATE))
            raise DatabaseError(
                f"The SSD column {column.name} holds something that is not a date, for example in the row of "
                f"{table.name} with the id {key}; make it a date column, or correct it."
            )
        return list(map(moments.__getitem__, values))
    if kinds <= _TEXTS or (column.kind is SsdKind.INTEGER and kinds <= _TEXTS | {int}):
        return values
    return [None if value is None else _plain(value, column) for value in values]


def _plain(value: object, column: SsdColumn) -> str | int:
    if column.kind is SsdKind.INTEGER and isinstance(value, int):
        return value
    return value if isinstance(value, str) else text_of(value)


def _moment(value: object) -> datetime | str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    try:
        return _from_text(text) if text else None
    except ValueError:
        return _NO_DATE


@lru_cache(maxsize=20_000)
def _from_text(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        # Python 3.10 reads neither a Z, nor PostgreSQL's +01, nor the seven digits of a second that SQL Server writes;
        # no version reads SQL Server's blank before the zone.
        found = _DATE_AS_TEXT.fullmatch(text)
        if found is None:
            raise
        day, time_of_day, fraction = found.groups("")
        return datetime.fromisoformat(f"{day}T{time_of_day}" + (f".{fraction[:6]:0<6}" if fraction else ""))
