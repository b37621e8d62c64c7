"""`demo`: two nights of an invented council, from its own tables to receipts, in a folder of its own."""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from api_pipeline.assembly.request import RunObservers, RunRequest
from api_pipeline.assembly.run import run
from api_pipeline.db import Connection
from api_pipeline.demos.database import open_new
from api_pipeline.reports.console import summary_lines
from api_pipeline.run_summary import RunSummary, counted
from api_pipeline.sandbox.sample_table import BROKEN_EVERY, SEED, UNKNOWN_MEMBER
from api_pipeline.sandbox.simulator import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY, SimulatorServer
from api_pipeline.sandbox.synthetic_ssd import Night, SyntheticSsd, create_tables, fill, write_night
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose, Settings
from api_pipeline.settings.sources import Sources
from api_pipeline.sql import ddl
from api_pipeline.sql.connection_string import SQLITE_PREFIX
from api_pipeline.sql.identifiers import STAGING_TABLE
from api_pipeline.staging import report as stage_report
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.outcome import StagingObservers
from api_pipeline.staging.session import stage
from api_pipeline.staging.tables import SSD_TABLES

_CHANGED_SHARE = 0.08
_MARK = b"CSCD"


@dataclass(frozen=True, slots=True)
class _Council:
    """Everything the two nights need: where the tables are, who receives, where to print, and the day it is."""

    connection: Connection
    server: SimulatorServer
    path: Path
    echo: Callable[[str], None]
    stop: threading.Event
    today: date


def demo(folder: Path, children: int, echo: Callable[[str], None], stop: threading.Event) -> int:
    """Make the folder with its database, run two nights against the simulator and print what happened.

    `children` is the number of people in the council's own tables (SSD). Return the exit code: 0 when nothing is due
    at the end. Errors: PipelineError.
    """
    path = folder / "demo.db"
    connection = open_new(path, _MARK)
    echo(f"Demo in {folder.resolve()}: an invented council, an embedded database, an embedded receiver.")
    try:
        ddl.apply(connection.execute, connection.dialect, STAGING_TABLE)
        create_tables(connection.execute, connection.dialect)
        today = date.today()  # noqa: DTZ011 - the council's own day
        ssd = SyntheticSsd(children, today, SEED, all_cases_first=False)
        rows = fill(connection, ssd)
        echo(f"The council's own tables (SSD): {children} people, {rows} rows in {len(SSD_TABLES)} tables.")
        with SimulatorServer() as server:
            council = _Council(connection, server, path, echo, stop, today)
            return _night_one(council) or _night_two(council, ssd) or _ending(council)
    finally:
        connection.close()


def _night_one(council: _Council) -> int:
    """Stage and send everybody; some payloads are broken on purpose, refused, corrected and sent."""
    _stage("First night: the payloads are built from the SSD", council)
    _break(council.connection)
    _show(council, "\nBefore the first run (some payloads were broken on purpose)")
    refused = _run("First run, full payloads", council)
    if refused.errors or refused.was_stopped:
        return refused.exit_code
    _show_refused(council)
    _correct(council.connection)
    return _run("Second run, after the data team corrected what was refused", council).exit_code


def _night_two(council: _Council, ssd: SyntheticSsd) -> int:
    """Change the SSD, stage what is new, changed and gone, and send only that."""
    night = ssd.next_night(random.Random(SEED), _CHANGED_SHARE)  # noqa: S311 - invented people need no cryptography
    write_night(council.connection, night)
    _show_night(night, council.echo)
    _stage("Second night: what that means for the payloads", council)
    _show(council, "\nBefore the third run")
    for title in ("Third run, only what changed (deltas)", "Fourth run"):
        summary = _run(title, council, deltas=True)
        if summary.exit_code:
            return summary.exit_code
    return 0


def _ending(council: _Council) -> int:
    _show(council, "\nAfter")
    _show_receipts(council)
    echo = council.echo
    echo(f"\nThe receiver now holds {len(council.server.simulator.all_held())} children; nothing is due any more.")
    echo(f"The table {STAGING_TABLE} is in {council.path}; look at it with any SQLite viewer.")
    return 0


def _stage(title: str, council: _Council) -> None:
    # So few people that one who leaves may be a larger share than a council lets pass unseen.
    call = StageCall(council.today, allows_deletions=True)
    summary = stage(_settings(council, Purpose.STAGE), call, StagingObservers(), council.stop)
    decisions = summary.issues.total()
    # Each rule is a long sentence; `stage` shows them all.
    summary.issues.clear()
    council.echo(f"\n{title}")
    for line in stage_report.summary_lines(summary, council.today):
        council.echo(f"  {line}")
    council.echo(
        f"  {counted(decisions, '{value|values}')} could not be used as in the SSD; stage lists them with --issues-csv."
    )


