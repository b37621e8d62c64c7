"""`demo`: the whole job from nothing, on an embedded database and an embedded receiver, in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from api_pipeline import ddl
from api_pipeline.config import load_settings
from api_pipeline.db import SQLITE_PREFIX, Connection, connect
from api_pipeline.errors import SettingsError
from api_pipeline.invented import invented_child
from api_pipeline.reporting import summary_lines
from api_pipeline.runner import Observers, RunRequest, run
from api_pipeline.settings import Purpose, Settings
from api_pipeline.simulator import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY, SimulatorServer
from api_pipeline.summary import RunSummary

TABLE = "ssd_api_data_staging"
_SEED = 20260101
_BROKEN_EVERY = 97
_UNKNOWN_MEMBER = "no_such_member"


@dataclass(frozen=True, slots=True)
class _Situation:
    """A kind of row as councils have them: its two status words, whether it was sent before, how often it comes."""

    row_state: str
    submission_status: str
    was_sent: bool
    weight: int


_SITUATIONS = (
    _Situation("New", "Pending", was_sent=False, weight=50),
    _Situation("Updated", "Pending", was_sent=True, weight=20),
    _Situation("Updated", "Error", was_sent=True, weight=5),
    _Situation("Unchanged", "Sent", was_sent=True, weight=15),
    _Situation("Deleted", "Sent", was_sent=True, weight=7),
    _Situation("Deleted", "Pending", was_sent=False, weight=3),
)


def make_trial_table(path: Path, children: int) -> str:
    """Makes a new database file with the tables and invented children, and gives its connection string.

    Errors: SettingsError where the file is there already or its folder cannot be written to.
    """
    if path.exists():
        raise SettingsError(f"The file {path} is there already and stays as it is; name another, or delete it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder {path.parent} cannot be written to ({type(error).__name__}); name another."
        ) from None
    connection_string = f"{SQLITE_PREFIX}{path}"
    connection = connect(connection_string, create=True)
    try:
        ddl.apply(connection.execute, connection.dialect, TABLE)
        _fill(connection, children)
    finally:
        connection.close()
    return connection_string


class _Silent:
    def update(self, summary: RunSummary) -> None:
        """Shows nothing; the demo prints summaries."""


def demo(folder: Path, children: int, echo: Callable[[str], None], stop: threading.Event) -> int:
    """Makes the folder with its database, runs the job twice against the simulator and tells what happened.

    Gives the exit code: 0 when at the end nothing is due any more. Errors: PipelineError.
    """
    path = _new_database(folder)
    echo(f"Demo in {folder.resolve()}: {children} invented children, an embedded database, an embedded receiver.")
    connection = connect(f"{SQLITE_PREFIX}{path}", create=True)
    try:
        ddl.apply(connection.execute, connection.dialect, TABLE)
        with SimulatorServer() as server:
            _fill(connection, children)
            return _two_runs(connection, server, path, echo, stop)
    finally:
        connection.close()


def _two_runs(
    connection: Connection,
    server: SimulatorServer,
    path: Path,
    echo: Callable[[str], None],
    stop: threading.Event,
) -> int:
    settings = _settings(server, path)
    _show(connection, "Before", echo)
    refused = _run("First run", settings, echo, stop)
    if refused.errors or refused.was_stopped:
        return refused.exit_code
    _show_refused(connection, echo)
    _mend(connection)
    for title in ("Second run, after the data team mended what was refused", "Third run"):
        summary = _run(title, settings, echo, stop)
        if summary.exit_code:
            return summary.exit_code
    _show(connection, "\nAfter", echo)
    _show_receipts(connection, echo)
    echo(f"\nThe receiver now holds {len(server.simulator.all_held())} children; nothing is due any more.")
    echo(f"The table {TABLE} is in {path}; look at it with any SQLite viewer.")
    return 0


def _run(title: str, settings: Settings, echo: Callable[[str], None], stop: threading.Event) -> RunSummary:
    summary = run(settings, RunRequest(str(uuid.uuid4())), Observers(_Silent()), stop)
    echo(f"\n{title}")
    for line in summary_lines(summary):
        echo(f"  {line}")
    return summary


def _new_database(folder: Path) -> Path:
    path = folder / "demo.db"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("demo.db*"):
            old.unlink()
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} cannot be written to ({type(error).__name__}); name another with --folder."
        ) from None
    return path


def _settings(server: SimulatorServer, path: Path) -> Settings:
    options: Mapping[str, str | None] = {
        "DB_CONNECTION_STRING": f"{SQLITE_PREFIX}{path}",
        "API_ENDPOINT": server.base_url,
        "TOKEN_ENDPOINT": server.token_url,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "SCOPE": SCOPE,
        "SUPPLIER_KEY": SUPPLIER_KEY,
        "LA_CODE": LA_CODE,
        "TABLE_NAME": TABLE,
        "TESTING_MODE": "false",
        "SPOOL_FOLDER": str(path.parent),
    }
    # Neither the environment nor a .env file has a say: the demo touches its own folder only.
    nowhere = path.parent / "no-settings-here"
    return load_settings(options, {}, nowhere, None, None, None, Purpose.RUN)


def _fill(connection: Connection, children: int) -> None:
    rng = random.Random(_SEED)  # noqa: S311 - invented children need no cryptography
    weights = [situation.weight for situation in _SITUATIONS]
    rows = []
    for number in range(1, children + 1):
        situation = rng.choices(_SITUATIONS, weights)[0]
        rows.append(_row(rng, number, situation))
    with connection.transaction():
        connection.execute_many(
            f"INSERT INTO {TABLE} (person_id, json_payload, previous_json_payload, current_hash, previous_hash, "  # noqa: S608 - a constant name
            "submission_status, row_state, api_response) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def _row(rng: random.Random, number: int, situation: _Situation) -> tuple[object, ...]:
    child = invented_child(rng, number)
    person = str(child["la_child_id"])
    earlier = json.dumps(child, ensure_ascii=False) if situation.was_sent else None
    if situation.row_state == "Updated":
        child.setdefault("child_details", {})["first_name"] = "Renamed"
    if number % _BROKEN_EVERY == 0 and situation.row_state != "Deleted":
        child[_UNKNOWN_MEMBER] = "the receiver refuses what it does not know"
    payload = json.dumps(child, ensure_ascii=False)
    receipt = f"{number:08x}-0000-4000-8000-{number:012x}" if situation.was_sent else None
    return (
        person,
        payload,
        earlier,
        hashlib.sha256(payload.encode()).digest(),
        hashlib.sha256(earlier.encode()).digest() if earlier else None,
        situation.submission_status,
        situation.row_state,
        receipt,
    )


def _show(connection: Connection, title: str, echo: Callable[[str], None]) -> None:
    counts = Counter(
        (str(state).lower(), str(status).lower())
        for state, status in connection.query(f"SELECT row_state, submission_status FROM {TABLE}")  # noqa: S608 - a constant name
    )
    echo(f"{title}: rows by row_state and submission_status")
    for (state, status), count in sorted(counts.items()):
        echo(f"  {state:<10} {status:<8} {count:>6}")


def _show_receipts(connection: Connection, echo: Callable[[str], None]) -> None:
    echo("\nThe first receipts, as the table keeps them:")
    for person, receipt, time in connection.query(
        f"SELECT person_id, api_response, submission_timestamp FROM {TABLE} "  # noqa: S608 - a constant name
        "WHERE submission_status = 'sent' AND submission_timestamp IS NOT NULL ORDER BY id LIMIT 5"
    ):
        echo(f"  {person:<14} {receipt}  {time}")


def _show_refused(connection: Connection, echo: Callable[[str], None]) -> None:
    echo("\nRefused, with the reason that the table keeps:")
    for person, reason in connection.query(
        f"SELECT person_id, api_response FROM {TABLE} WHERE submission_status = 'error' ORDER BY id LIMIT 3"  # noqa: S608 - a constant name
    ):
        echo(f"  {person:<14} {reason}")


def _mend(connection: Connection) -> None:
    """Takes out of the refused payloads what the receiver does not know, as a council's data team would."""
    rows = connection.query(f"SELECT id, json_payload FROM {TABLE} WHERE submission_status = 'error'")  # noqa: S608 - a constant name
    mended = []
    for identifier, text in rows:
        payload = json.loads(text)
        payload.pop(_UNKNOWN_MEMBER, None)
        after = json.dumps(payload, ensure_ascii=False)
        mended.append((after, hashlib.sha256(after.encode()).digest(), "pending", identifier))
    with connection.transaction():
        connection.execute_many(
            f"UPDATE {TABLE} SET json_payload = ?, current_hash = ?, submission_status = ? WHERE id = ?",  # noqa: S608 - a constant name
            mended,
        )


def default_folder() -> Path:
    """Gives the demo's own folder in the working folder."""
    return Path(os.curdir) / "d2i-csc-api-demo"
