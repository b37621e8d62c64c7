"""The Python interface, for notebooks and other programs: what the commands do, with results instead of printed text.

Everything here is what the commands use inside, so the same safety catches, locks and rules hold. Take the names from
the package itself: `from api_pipeline import load_settings, rehearse`.

Errors: every function may raise a `PipelineError` (`SettingsError`, `DatabaseError`, `AlreadyRunning`, ...), whose text
is one sentence for the operator and whose `exit_code` is the command's.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import index
from pathlib import Path
from types import FrameType
from typing import SupportsIndex

from api_pipeline.errors import PipelineError, SettingsError
from api_pipeline.outbox.status import ErrorCount, Overview, PastRun, StateCount
from api_pipeline.reports.result_tables import (
    Count,
    Diagnosis,
    RuleFinding,
    RunResult,
    Table,
    ValidationResult,
    as_table,
    diagnoses,
    run_result,
    validation_result,
)
from api_pipeline.settings.model import Settings

__all__ = [
    "Count",
    "Diagnosis",
    "ErrorCount",
    "Overview",
    "PastRun",
    "PipelineError",
    "RuleFinding",
    "RunResult",
    "Settings",
    "SettingsError",
    "StateCount",
    "Table",
    "ValidationResult",
    "as_table",
    "diagnose",
    "load_settings",
    "make_trial_database",
    "rehearse",
    "run",
    "status",
    "validate",
]


def load_settings(env_file: str | Path | None = None, **settings: str | int | float | bool) -> Settings:
    """Return the settings, checked: from keywords, environment, credential store and `.env` file, in this order.

    Keywords are settings by name: `load_settings(TABLE_NAME="ssd_api_data_staging_anon", BATCH_SIZE=50)`. `env_file` is
    the settings file, which must exist; without it `.env` or `env.txt` of the working folder is read. Testing mode is
    the default, as for the commands.
    Errors: SettingsError, all errors in one message.
    """
    from api_pipeline.settings.credential_store import CredentialStore
    from api_pipeline.settings.definitions import canonical_name
    from api_pipeline.settings.loading import load_settings as load
    from api_pipeline.settings.loading import working_folder
    from api_pipeline.settings.sources import Sources

    unknown = sorted(name for name in settings if canonical_name(name) is None)
    if unknown:
        raise SettingsError(f"{', '.join(unknown)} is not a setting; the settings reference has all names.")
    options = {name: _as_text(value) for name, value in settings.items()}
    path = None if env_file is None else Path(env_file)
    return load(Sources(options, os.environ, working_folder(), None, CredentialStore(), path))


def diagnose(settings: Settings) -> tuple[Diagnosis, ...]:
    """Look at database, staging table and the way to the receiver, and return each step as a row; send no record.

    The way to the receiver is walked where the settings name one; else one row says that it was skipped.
    """
    from api_pipeline.diagnostics.database import check_connection, check_schema
    from api_pipeline.diagnostics.endpoint import check_endpoint
    from api_pipeline.diagnostics.steps import endpoint_not_set
    from api_pipeline.logs.redaction import Redactor

    redactor = Redactor.for_settings(settings)
    reports = [check_connection(settings), check_schema(settings)]
    if settings.api_endpoint and settings.token_endpoint:
        reports.append(check_endpoint(settings, redactor.add))
    else:
        reports.append(endpoint_not_set())
    return diagnoses(reports, redactor)


def validate(settings: Settings, *, every_row: bool = False, csv_path: str | Path | None = None) -> ValidationResult:
    """Check the payload of every row that may be due, or of every row, and return what was found by rule.

    Sends nothing and changes nothing. `csv_path` gets one line a finding: person id, place and rule, never a value.
    Errors: DatabaseError; SettingsError where the file cannot be written.
    """
    from api_pipeline.diagnostics.payloads import validate as check
    from api_pipeline.outbox.opening import open_store

    path = None if csv_path is None else Path(csv_path)
    with _logged(settings, str(uuid.uuid4())), open_store(settings) as store:
        return validation_result(check(store, settings, path, every_row=every_row))


def rehearse(settings: Settings, *, limit: int | None = None, person_id: str | None = None) -> RunResult:
    """Do the main job in testing mode, whatever the settings say: nothing leaves this machine.

    Rows become `testing`, or `error` where a record would not be sent. `limit` is the most rows taken.
    Errors: DatabaseError, AlreadyRunning; errors in mid-run are in the result.
    """
    return run(replace(settings, testing_mode=True), limit=limit, person_id=person_id)


def run(settings: Settings, *, limit: int | None = None, person_id: str | None = None) -> RunResult:
    """Do the main job as the settings say: in testing mode, or live where they have `TESTING_MODE=false`.

    An interrupt (Ctrl-C, a notebook's stop button) lets what is in flight be written back first.
    Errors: DatabaseError, AlreadyRunning, SettingsError where `limit` or `person_id` would take no row; errors in
    mid-run are in the result.
    """
    _check_selection(limit, person_id)
    from api_pipeline.assembly.request import RunObservers, RunRequest
    from api_pipeline.assembly.run import run as run_once

    run_id = str(uuid.uuid4())
    with _logged(settings, run_id) as add_secret, _interruptible() as stop:
        # Out of a notebook's table a number is of a kind of its own, and an id that looks like a number comes as one.
        most = None if limit is None else index(limit)
        request = RunRequest(run_id, most, person_id=None if person_id is None else str(person_id))
        summary = run_once(settings, request, RunObservers(on_token=add_secret), stop)
    return run_result(summary)


def status(settings: Settings, *, runs: int = 5) -> Overview:
    """Return the table at a glance: rows by state, oldest pending row, frequent errors (masked), the last runs."""
    from api_pipeline.logs.masking import mask_values
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.outbox.status import overview

    with open_store(settings) as store:
        return overview(store, settings.table_name, mask_values, receiver=settings.receiver, runs=runs)


def make_trial_database(path: str | Path, children: int = 200) -> str:
    """Make a database file with a staging table of invented children, some broken on purpose, to try things on.

    Return its DB_CONNECTION_STRING; the table is `ssd_api_data_staging`. Errors: SettingsError where the file is there.
    """
    from api_pipeline.sandbox.sample_table import make_trial_table

    return make_trial_table(Path(path), children)


def _check_selection(limit: object, person_id: object) -> None:
    """Raise a SettingsError where a run would take no row, and so end as if nothing had been due."""
    if limit is not None and (not isinstance(limit, SupportsIndex) or index(limit) < 1):
        raise SettingsError("limit: expected a whole number from 1; leave it out to take every due row.")
    if person_id is not None and not str(person_id).strip():
        raise SettingsError("person_id is given without a text; give it one, or leave it out to take every due row.")


def _as_text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _logged(settings: Settings, run_id: str) -> Iterator[Callable[[str], None]]:
    """Log as the settings say, errors alone to the screen; yield the function that names a further secret to hide."""
    from api_pipeline.logs.handlers import LogOptions, set_up_logging
    from api_pipeline.logs.redaction import Redactor

    redactor = Redactor.for_settings(settings)
    with set_up_logging(LogOptions.from_settings(settings, run_id, quiet=True), sys.stderr, redactor):
        yield redactor.add


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Return an event that the first interrupt sets; a second interrupt is raised as ever."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
