"""What a run checks before it begins: the tables, other runs, and the words in the whole table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from api_pipeline.assembly.request import RunRequest, busy_wait_of, policy_of
from api_pipeline.db import Retrying, TableMissing, refusal_of
from api_pipeline.db.run_lock import take
from api_pipeline.delivery.pages import PlanOptions
from api_pipeline.diagnostics.columns import check_staging_table
from api_pipeline.errors import AlreadyRunning, SettingsError
from api_pipeline.outbox.opening import open_store
from api_pipeline.outbox.run_journal import unfinished_shards
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import RowsOfPerson, people_with_several_rows
from api_pipeline.outbox.survey import Survey, survey, try_to_write
from api_pipeline.settings.model import Settings

_LOG = logging.getLogger(__name__)


def check_tables(store: StagingTable, settings: Settings, request: RunRequest) -> bool:
    """Check that the tables are there, and return whether the control tables are.

    Errors: DatabaseError (staging table), SettingsError where deltas or a resync need control tables that are missing.
    """
    has_control_tables = store.connection.read_together(lambda: _checked(store, settings))
    try_to_write(store)
    return has_control_tables or _goes_without_control_tables(store, settings, request)


def _checked(store: StagingTable, settings: Settings) -> bool:
    """Check the staging table, and return whether the control tables are there. Errors: DatabaseError."""
    # These are the reads of `read_together`, which may do them a second time.
    store.ask_anew()
    check_staging_table(store, settings.table_name)
    store.check_writable()
    # Else the journal and the first page would ask.
    store.has_journal()
    store.has_retained()
    return _has_control_tables(store)


def _has_control_tables(store: StagingTable) -> bool:
    """Return whether the control tables are there. Errors: DatabaseError where a run with them would purge too much."""
    has_control_tables = store.has_control_tables()
    if has_control_tables:
        store.check_retained()
    return has_control_tables


def check_control_tables(store: StagingTable, settings: Settings, request: RunRequest) -> bool:
    """Return whether the control tables are there. Errors: SettingsError where a run needs them and they are not."""
    return _has_control_tables(store) or _goes_without_control_tables(store, settings, request)


def _goes_without_control_tables(store: StagingTable, settings: Settings, request: RunRequest) -> bool:
    """Return False, with a warning. Errors: SettingsError where a run needs the control tables."""
    sentence = _why_there_are_none(store)
    if settings.use_partial_payload or request.resync:
        what = "--resync needs" if request.resync else "Deltas (USE_PARTIAL_PAYLOAD=true) need"
        raise SettingsError(f"{what} the tables of what the receiver holds. {sentence}")
    _LOG.warning("%s. Without them full payloads are sent as staged, and nothing is purged or logged.", sentence)
    return False


def _why_there_are_none(store: StagingTable) -> str:
    """Return why no control tables can be used: missing rights need other help than missing tables."""
    tables = store.tables.held, store.tables.log, store.tables.unconfirmed
    for table in tables:
        refusal = refusal_of(store.connection, table)
        if refusal and not isinstance(refusal, TableMissing):
            return f"The control table {table} cannot be used. {str(refusal).removesuffix('.')}"
    named = ", ".join(tables)
    return f"The control tables ({named}) are missing or incomplete; make them with: d2i-csc-api deploy-schema --apply"


def check_one_division(settings: Settings, store: StagingTable) -> None:
    """Check that no run is at work on a shard of another number of shards. Errors: AlreadyRunning, DatabaseError.

    Shards of one N never share a row, but those of different N do, and have locks of different names. Each run writes
    its journal entry before it looks, so the journal names the candidates; their locks show whether they are at work.
    """
    own = settings.shard.part
    if own is None:
        return
    for index, count in unfinished_shards(store):
        if count == own[1]:
            continue
        with open_store(settings, busy_wait_s=busy_wait_of(settings)) as other:
            try:
                take(other.connection, other.tables.staging, (index, count)).release()
            except AlreadyRunning:
                raise AlreadyRunning(
                    f"A run is working on shard {index}/{count} of the table {store.tables.staging}, so shard "
                    f"{own[0]}/{own[1]} cannot; nothing was done. All runs must divide the table into as many shards."
                ) from None


class SeenTable(NamedTuple):
    """What a look at the whole table shows: its words, the people with more than one row, and which rows to take."""

    words: Survey
    people: Mapping[str, RowsOfPerson]
    selection: Selection


def look_at_table(settings: Settings, request: RunRequest, store: StagingTable, db: Retrying) -> SeenTable:
    """Look at the table as a whole, in one transaction. Errors: DatabaseError."""

    def look() -> SeenTable:
        words = survey(store)
        selection = Selection(
            every_row=request.resync,
            person_id=request.person_id,
            shard=settings.shard.part,
            odd_statuses=words.odd_statuses,
            odd_states=words.odd_states,
        )
        return SeenTable(words, people_with_several_rows(store, request.person_id), selection)

    seen = db.run(lambda: store.connection.read_together(look))
    if request.person_id is not None:
        found = db.run(lambda: store.by_values("read_ids_of_people", [request.person_id]))
        _warn_of_absent(settings, request.person_id, found, seen.selection)
    return seen


def _warn_of_absent(settings: Settings, person: str, rows: Sequence[object], selection: Selection) -> None:
    """Warn where the one person that the run is for has no row in the table, or none in its shard."""
    if not rows:
        _LOG.warning("%s has no row with person_id %s; give the id as the table has it", settings.table_name, person)
    elif not selection.is_ours(0, person):
        _LOG.warning(
            "the rows of person_id %s are not in shard %s, so this run leaves them; --shard 1/1 takes them",
            person,
            settings.shard.text,
        )


def plan_options(settings: Settings, request: RunRequest, seen: SeenTable, *, control_tables: bool) -> PlanOptions:
    """Return how a run plans the rows of the table that was seen."""
    return PlanOptions(
        selection=seen.selection,
        policy=policy_of(settings, resync=request.resync),
        receiver=settings.receiver,
        control_tables=control_tables,
        schema_check=settings.schema_check,
        schema_codes=settings.schema_codes,
        testing=settings.testing_mode,
        people=seen.people,
        limit=request.limit,
    )
