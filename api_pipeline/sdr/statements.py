"""How the statements of the Single Data Return are run on its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api_pipeline.db import Connection, Rows, in_chunks, most_rows
from api_pipeline.sdr.schema import Tables
from api_pipeline.sql.statements import load, placeholders

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
    """One connection, on which the named statements are run."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self.connection = connection
        self.tables = tables
        self._exact = connection.page(0)["exact"]

    def query(self, name: str, parameters: Sequence[object], **pieces: str) -> list[tuple[Any, ...]]:
        """Return the rows of a named statement."""
        return self.connection.query(self._sql(name, **pieces), parameters)

    def execute(self, name: str, parameters: Sequence[object], **pieces: str) -> None:
        """Run a named statement."""
        self.connection.execute(self._sql(name, **pieces), parameters)

    def insert(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a named INSERT for many rows."""
        if not rows:
            return
        width = len(rows[0])
        row = f"({placeholders(width)})"
        for part in in_parts(rows, width):
            self.execute(name, [value for one in part for value in one], tuples=", ".join([row] * len(part)))

    def _with_rows(
        self, name: str, before: Sequence[object], types: Sequence[type], rows: Sequence[Sequence[object]]
    ) -> None:
        """Run a named statement whose rows of parameters stand at its end."""
        self.execute(name, [*before, Rows(types, rows)])

    def _sql(self, name: str, **pieces: str) -> str:
        tables = self.tables
        return load(_FILE)[name].sql.format(
            staging=tables.staging,
            held=tables.held,
            submission=tables.submission,
            validation=tables.validation,
            log=tables.log,
            runs=tables.runs,
            rows="?rows",
            **dict.fromkeys(("ids", "keys"), "?among"),
            **{"exact": self._exact, **pieces},
        )


def in_parts(values: Sequence[Any], width: int) -> list[Sequence[Any]]:
    """Return the values in parts of as many rows of this width as one statement takes."""
    return in_chunks(values, most_rows(width, _BESIDE))
