"""`explain`: one child's story, gathered from staging table, baselines, submission log and the plan of the next run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from api_pipeline.api_response import is_own
from api_pipeline.assembly.request import RunRequest
from api_pipeline.db import Row
from api_pipeline.delivery.dry_run import DryRunObservers
from api_pipeline.diagnostics.columns import check_staging_table
from api_pipeline.errors import SettingsError
from api_pipeline.explain.dry_run import plan_with
from api_pipeline.explain.nouns import KnownBaseline, PlannedRecord, RowStory, SentRecord, Story, Tonight
from api_pipeline.explain.structure import RETAINED, StructureChange, changes_between, parts_of
from api_pipeline.logs.masking import mask_values
from api_pipeline.model import Baseline, ElementPath, Invalid, Outcome, Record, RecordKind, StagedRow
from api_pipeline.outbox.adoption import known_of
from api_pipeline.outbox.opening import open_store
from api_pipeline.outbox.staged_rows import Selection, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import KNOWN_STATUSES
from api_pipeline.payloads.reading import PayloadError, parse_payload
from api_pipeline.payloads.retained import with_kept
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.settings.model import Settings

_QUERIES = "explain_queries.sql"
_MOST_ROWS = 50
_MOST_RECORDS = 50
_ADOPTED = "taken from previous_json_payload, because the row was sent by another tool"
_ONLY_SENT = "a record of this child was sent and its answer was lost; nothing else is recorded of it at this receiver"
_OVERTAKEN = "a run without all control tables sent a later record of this child, or what is recorded cannot be read"
_DELETED = "the receiver accepted the deletion of this child and holds nothing of it"
_NO_TABLES = "the control tables cannot be read"
_UNSTORABLE = "nothing can be recorded of this child: the database's code page lacks a letter of its id"


@dataclass(slots=True)
class _Plan:
    """What the planner decided about the person's rows."""

    records: list[Record]
    outcomes: list[Outcome]
    refusal: str = ""

    @property
    def due(self) -> set[int]:
        """Return the ids of the rows that are due."""
        return {record.row.id for record in self.records} | {outcome.row.id for outcome in self.outcomes}


def story_of(settings: Settings, run_id: str, person_id: str) -> Story:
    """Return the story of a person; values are taken out of answers.

    Errors: DatabaseError; SettingsError where the table has no row of the person.
    """
    with open_store(settings) as store:
        check_staging_table(store, settings.table_name)
        rows = store.page_of(_QUERIES, "rows_of_person", [person_id], _MOST_ROWS)
        if not rows:
            raise SettingsError(
                f"{settings.table_name} has no row with person_id {person_id}; give the id as the table has it, or "
                "name another table with --table."
            )
        plan = _plan(store, settings, RunRequest(run_id, person_id=person_id))
        has_log = store.has_control_tables()
        spellings = store.spellings(settings.table_name)
        logged = store.page_of(_QUERIES, "records_of_person", [person_id, spellings], _MOST_RECORDS) if has_log else []
        newest = str(rows[0][5] or "")
        staged, unreadable = _read(newest)
        baseline, held = _held(store, settings, staged, _newest_row(store, person_id), has_tables=has_log)
        retained = store.retained([person_id]).get(person_id, ())
    return Story(
        person_id=person_id,
        table=settings.table_name,
        receiver=settings.receiver,
        la_child_id=str(staged["la_child_id"]) if staged else None,
        unreadable=unreadable,
        rows=tuple(_row_story(row, plan.due, int(rows[0][0])) for row in rows),
        staged=tuple(parts_of(staged)) if staged else (),
        held=held,
        difference=_changes(rows[0], plan.due, _data(baseline.held), staged, retained),
        checks=tuple(Checker().check(staged, newest.encode())) if staged else (),
        tonight=_tonight(plan, newest),
        records=tuple(_sent(row) for row in logged),
        has_log=has_log,
    )


def _plan(store: StagingTable, settings: Settings, request: RunRequest) -> _Plan:
    plan = _Plan([], [])
    observers = DryRunObservers(on_record=plan.records.append, on_outcome=plan.outcomes.append)
    try:
        # The story tells of one person, whatever share of the table this machine works on.
        plan_with(store, replace(settings, shard=replace(settings.shard, index=1, count=1)), request, observers)
    except SettingsError as error:
        plan.refusal = str(error)
    return plan


def _read(text: str) -> tuple[dict[str, Any], str]:
    """Return a payload's value, {} with the reason where it cannot be read."""
    if not text.strip():
        return {}, "json_payload is blank"
    try:
        return parse_payload(text).data, ""
    except PayloadError as error:
        return {}, str(error)


def _data(text: str | None) -> dict[str, Any]:
    """Return the payload of a baseline, {} where there is none or it cannot be read."""
    try:
        value = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _newest_row(store: StagingTable, person_id: str) -> StagedRow | None:
    newest = None
    for page in store.pages(Selection(every_row=True, person_id=person_id)):
        newest = page[-1]
    return newest


def _child_sent(store: StagingTable, row: StagedRow | None) -> object:
    """Return the `la_child_id` of a row's previous payload, for a row whose payload cannot be read."""
    previous = store.previous_payloads([row.id]) if row is not None else {}
    return _read("".join(previous.values()))[0].get("la_child_id", "")


