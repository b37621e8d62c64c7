"""Records of a staging table, and their outcomes written back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from api_pipeline.db.retry import RetryBudget, Retrying
from api_pipeline.delivery.pages import Pages
from api_pipeline.delivery.planner import Planner
from api_pipeline.model import Accepted, Outcome, Receipt, Record, RecordKind, StagedRow
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.reading import sha256_hex
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import Counts
from tests.support.planning import OPTIONS

UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AT = datetime(2026, 11, 21, 2, 3, 4, 560000)  # noqa: DTZ001 - the receiver gives no zone
HERE = "https://receiver.example/1/children_social_care_data/999/children"
RETRY = RetryBudget(0, lambda: 0, lambda _: None)


def record_of(row: StagedRow, kind: RecordKind = RecordKind.FULL, **changes: Any) -> Record:
    """Return the record of a row."""
    held = None if kind is RecordKind.DELETION else row.json_payload
    body, digest = row.json_payload.encode(), sha256_hex(row.json_payload)
    record = Record(row, row.person_id, kind, body, digest, held, intent_hash=digest)
    return record._replace(**changes)


def accepted(record: Record) -> Accepted:
    """Return the acceptance of a record."""
    return Accepted(record, Receipt(UUID, AT), 200)


def write(
    store: StagingTable, outcomes: Sequence[Outcome], *, testing: bool = False, control_tables: bool = True
) -> None:
    """Write outcomes back as batch 7 of the run `run-1`."""
    to = Destination("run-1", "staging", HERE, control_tables=control_tables, testing=testing)
    WriteBack(store, to, lambda text, _: text.replace("Smith", "***")).write(7, outcomes)


def read(store: StagingTable) -> list[StagedRow]:
    """Return the due rows."""
    return store.read_page(Selection(), 0)


def planner_of(store: StagingTable, on_finding: Callable[[str, Finding], None]) -> Planner:
    """Return a planner of full records over all due rows."""
    pages = Pages(store, OPTIONS._replace(receiver=HERE), Checker(), Retrying(store.connection, RETRY))
    return Planner(pages, Counts(), on_finding)
