"""What one round is, and what it brings to the landing tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from api_pipeline.run_summary import counted
from api_pipeline.xporter.compare import Difference
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.rows import RowReader
from api_pipeline.xporter.values import Row


@dataclass(frozen=True, slots=True)
class Round:
    """One question to one school: an endpoint and a window of time ("" for none)."""

    estab: str
    endpoint: str
    window: str = ""

    @property
    def key(self) -> dict[str, str]:
        """Return its key in the tables of state, by column."""
        return {"estab": self.estab, "endpoint": self.endpoint, "time_window": self.window}


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is to be written to one landing table: the difference, and the rows it was made from.

    `is_unnamed`: no row has a key, which the school's consent does not cover; so nothing says which rows are gone.
    """

    landing: Landing
    reader: RowReader
    difference: Difference
    rows: Iterable[Row]
    is_unnamed: bool = False


@dataclass(frozen=True, slots=True)
class RoundEntry:
    """What is kept of a round in the tables of state and log. `is_whole`: a whole set was landed.

    `is_minimised`: only rows about the council's children are landed.
    """

    started: datetime
    ended: datetime
    message: str | None
    params_hash: str = ""
    data_as_of: str | None = None
    meta: str | None = None
    dropped: int = 0
    received_bytes: int = 0
    next_hash: str | None = None
    change_key: str | None = None
    is_whole: bool = True
    is_minimised: bool = False


@dataclass(frozen=True, slots=True)
class SyncState:
    """What is known of the last complete round of a school, endpoint and window; `rows` None: there was none.

    `ended_at` is when it ended. `next_hash` is the API's name for the snapshot that was landed, `change_key` what it
    depends on, `last_full` when a whole set was landed last.
    """

    params_hash: str | None
    rows: int | None
    ended_at: datetime | None
    next_hash: str | None
    change_key: str | None
    last_full: datetime | None


@dataclass(slots=True)
class Counts:
    """Rows by what became of them; pupils who are no longer on the roll, and rows about them in other tables.

    `pupils_unnamed` were removed from the roll because the consent covers no Ids any more.
    """

    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    pupils_gone: int = 0
    pupils_unnamed: int = 0
    rows_gone: int = 0

    def add(self, other: Counts) -> None:
        """Add the counts of another."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def proof(self) -> str | None:
        """Return the line that proves that pupils' rows were removed, None where nobody is gone."""
        if self.pupils_unnamed:
            gone = counted(self.pupils_unnamed, "{pupil was|pupils were} removed from the roll")
            rows = counted(self.rows_gone, "{row was|rows were} removed there")
            others = f"; nothing says which rows in other tables are about the council's children, so {rows}"
            return f"the consent covers no Ids of pupils, so {gone}{others if self.rows_gone else ''}"
        if not self.pupils_gone:
            return None
        gone = counted(self.pupils_gone, "{pupil is|pupils are} no longer on the roll")
        return (
            f"{gone} (they left, were withdrawn by the school, or are no longer the council's); their rows there and "
            f"{counted(self.rows_gone, '{row|rows}')} in other tables were removed"
        )


def counts_of(changes: Sequence[TableChange]) -> Counts:
    """Return the counts of a round's changes."""
    counts = Counts()
    for change in changes:
        found = change.difference
        counts.add(Counts(len(found.added), len(found.changed), len(found.deleted), found.unchanged))
    return counts
