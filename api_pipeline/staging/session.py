"""Put a staging together from the settings, keep the run lock, and take it apart again."""

from __future__ import annotations

import contextlib
import csv
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from api_pipeline.common.gc_tuning import seldom_collected
from api_pipeline.common.private_files import private_opener
from api_pipeline.db.run_lock import take
from api_pipeline.errors import SettingsError
from api_pipeline.logs.plain_text import safe_cells
from api_pipeline.outbox.opening import open_store
from api_pipeline.outbox.survey import check_ids
from api_pipeline.settings.model import Settings
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.changes import Word
from api_pipeline.staging.issues import Issue
from api_pipeline.staging.outcome import StageSummary, StagingObservers
from api_pipeline.staging.reader import Reader, SsdSource
from api_pipeline.staging.staged import Staged
from api_pipeline.staging.stager import Stager

_LOG = logging.getLogger(__name__)
ISSUE_COLUMNS = ("rule", "person_id", "field", "where")


def stage(settings: Settings, call: StageCall, observers: StagingObservers, stop: threading.Event) -> StageSummary:
    """Fill the staging table from the SSD once, under the run lock of that table (a dry run needs none).

    Errors: SettingsError, DatabaseError (guard.StagingRefused where the SSD looks half loaded), AlreadyRunning,
    Interrupted.
    """
    summary = StageSummary(settings.table_name, is_dry_run=call.is_dry_run)
    staging = settings.staging
    with open_store(settings) as store:
        connection = store.connection
        store.check_table()
        check_ids(store)
        if not (staging.purge_left_window or store.keeps_retained()):
            _LOG.warning(
                "The table %s is missing, so parts of records that left the time window will be purged at the receiver "
                "as if they were deleted; make it with: d2i-csc-api deploy-schema --apply",
                store.tables.left_window,
            )
        lock = None if call.is_dry_run else take(connection, store.tables.staging, None)
        try:
            source = SsdSource(staging.ssd_schema, staging.cohort_filter_table, staging.cohort_person_ids)
            staged = Staged(store, settings.receiver)
            with seldom_collected():
                Stager(Reader(connection, source), staged, staging, call, summary, observers).execute(stop)
        finally:
            if lock is not None:
                lock.release()
    counts = ", ".join(f"{summary.words[word]} {word.value}" for word in Word)
    _LOG.info(
        "%s %s in %.1f s: %d of %d people in the cohort, %d held back; rows: %s",
        "would stage" if summary.is_dry_run else "staged",
        *(summary.table, summary.seconds, summary.cohort, summary.people, summary.withheld, counts),
    )
    return summary


@contextmanager
def issues_file(path: Path | None) -> Iterator[Callable[[Issue], None]]:
    """Return what writes each issue as a line of a CSV file, or does nothing where there is no path.

    Errors: SettingsError where the file cannot be written.
    """
    if path is None:
        yield lambda _issue: None
        return
    try:
        # Lines that are at once in the file: its disk may be full, which only a write says in time.
        file = open(path, "w", encoding="utf-8", newline="", buffering=1, opener=private_opener)  # noqa: SIM115
    except OSError as error:
        raise _unwritable(path, error) from None
    lines = csv.writer(file)

    def write(*cells: str) -> None:
        try:
            lines.writerow(safe_cells(cells))
        except OSError as error:
            raise _unwritable(path, error) from None

    try:
        write(*ISSUE_COLUMNS)
        yield lambda issue: write(issue.rule.value, issue.person_id, issue.field, issue.where)
    finally:
        with contextlib.suppress(OSError):
            file.close()


def _unwritable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"The file {path} cannot be written ({error.strerror}); name another with --issues-csv.")