def _run(title: str, council: _Council, *, deltas: bool = False) -> RunSummary:
    settings = _settings(council, Purpose.RUN, deltas=deltas)
    summary = run(settings, RunRequest(str(uuid.uuid4())), RunObservers(), council.stop)
    council.echo(f"\n{title}")
    for line in summary_lines(summary):
        council.echo(f"  {line}")
    return summary


def _settings(council: _Council, purpose: Purpose, *, deltas: bool = False) -> Settings:
    server, path = council.server, council.path
    options: dict[str, str | None] = {
        "DB_CONNECTION_STRING": f"{SQLITE_PREFIX}{path}",
        "API_ENDPOINT": server.base_url,
        "TOKEN_ENDPOINT": server.token_url,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "SCOPE": SCOPE,
        "SUPPLIER_KEY": SUPPLIER_KEY,
        "LA_CODE": LA_CODE,
        "TABLE_NAME": STAGING_TABLE,
        "TESTING_MODE": "false",
        "USE_PARTIAL_PAYLOAD": str(deltas).lower(),
        "SPOOL_FOLDER": str(path.parent),
    }
    # Neither the environment nor a .env file is read: the demo touches its own folder only.
    return load_settings(Sources(options, {}, path.parent / "no-settings-here"), purpose)


def _break(connection: Connection) -> None:
    """Add a member to some payloads that the receiver does not know, as a council's own script might."""
    rows = connection.query(f"SELECT id, json_payload FROM {STAGING_TABLE} ORDER BY id")  # noqa: S608 - a constant name
    chosen = rows[BROKEN_EVERY // 2 :: BROKEN_EVERY]
    _write(connection, [(number, {**json.loads(text), UNKNOWN_MEMBER: "unknown"}) for number, text in chosen])


def _correct(connection: Connection) -> None:
    """Remove from the refused payloads what the receiver does not know, as a council's data team would."""
    rows = connection.query(f"SELECT id, json_payload FROM {STAGING_TABLE} WHERE submission_status = 'error'")  # noqa: S608 - a constant name
    payloads = [(number, json.loads(text)) for number, text in rows]
    for _, payload in payloads:
        payload.pop(UNKNOWN_MEMBER, None)
    _write(connection, payloads)


def _write(connection: Connection, payloads: list[tuple[int, dict[str, object]]]) -> None:
    texts = [(json.dumps(payload, ensure_ascii=False), number) for number, payload in payloads]
    with connection.transaction():
        connection.execute_many(
            f"UPDATE {STAGING_TABLE} SET json_payload = ?, submission_status = 'pending' WHERE id = ?",  # noqa: S608 - a constant name
            texts,
        )


def _show_night(night: Night, echo: Callable[[str], None]) -> None:
    echo("\nThe next day the SSD has changed:")
    for change, count in sorted(Counter(step.change.value for step in night.steps).items()):
        echo(f"  {count:>4} x {change}")


def _show(council: _Council, title: str) -> None:
    counts = Counter(
        (str(state).lower(), str(status).lower())
        for state, status in council.connection.query(f"SELECT row_state, submission_status FROM {STAGING_TABLE}")  # noqa: S608 - a constant name
    )
    council.echo(f"{title}: rows by row_state and submission_status")
    for (state, status), count in sorted(counts.items()):
        council.echo(f"  {state:<10} {status:<8} {count:>6}")


def _show_receipts(council: _Council) -> None:
    council.echo("\nThe first receipts, as the table keeps them:")
    for person, receipt, time in council.connection.query(
        f"SELECT person_id, api_response, submission_timestamp FROM {STAGING_TABLE} "  # noqa: S608 - a constant name
        "WHERE submission_status = 'sent' AND submission_timestamp IS NOT NULL ORDER BY id LIMIT 5"
    ):
        council.echo(f"  {person:<14} {receipt}  {time}")


def _show_refused(council: _Council) -> None:
    refused = council.connection.query(
        f"SELECT person_id, api_response FROM {STAGING_TABLE} WHERE submission_status = 'error' ORDER BY id LIMIT 3"  # noqa: S608 - a constant name
    )
    if refused:
        council.echo("\nRefused, with the reason that the table keeps:")
    for person, reason in refused:
        council.echo(f"  {person:<14} {reason}")
