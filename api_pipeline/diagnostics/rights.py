"""Check whether the login has the rights of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from api_pipeline.db import Connection, KeyTaken, run_lock
from api_pipeline.diagnostics.steps import Status, StepFailed, StepWalk
from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.changes import MARKS
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import try_to_write
from api_pipeline.settings.model import Settings
from api_pipeline.sql.identifiers import Dialect, table_names
from api_pipeline.sql.statements import load

_RIGHTS = "rights_queries.sql"
# Each statement with the control table that it tries, as `TableNames` names it.
_ON_CONTROL_TABLES = {
    "may_insert_held": "held",
    "may_change_held": "held",
    "may_update_held": "held",
    "may_insert_log": "log",
    "may_insert_unconfirmed": "unconfirmed",
    "may_change_unconfirmed": "unconfirmed",
    "may_update_unconfirmed": "unconfirmed",
    "may_insert_run": "runs",
    "may_change_run": "runs",
}
# What a run writes to a row, with the values of its statement behind the row's id. A run does not try this before it
# sends: what a row refuses, it meets at the write-back and keeps the receipt.
_MARKS: Mapping[str, tuple[object, ...]] = {
    "mark_failed": ("",),
    "mark_sent": ("", None),
}

_OF_CONSTRAINT = (
    "ask the database administrator which constraint of the table refuses what a run writes into a row "
    "(submission_status sent, error or testing, row_state unchanged), and to let it take these words."
)


def try_rights(walk: StepWalk, settings: Settings, connection: Connection) -> None:
    """Try each right that a run needs by a statement that changes no row. Errors: StepFailed."""
    if connection.dialect is Dialect.SQLITE:
        unwritable = _unwritable(connection)
        if unwritable is None:
            walk.add("rights", Status.SKIPPED, "the database is a file: whoever may write the file may do all")
            return
        with walk.step("rights"):
            advice = "let the account that runs the command write the database file and its folder."
            raise StepFailed(f"this account may not write {unwritable}", advice, DatabaseError.exit_code)
    store = StagingTable(connection, table_names(settings.table_name, connection.dialect))
    with walk.step("rights") as finding:
        try:
            store.check_writable()
            try_to_write(store, partial(_mark_as_a_run_does, store))
            tables = [store.tables.staging]
            if store.has_control_tables():
                store.check_retained()
                tables += _try_control_tables(store)
        except KeyTaken as error:
            # The rights are there: it is a value that the table does not take.
            raise StepFailed(str(error), _OF_CONSTRAINT, error.exit_code) from None
        except DatabaseError as error:
            advice = "ask the database administrator for the rights that a run needs."
            raise StepFailed(str(error), advice, error.exit_code) from None
        finding.detail = f"the login may write to {', '.join(tables)}"


def _mark_as_a_run_does(store: StagingTable, row_id: int) -> None:
    for statement, values in _MARKS.items():
        store.update_rows(statement, MARKS[statement].types, [(row_id, *values)])


def _unwritable(connection: Connection) -> Path | None:
    """Return the database file, or its folder, where a run could not write it or its lock file."""
    file = run_lock.database_file(connection)
    return next((path for path in (file, file.parent) if not os.access(path, os.W_OK)), None)


def _try_control_tables(store: StagingTable) -> list[str]:
    """Return the control tables that the login may write to: the journal too, if it is there. Errors: DatabaseError."""
    names = store.tables
    tried: dict[str, None] = {}
    for name, table in _ON_CONTROL_TABLES.items():
        if table == "runs" and not store.has_journal():
            continue
        statement = load(_RIGHTS)[name].sql.format(
            held=names.held, log=names.log, unconfirmed=names.unconfirmed, runs=names.runs
        )
        try:
            store.connection.execute(statement)
        except DatabaseError as error:
            raise type(error)(f"The control table {getattr(names, table)} cannot be written to. {error}") from None
        tried[getattr(names, table)] = None
    return list(tried)
