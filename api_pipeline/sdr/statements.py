"""How the statements of the Single Data Return are run on its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from api_pipeline.db import Connection, Row, Rows, in_chunks, most_rows
from api_pipeline.sdr.schema import Tables
from api_pipeline.sql.statements import load

# More than any statement here has besides its rows.
_BESIDE = 20
_FILE = "sdr_queries.sql"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a submission is about: a receiver (address and EDUMIS number) and a return period."""

    receiver: str
    return_id: int

    @property
    def key(self) -> tuple[str, int]:
        """Return the parameters by which the tables know it."""
        return self.receiver, self.return_id


class Statements:
    """One connection, on which the named statements are run. A list of values is one parameter of theirs."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self.connection = connection
        self.tables = tables
        lists = {"ids": "?among", "keys": "?among", "rows": "?rows"}
        self._names = {**asdict(tables), **lists, "exact": connection.page(0)["exact"]}

    def query(self, name: str, parameters: Sequence[object], **pieces: str) -> list[Row]:
        """Return the rows of a named statement."""
        return self.connection.query(self.sql(name, **pieces), parameters)

    def execute(self, name: str, parameters: Sequence[object]) -> None:
        """Run a named statement."""
        self.connection.execute(self.sql(name), parameters)

    def execute_by_keys(self, name: str, shared: Sequence[object], keys: Sequence[object]) -> None:
        """Run a named statement for many keys, which stand behind the parameters that all of them share."""
        for part in in_chunks(keys, most_rows(1, _BESIDE)):
            self.execute(name, [*shared, part])

    def execute_for_rows(
        self, name: str, shared: Sequence[object], types: Sequence[type], rows: Sequence[Sequence[object]]
    ) -> None:
        """Run a named statement for many rows of values of these types, which stand behind the shared parameters."""
        for part in in_chunks(rows, most_rows(len(types), _BESIDE)):
            self.execute(name, [*shared, Rows(types, part)])

    def insert(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a named INSERT of one row for many rows."""
        self.connection.execute_many(self.sql(name), rows)

    def sql(self, name: str, **pieces: str) -> str:
        """Return a named statement with the names of the tables, and what differs between databases, in it."""
        return load(_FILE)[name].sql.format(**self._names, **pieces)
