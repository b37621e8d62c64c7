"""What SQL Server's catalogue says of the SSD's columns, and how the statements that read them must say it. Pure.

No ODBC driver for Python reads DATETIMEOFFSET, so such a date is cast to its local time. Two columns of different
collations cannot be compared (error 468) unless the statement names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api_pipeline.sql.statements import NamedSql
from api_pipeline.staging.tables import SSD_TABLES, SsdKind

_WITH_ZONE = "datetimeoffset"
_COLUMNS = {(table.name, column.name): column for table in SSD_TABLES for column in table.columns}


@dataclass(frozen=True, slots=True)
class ColumnTypes:
    """Which date columns have a zone, and whether the ids have more than one collation."""

    with_zone: frozenset[str] = frozenset()
    is_mixed: bool = False

    def applied(self, sql: NamedSql) -> NamedSql:
        """Return a reading statement that casts the dates with a zone in its list of columns."""
        if not self.with_zone:
            return sql
        names = "|".join(sorted(self.with_zone))
        columns, source, rest = sql.partition("\nFROM ")
        cast = re.sub(rf"\b({names})\b", r"CAST(\1 AS DATETIME2) AS \1", columns)
        return NamedSql(f"{cast}{source}{rest}", sql.name)


def column_types(rows: Iterable[Sequence[str | None]], schema: str) -> ColumnTypes:
    """Return what rows of `see_types_sqlserver` say; of the tables of `schema` alone where it is given."""
    with_zone: set[str] = set()
    collations: set[str] = set()
    for found, table, name, data_type, collation in rows:
        column = _COLUMNS.get(((table or "").lower(), (name or "").lower()))
        if column is None or (schema and schema.lower() != (found or "").lower()):
            continue
        if column.kind is SsdKind.DATE and data_type == _WITH_ZONE:
            with_zone.add(column.name)
        elif column.name.endswith("_id") and collation:
            collations.add(collation)
    return ColumnTypes(frozenset(with_zone), len(collations) > 1)
