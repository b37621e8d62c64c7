"""Fill the anonymised copy of a live staging table with invented records: all of them, or, if anything survived, none.

The live table is read in pages; memory stays flat. Everything is written in one transaction, so that a copy is never
half of one run and half of another, and a refusal leaves it as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from api_pipeline.anonymise.check import survivors
from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.anonymise.record import Anonymise, InventedRecord, LiveRecord, anonymise
from api_pipeline.anonymise.tables import CopyTables, Pair
from api_pipeline.common.gc_tuning import seldom_collected
from api_pipeline.db import Connection, connect, run_lock
from api_pipeline.errors import DatabaseError, PipelineError, SettingsError
from api_pipeline.payloads.reading import PayloadError
from api_pipeline.run_summary import counted

_NAMED_ROWS = 10


class SomethingSurvived(PipelineError):
    """A record did not come out of the anonymising as it should; nothing has been written."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """What is asked for: at most `limit` records, rows of the anonymised copy removed first (`replace`), or only tried.

    With `as_sent` previous payloads look as if they had been accepted, so that changes to them can be rehearsed.
    """

    limit: int | None = None
    replace: bool = False
    dry_run: bool = False
    as_sent: bool = False


@dataclass(slots=True)
class RowList:
    """How many rows something is true of, and the ids of the first of them."""

    count: int = 0
    ids: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        """Count one more row."""
        self.count += 1
        if len(self.ids) < _NAMED_ROWS:
            self.ids.append(row)

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.ids))
        return f"id {shown}{' and others' if self.count > len(self.ids) else ''}"


@dataclass(slots=True)
class CopyOutcome:
    """What became of it: records made, rows whose payload is blank or cannot be read, rows something survived in.

    `left_out` counts members and values that the schema does not know, in all records together; `replaced` the rows of
    the anonymised copy that were removed; `places` where something survived.
    """

    records: int = 0
    replaced: int = 0
    left_out: int = 0
    unreadable: RowList = field(default_factory=RowList)
    survived: RowList = field(default_factory=RowList)
    places: set[str] = field(default_factory=set)


def fill_copy_of(connection_string: str, pair: Pair, options: CopyOptions) -> CopyOutcome:
    """Open the database and fill the anonymised copy in it, with a key of its own. Errors: those of `fill_copy`."""
    connection = connect(connection_string)
    try:
        with seldom_collected():
            return fill_copy(connection, pair, options, RunKey())
    finally:
        connection.close()


def fill_copy(
    connection: Connection, pair: Pair, options: CopyOptions, key: RunKey, make: Anonymise = anonymise
) -> CopyOutcome:
    """Fill the anonymised copy and return what became of it; `make` makes one record of one.

    Errors: SettingsError (the anonymised copy has rows and --replace was not given), SomethingSurvived, DatabaseError,
    AlreadyRunning; after each of them the anonymised copy is as it was.
    """
    tables = CopyTables(connection, pair)
    tables.check()
    lock = run_lock.take(connection, tables.target, None)
    try:
        before = tables.count_copy()
        if before and not options.replace:
            raise SettingsError(
                f"The anonymised copy {tables.target} holds {counted(before, '{row|rows}')}; nothing was "
                "done. Give --replace to replace them by invented ones."
            )
        if options.dry_run:
            return _fill(tables, options, key, make)
        with connection.transaction():
            if before:
                tables.empty_copy()
            outcome = _fill(tables, options, key, make)
            tables.check_stored(outcome.records)
    finally:
        lock.release()
    outcome.replaced = before
    return outcome


def _fill(tables: CopyTables, options: CopyOptions, key: RunKey, make: Anonymise) -> CopyOutcome:
    outcome = CopyOutcome()
    for page in tables.pages():
        rows: list[list[object]] = []
        for live in page:
            if options.limit is not None and outcome.records == options.limit:
                break
            invented = _checked(live, key, make, outcome)
            if invented is not None:
                outcome.records += 1
                outcome.left_out += invented.left_out
                # After the first refusal nothing will be kept; the rest is read to name every row at once.
                if not (options.dry_run or outcome.survived.count):
                    rows.append(tables.row(invented, as_sent=options.as_sent))
        if rows and not outcome.survived.count:
            tables.insert(rows)
        if options.limit is not None and outcome.records == options.limit:
            break
    _judge(tables, outcome)
    return outcome


def _checked(live: LiveRecord, key: RunKey, make: Anonymise, outcome: CopyOutcome) -> InventedRecord | None:
    try:
        invented = make(live, key)
        places = survivors(live, invented)
    except PayloadError:
        outcome.unreadable.add(live.id)
        return None
    if places:
        outcome.survived.add(live.id)
        outcome.places.update(places)
    return invented


def _judge(tables: CopyTables, outcome: CopyOutcome) -> None:
    """Refuse to keep anything of a run in which something survived, or that found nothing to invent a record from."""
    if outcome.survived.count:
        places = ", ".join(sorted(outcome.places))
        raise SomethingSurvived(
            f"Nothing was written to {tables.target}: in {outcome.survived.count} of {outcome.records} records "
            f"something of the original survived ({outcome.survived} of {tables.source}, at {places}); "
            "this is an error of the program, please report this sentence."
        )
    if not outcome.records:
        raise DatabaseError(
            f"Nothing was written to {tables.target}: {tables.source} has no row with a payload that can be read; "
            "stage the children first, or name the live table with --source."
        )
