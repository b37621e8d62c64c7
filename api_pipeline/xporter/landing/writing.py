"""Write what a round came to: rows, deletions, state and log entry of a school's endpoint in one transaction (R2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.db import Rows, parts_of
from api_pipeline.errors import DatabaseError
from api_pipeline.run_summary import counted
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import placeholders
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.landing.removal import remove_withdrawn
from api_pipeline.xporter.landing.rounds import Counts, Round, RoundEntry, TableChange, counts_of
from api_pipeline.xporter.landing.store import LandingStore
from api_pipeline.xporter.layout import KEPT_COLUMNS, OWN_COLUMNS, Landing, landings

_CHUNK = 1000
_TYPES = {"first_seen": datetime, "changed_at": datetime}


def write_round(store: LandingStore, round_: Round, changes: Sequence[TableChange], entry: RoundEntry) -> Counts:
    """Bring a school's tables of one endpoint to an answer, with state and log, in one transaction."""
    counts = counts_of(changes)
    with store.connection.transaction():
        for change in changes:
            _write_table(store, round_, change, entry.ended)
        _write_sync(store, round_, changes, entry)
        # Behind the state: it also takes rows out of this round's other tables, which the state must not say are there.
        counts.add(remove_withdrawn(store, round_, changes, is_minimised=entry.is_minimised))
        if _has_new_pupils(changes):
            store.connection.execute(store.sql("reopen_windows"), [round_.estab])
        outcome = "unchanged" if all(change.difference.is_empty for change in changes) else "complete"
        said = "; ".join(text for text in (entry.message, counts.proof) if text) or None
        _log(store, round_, outcome, replace(entry, message=said), counts)
        _write_unknown_members(store, round_, changes, entry.ended)
    return counts


def _has_new_pupils(changes: Sequence[TableChange]) -> bool:
    return any(change.landing.name == "Students" and change.difference.added for change in changes)


def write_problem(store: LandingStore, round_: Round, outcome: str, message: str, now: datetime) -> None:
    """Record that a round could not be completed; what is landed stays as it is."""
    values = [message, now]
    with store.connection.transaction():
        if not store.has_updated("update_sync_problem", values, "sync", round_.key):
            store.connection.execute(store.sql("insert_sync_problem"), [*values, *round_.key.values()])
        _log(store, round_, outcome, RoundEntry(now, now, message), Counts())


def write_skip(store: LandingStore, round_: Round, message: str, now: datetime) -> None:
    """Record that a round was not asked for, in the log alone."""
    with store.connection.transaction():
        _log(store, round_, "skipped", RoundEntry(now, now, message), Counts())


def _log(store: LandingStore, round_: Round, outcome: str, entry: RoundEntry, counts: Counts) -> None:
    key = [store.run_id, *round_.key.values()]
    milliseconds = round((entry.ended - entry.started).total_seconds() * 1000)
    store.connection.execute(store.sql("delete_run_log"), key)
    store.connection.execute(
        store.sql("insert_run_log"),
        [
            *(*key, entry.ended, outcome, counts.added, counts.changed, counts.deleted, counts.unchanged),
            *(entry.dropped, entry.received_bytes, milliseconds, entry.message),
        ],
    )


def _write_table(store: LandingStore, round_: Round, change: TableChange, now: datetime) -> None:
    found = change.difference
    if found.is_empty:
        return
    if found.deleted:
        store.delete_rows(change.landing, round_, sorted(found.deleted))
    new: list[list[object]] = []
    old: list[list[object]] = []
    for row_key, sha, row, is_new in found.rows_to_write(change.rows, change.reader):
        values = change.reader.values(row)
        if is_new:
            new.append([round_.estab, round_.window, row_key, *values, sha, now, now, store.run_id])
        else:
            old.append([row_key, *values, sha])
        if len(new) >= _CHUNK:
            _insert(store, change.landing, new)
        if len(old) >= _CHUNK:
            _update(store, change.landing, round_, now, old)
    _insert(store, change.landing, new)
    _update(store, change.landing, round_, now, old)
    _check_written(store, round_, change)