def _held(
    store: StagingTable, settings: Settings, staged: dict[str, Any], row: StagedRow | None, *, has_tables: bool
) -> tuple[Baseline, KnownBaseline]:
    """Return the baseline of the child, and the same to be shown."""
    child = str(staged.get("la_child_id") or _child_sent(store, row))
    baseline = known_of(store, settings.receiver, row, child) if has_tables and row is not None else Baseline()
    if baseline.is_empty and not baseline.is_unstorable:
        # A row that was sent since a deletion knows what was sent, whether or not the control tables were there.
        if has_tables and not (row is not None and row.has_previous):
            deletion = _accepted_deletion(store, settings.receiver, child)
            if deletion is not None:
                return baseline, KnownBaseline("known", _DELETED, str(deletion[1]), str(deletion[2]), ())
        source = "nothing is recorded of this child at this receiver" if has_tables else _NO_TABLES
        return baseline, _shown(baseline, "unknown", source, None)
    found = store.page_of(_QUERIES, "accepted_of_child", [settings.receiver, child], 1)
    accepted_at = found[0][0] if found else None
    state = "in doubt" if baseline.in_doubt else "known" if baseline.held else "unknown"
    source = _source(baseline, is_adopted=accepted_at is None)
    return baseline, _shown(baseline, state, source, None if accepted_at is None else str(accepted_at))


def _accepted_deletion(store: StagingTable, receiver: str, child: str) -> Row | None:
    """Return the line of the log about the deletion of a child, where no record was accepted after it."""
    if not store.has_journal():
        return None
    found = store.page_of(_QUERIES, "last_accepted_of_child", [receiver, child], 1)
    return found[0] if found and str(found[0][0]).strip() == RecordKind.DELETION.value else None


def _source(baseline: Baseline, *, is_adopted: bool) -> str:
    """Return where a baseline that is recorded, or in doubt, is known from."""
    if baseline.held is not None:
        return _ADOPTED if is_adopted else "recorded when the receiver accepted it"
    if baseline.in_doubt is None:
        return _UNSTORABLE
    return _ONLY_SENT if baseline.in_doubt.sent_of else _OVERTAKEN


def _changes(
    newest: Any, due: set[int], held: dict[str, Any], staged: dict[str, Any], retained: Sequence[ElementPath]
) -> tuple[StructureChange, ...]:
    """Return where the newest row leads from what is held: a deletion to nothing, a deleted row not due nowhere."""
    if not staged:
        return ()
    if word(newest[1]) != "deleted":
        return _difference(held, staged, retained)
    return _difference(held, {}, ()) if int(newest[0]) in due else ()


def _difference(
    held: dict[str, Any], staged: dict[str, Any], retained: Sequence[ElementPath]
) -> tuple[StructureChange, ...]:
    """Return how the staged payload differs from what is held; what a run does not purge is called retained."""
    found = tuple(changes_between(held, staged))
    if not retained:
        return found
    gone = {change.path for change in changes_between(held, with_kept(staged, held, retained))}
    return tuple(change if change.path in gone else replace(change, change=RETAINED) for change in found)


def _shown(baseline: Baseline, state: str, source: str, accepted_at: str | None) -> KnownBaseline:
    parts = tuple(parts_of(_data(baseline.held))) if baseline.held else ()
    return KnownBaseline(state, source, baseline.receipt, accepted_at, parts)


def _row_story(row: Any, due: set[int], newest: int) -> RowStory:
    number, state, status = int(row[0]), word(row[1]), word(row[2])
    answer, text = str(row[4] or ""), str(row[5] or "")
    is_due = number in due
    return RowStory(
        id=number,
        row_state=state,
        submission_status=status,
        submission_timestamp=None if row[3] is None else str(row[3]),
        answer=answer if is_own(answer) else mask_values(answer, text),
        payload_bytes=len(text.encode("utf-8", "replace")),
        is_due=is_due,
        reason=_reason(state, status, text, number, newest, is_due=is_due),
    )


def _reason(state: str, status: str, text: str, number: int, newest: int, *, is_due: bool) -> str:
    if is_due:
        if state == "deleted":
            return "the row is deleted, and the receiver holds the child or may hold it"
        return f"its status is {status or 'empty'}"
    if not text.strip():
        return "its json_payload is blank"
    if number != newest:
        return f"row {newest} of the same person is newer"
    if state == "deleted":
        return "the row is deleted, and the receiver holds nothing of the child by a record of this person"
    if status in KNOWN_STATUSES:
        return f"its status is {status}"
    return f"its status is {status or 'empty'}, which is none of the known words"


def _tonight(plan: _Plan, payload: str) -> Tonight:
    records = tuple(PlannedRecord(record.row.id, record.kind.value, len(record.body)) for record in plan.records)
    if plan.refusal:
        return Tonight((), f"A run would refuse to start: {plan.refusal}")
    if records:
        kinds = ", then ".join(f"a {record.kind} record of {record.bytes} bytes" for record in records)
        return Tonight(records, f"A run would send {kinds}.")
    for outcome in plan.outcomes:
        if isinstance(outcome, Invalid):
            return Tonight(
                (), f"Nothing would be sent, and the row would be in error: {mask_values(outcome.reason.text, payload)}"
            )
    if plan.outcomes:
        return Tonight(
            (), "Nothing would be sent: the receiver holds this payload already; the row's status would become sent."
        )
    return Tonight((), "Nothing would be sent: no row of this person is due.")


def _sent(row: Any) -> SentRecord:
    run_id, batch, kind, code, outcome, answer, logged_at = row
    return SentRecord(
        run_id=str(run_id).strip(),
        batch=int(batch),
        kind=str(kind).strip(),
        http_code=None if code is None else int(code),
        outcome=str(outcome).strip(),
        answer=str(answer or ""),
        logged_at=str(logged_at),
    )
