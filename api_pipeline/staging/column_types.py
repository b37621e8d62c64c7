"""Of which types the SSD's columns are, and how the statements that read them must say it. Pure.

No ODBC driver for Python reads DATETIMEOFFSET, so such a date is cast to its local time. PostgreSQL keeps years beyond
9999, years before 1 and infinity, and its driver gives today for most of them: they are read as the last or the first
day that Python has.

Two columns of different collations cannot be compared (error 468) unless the statement names one. Under a collation
whose name begins with SQL_, VARCHAR sorts otherwise than NVARCHAR ('a-c' is less than 'ab', N'a-c' is greater than
N'ab'), and a text travels as NVARCHAR: a range of ids that were sorted as VARCHAR is compared as VARCHAR too, or
people would be missing in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api_pipeline.sql.statements import NamedSql
from api_pipeline.staging.tables import SSD_TABLES, SsdKind

_WITH_ZONE = "datetimeoffset"
_NARROW = frozenset({"varchar", "char"})
_PERSON = "pers_person_id"
_COMPARED = re.compile(r"(\b\w+_person_id (?:=|>=|<=) )\?")
# How a date column stands in a list of columns: one with a zone, and one without bounds.
_LOCAL = r"CAST(\1 AS DATETIME2) AS \1"
_BOUNDED = r"CASE WHEN \1 > '9999-12-31' THEN '9999-12-31' WHEN \1 < '0001-01-01' THEN '0001-01-01' ELSE \1 END AS \1"
_COLUMNS = {(table.name, column.name): column for table in SSD_TABLES for column in table.columns}


@dataclass(frozen=True, slots=True)
class ColumnTypes:
    """Which date columns have a zone, and whether the ids have more than one collation.

    `unbounded` are date columns that may hold what the driver cannot read. `is_narrow` says that the ids of ssd_person
    are VARCHAR, `has_wide` that those of people elsewhere are NVARCHAR.
    """

    with_zone: frozenset[str] = frozenset()
    is_mixed: bool = False
    is_narrow: bool = False
    has_wide: bool = False
    unbounded: frozenset[str] = frozenset()

    @property
    def orders_differ(self) -> bool:
        """Return whether some tables sort the ids of people in another way than ssd_person."""
        return self.is_mixed or (self.is_narrow and self.has_wide)

    def applied(self, sql: NamedSql) -> NamedSql:
        """Return a reading statement whose dates the driver can read, and which compares ids as VARCHAR if need be."""
        if self.is_narrow:
            sql = NamedSql(_COMPARED.sub(r"\1CAST(? AS VARCHAR(100))", sql), sql.name)
        for names, read in ((self.with_zone, _LOCAL), (self.unbounded, _BOUNDED)):
            if names:
                columns, source, rest = sql.partition("\nFROM ")
                columns = re.sub(rf"\b({'|'.join(sorted(names))})\b", read, columns)
                sql = NamedSql(f"{columns}{source}{rest}", sql.name)
        return sql


def column_types(rows: Iterable[Sequence[str | None]], schema: str) -> ColumnTypes:
    """Return what rows of `see_types_sqlserver` say; of the tables of `schema` alone where it is given."""
    with_zone: set[str] = set()
    collations: set[str] = set()
    narrow: set[str] = set()
    wide: set[str] = set()
    for found, table, name, data_type, collation in rows:
        column = _COLUMNS.get(((table or "").lower(), (name or "").lower()))
        if column is None or (schema and schema.lower() != (found or "").lower()):
            continue
        if column.kind is SsdKind.DATE and data_type == _WITH_ZONE:
            with_zone.add(column.name)
        elif column.name.endswith("_id") and collation:
            collations.add(collation)
            if column.name.endswith("_person_id"):
                (narrow if data_type in _NARROW else wide).add(column.name)
    return ColumnTypes(frozenset(with_zone), len(collations) > 1, _PERSON in narrow, bool(wide))