def _check_written(store: LandingStore, round_: Round, change: TableChange) -> None:
    """Raise DatabaseError where the database accepted the statements and did not do them, as a trigger can make it."""
    found, table = change.difference, store.names.table(change.landing.name)
    sql = store.sql("written_count", change.landing)
    ((landed, written),) = store.connection.query(sql, [store.run_id, round_.estab, round_.window])
    meant = len(found.added) + len(found.changed)
    if landed != len(found.seen):
        seen = counted(len(found.seen), "{was|were} written")
        text = f"{counted(landed, '{row|rows}')} of school {round_.estab} where {seen}"
    elif written != meant:
        text = (
            f"{counted(written, '{row|rows}')} of school {round_.estab} from this collection where "
            f"{counted(meant, '{was|were} written')}"
        )
    else:
        return
    raise DatabaseError(
        f"The table {table} has {text}; nothing of this round was kept. See what else writes to the table, then "
        "collect again."
    )


def _insert(store: LandingStore, landing: Landing, rows: list[list[object]]) -> None:
    """Insert and forget `rows`."""
    columns = (*OWN_COLUMNS, *landing.columns, *KEPT_COLUMNS)
    names = ", ".join(store.names.column(column) for column in columns)
    table = store.names.table(landing.name)
    if rows and store.names.dialect is Dialect.POSTGRESQL:
        values = ", ".join(f"column{place}" for place in range(1, len(columns) + 1))
        statement = f"INSERT INTO {table} ({names}) SELECT {values} FROM ?rows"  # noqa: S608 - names of the catalogue
        store.connection.execute(statement, [Rows([_TYPES.get(column, str) for column in columns], rows)])
    else:
        statement = f"INSERT INTO {table} ({names}) VALUES ({placeholders(len(columns))})"  # noqa: S608 - names of the catalogue
        store.connection.execute_many(statement, rows)
    rows.clear()


def _update(store: LandingStore, landing: Landing, round_: Round, now: datetime, rows: list[list[object]]) -> None:
    """Update and forget `rows`: each is its key, the values of its columns, and its hash."""
    columns = [*landing.columns, "extra", "row_sha"]
    sets = ", ".join(f"{store.names.column(column)} = given.column{place}" for place, column in enumerate(columns, 2))
    sql = store.sql("update_rows", landing, sets=sets, rows="?rows", keys="?among")
    for part in parts_of(store.names.dialect, rows, len(columns) + 2, beside=4):
        given = Rows([str] * (len(columns) + 1), part)
        keys = [str(row[0]) for row in part]
        store.connection.execute(sql, [now, store.run_id, given, round_.estab, round_.window, keys])
    rows.clear()


def _write_sync(store: LandingStore, round_: Round, changes: Sequence[TableChange], entry: RoundEntry) -> None:
    # A table that was not in the answer keeps its rows, and they count.
    named = {change.landing.name for change in changes}
    rows = sum(len(change.difference.seen) for change in changes)
    for landing in landings(load_catalogue().endpoint(round_.endpoint)):
        if landing.name not in named:
            rows += store.count(landing, round_)
    values = [entry.params_hash, rows, entry.started, entry.ended, entry.data_as_of, entry.meta]
    values += [entry.next_hash, entry.change_key, entry.ended if entry.is_whole else None]
    if not store.has_updated("update_sync", values, "sync", round_.key):
        store.connection.execute(store.sql("insert_sync"), [*values, *round_.key.values()])


def _write_unknown_members(store: LandingStore, round_: Round, changes: Sequence[TableChange], now: datetime) -> None:
    for change in changes:
        if change.difference.is_empty or change.landing.is_for_unknown:
            continue
        for member in change.reader.unknown_seen():
            store.write_member(change.landing.name, without_null_characters(member)[:128], round_.estab, now)
