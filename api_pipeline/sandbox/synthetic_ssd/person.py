"""The noun: one invented person with all their rows."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from api_pipeline.sandbox.synthetic_ssd.life import Row
from api_pipeline.staging.tables import SsdTable


@dataclass(slots=True)
class SyntheticPerson:
    """One person: `number` is the place in the SSD, `case` what is special about them (None: nothing), `tables` the
    rows by table, each by the full names of its columns; a column that is not named is null."""

    number: int
    person_id: str
    case: str | None
    tables: dict[str, list[Row]]

    def rows(self, table: SsdTable) -> list[tuple[object, ...]]:
        """Return the rows of one table, in the order of the table's columns."""
        names = table.column_names
        return [tuple(map(row.get, names)) for row in self.tables.get(table.name, ())]

    def copied(self) -> SyntheticPerson:
        """Return a copy that can be changed without changing this one."""
        return copy.deepcopy(self)
