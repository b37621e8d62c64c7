"""`init`: the guided set-up, question by question; each answer is tried at once, and the end is a rehearsal."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from api_pipeline.assembly.request import RunObservers, RunRequest
from api_pipeline.assembly.run import run
from api_pipeline.common.paths import is_there
from api_pipeline.db import connect
from api_pipeline.deploy import make_tables
from api_pipeline.diagnostics.database import check_connection, check_schema
from api_pipeline.diagnostics.endpoint import check_endpoint
from api_pipeline.diagnostics.steps import Report, Status, report_lines
from api_pipeline.errors import DatabaseError, PipelineError, SettingsError
from api_pipeline.reports.console import summary_lines
from api_pipeline.settings.definitions import BY_NAME, SECRET_NAMES
from api_pipeline.settings.model import Purpose, Settings
from api_pipeline.settings.values import Found, Origin, Values
from api_pipeline.setup.databases import KINDS, connection_string, settings_of, staging_tables, with_whole_path
from api_pipeline.setup.dialogue import Dialogue
from api_pipeline.setup.env_writer import write_env
from api_pipeline.sql.connection_string import HIDDEN, redacted_connection_string
from api_pipeline.sql.identifiers import STAGING_TABLE, is_anonymised
from api_pipeline.sql.native import installed_drivers

# The values of DfE's portal, each with its question.
PORTAL = {
    "LA_CODE": "Your council's code, three digits",
    "API_ENDPOINT": "The receiver's address (API endpoint)",
    "TOKEN_ENDPOINT": "The address of the token service (OAuth token endpoint)",
    "CLIENT_ID": "OAuth Client ID",
    "SCOPE": "OAuth Scope",
    "CLIENT_SECRET": "Native OAuth Application-flow key (client secret)",
    "SUPPLIER_KEY": "Subscription key (supplier key)",
}
_SAMPLE = "csc-api-sample.db"
_REHEARSED = 10


@dataclass(frozen=True, slots=True)
class Tools:
    """What the set-up works with: the file, how a secret is kept, how to hide one from the log."""

    path: Path
    keep_secret: Callable[[str, str], object]
    hide: Callable[[str], None]
    stop: threading.Event


def set_up(dialogue: Dialogue, tools: Tools) -> int:
    """Ask, try, write the settings file, rehearse; return the exit code of the rehearsal (0 where there was none).

    Errors: PipelineError where an unattended answer fails; SettingsError where the file is there and is not replaced.
    """
    path = tools.path
    dialogue.say(f"Set-up of d2i-csc-api. The settings go to {path}; nothing is sent to anybody.")
    if path.is_dir():
        raise SettingsError(f"{path} is a folder, so nothing was written; name another file with --env-file.")
    if path.exists() and not dialogue.confirm(
        "replace", f"{path} is there already. Replace it (a copy stays)?", default=False
    ):
        raise SettingsError(
            f"The settings file {path} is there already, so nothing was written; --replace replaces it."
        )
    with ExitStack() as undo:
        text = _database(dialogue, tools, undo)
        table = _table(dialogue, tools, text)
        values = {"DB_CONNECTION_STRING": text, "TABLE_NAME": table, "TESTING_MODE": "true", **_portal(dialogue, tools)}
        _try_endpoint(dialogue, tools, values)
        kept = write_env(path, _without_kept_secrets(dialogue, tools, values))
        undo.pop_all()
    dialogue.say(f"\nThe settings are in {path}{f'; the older ones are in {kept}' if kept else ''}.")
    code = _rehearse(dialogue, tools, values)
    dialogue.say("\nNext: d2i-csc-api status shows the table, d2i-csc-api config show every setting.")
    dialogue.say(
        "For real runs set TESTING_MODE=false in the settings file; d2i-csc-api schedule makes the nightly task."
    )
    return code


def _database(dialogue: Dialogue, tools: Tools, undo: ExitStack) -> str:
    """Return the connection string of a database that could be opened; `undo` removes a file that was made for it."""
    dialogue.say("\n1. The database")
    found = ", ".join(installed_drivers()) or "none; only a SQLite file can be opened without"
    dialogue.say(f"   ODBC drivers of this machine: {found}")
    while True:
        kind = dialogue.choice("kind", "Which database has the staging table?", KINDS, "sqlserver")
        text = _connection(dialogue, tools, kind, undo)
        tools.hide(text)
        report = check_connection(_settings(tools, text))
        if report.is_ok:
            dialogue.say("   The database can be opened.")
            return text
        _show(dialogue, report)
        _give_up_or_retry(dialogue, report)


def _connection(dialogue: Dialogue, tools: Tools, kind: str, undo: ExitStack) -> str:
    if kind == "sample":
        from api_pipeline.sandbox.sample_table import make_trial_table

        path = tools.path.parent / _SAMPLE
        return make_trial_table(path.absolute(), 200) if not path.exists() else f"sqlite:///{path.absolute()}"
    if kind == "string":
        return with_whole_path(dialogue.text("connection_string", "Connection string", is_secret=True))
    if kind == "sqlite":
        file = dialogue.text("file", "Path of the database file", "csc-api.db")
        text = connection_string(kind, {"file": file}, installed_drivers())
        _make_file(dialogue, Path(file), text, undo)
        return text
    server = dialogue.text("server", "Server name (with a port other than the usual one: NAME:PORT)")
    if not server.strip() and not dialogue.is_attended:
        raise SettingsError("--server is missing: expected the name of the database server, so nothing was written.")
    answers = {
        "server": server,
        "database": dialogue.text("database", "Database name"),
    }
    if kind != "sqlserver":
        answers["user"] = dialogue.text("user", "User name")
        answers["password"] = dialogue.text("password", "Password", is_secret=True)
        tools.hide(answers["password"])
    return connection_string(kind, answers, installed_drivers())


def _make_file(dialogue: Dialogue, file: Path, text: str, undo: ExitStack) -> None:
    """Make a database file that is not there, where that is wanted."""
    if is_there(file):
        return
    if dialogue.confirm("make_tables", f"{file} is not there. Make it?", default=dialogue.is_attended):
        undo.callback(_remove_if_empty, file)
        connect(text, create=True).close()
    elif not dialogue.is_attended:
        raise DatabaseError(
            f"The database file {file} does not exist. No settings file was written; correct --file, or make the file "
            "and its tables with --make-tables."
        )


def _remove_if_empty(file: Path) -> None:
    with suppress(OSError):
        if not file.stat().st_size:
            file.unlink()


def _table(dialogue: Dialogue, tools: Tools, text: str) -> str:
    """Return the staging table: one that is there, found by its columns, or one that is made."""
    dialogue.say("\n2. The staging table")
    found = staging_tables(text)
    live = [name for name in found if not is_anonymised(name)] or found
    for name in found:
        dialogue.say(f"   found: {name}")
    table = dialogue.text("table", "Staging table", live[0] if live else STAGING_TABLE)
    if table not in found and dialogue.confirm("make_tables", f"{table} was not found. Make it?", default=False):
        make_tables(text, table)
    settings = _settings(tools, text, TABLE_NAME=table)
    report = check_schema(settings)
    if not report.is_ok or any(step.status is Status.REMARK for step in report.steps):
        _show(dialogue, report)
    if _lacks_control_tables(report) and dialogue.confirm(
        "make_tables", "Make the tables that are missing beside it? Nothing that is there is changed", default=False
    ):
        make_tables(text, table)
        report = check_schema(settings)
    if not report.is_ok and not dialogue.is_attended:
        way_on = "; --make-tables makes it" if _lacks_control_tables(report) else ""
        raise DatabaseError(f"{_failure(report)} No settings file was written{way_on}.")
    return table


def _lacks_control_tables(report: Report) -> bool:
    return any("deploy-schema" in step.advice for step in report.steps)


def _portal(dialogue: Dialogue, tools: Tools) -> dict[str, str]:
    """Return the values of DfE's portal, each checked by itself; what is left blank is left out."""
    dialogue.say(
        "\n3. The values of DfE's portal. A rehearsal needs none of them: leave blank what you do not have yet."
    )
    values: dict[str, str] = {}
    for name, question in PORTAL.items():
        is_secret = BY_NAME[name].secret
        while True:
            answer = dialogue.text(name, question, is_secret=is_secret).strip()
            if answer and is_secret:
                tools.hide(answer)
            errors, warnings = judged(name, answer)
            for warning in warnings:
                dialogue.say(f"   {warning}")
            if not errors:
                break
            if not dialogue.is_attended:
                raise SettingsError(errors[0])
            dialogue.say(f"   {errors[0]}")
        if answer:
            values[name] = answer
    return values


def judged(name: str, text: str) -> tuple[list[str], list[str]]:
    """Return what is wrong and what may be wrong with one value of a setting, as a settings file would be judged."""
    if not text:
        return [], []
    values = Values({name: Found(text, Origin.OPTION, Path())})
    values.text(name)
    return values.errors, values.warnings


def _try_endpoint(dialogue: Dialogue, tools: Tools, values: dict[str, str]) -> None:
    """Test the way to the receiver if all its values are there; an error is shown and stops nothing."""
    missing = [name for name in PORTAL if name not in values]
    if missing:
        dialogue.say(f"   Not tried: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set yet.")
        return
    if not dialogue.confirm("try_endpoint", "Try the way to the receiver now? No record is sent", default=True):
        return
    try:
        settings = settings_of(values, tools.path.parent, Purpose.ENDPOINT)
    except SettingsError as error:
        dialogue.say(f"   {error}")
        return
    _show(dialogue, check_endpoint(settings, tools.hide))


def _without_kept_secrets(dialogue: Dialogue, tools: Tools, values: dict[str, str]) -> dict[str, str]:
    """Return what goes into the file: without the secrets that the credential store keeps."""
    has_password = HIDDEN in redacted_connection_string(values["DB_CONNECTION_STRING"])
    secrets = [name for name in SECRET_NAMES if values.get(name) and (has_password or name != "DB_CONNECTION_STRING")]
    if not secrets or not dialogue.confirm(
        "store", "Keep the secrets in this account's credential store instead of the file?", default=True
    ):
        return values
    left = dict(values)
    for name in secrets:
        try:
            tools.keep_secret(name, values[name])
        except SettingsError as error:
            dialogue.say(f"   {error} It goes into the settings file, which only this account may read.")
        else:
            del left[name]
            dialogue.say(f"   {name} is kept in the credential store of this account.")
    return left


def _rehearse(dialogue: Dialogue, tools: Tools, values: dict[str, str]) -> int:
    question = f"Rehearse now with at most {_REHEARSED} rows? Nothing leaves this machine"
    if not dialogue.confirm("rehearse", question, default=True):
        return 0
    settings = replace(settings_of(values, tools.path.parent, Purpose.RUN), testing_mode=True)
    dialogue.say("\n4. The rehearsal")
    try:
        summary = run(settings, RunRequest(str(uuid.uuid4()), limit=_REHEARSED), RunObservers(), tools.stop)
    except PipelineError as error:
        dialogue.say(f"   {error}")
        return error.exit_code
    for line in summary_lines(summary):
        dialogue.say(f"   {line}")
    return summary.exit_code


def _settings(tools: Tools, text: str, **others: str) -> Settings:
    return settings_of({"DB_CONNECTION_STRING": text, **others}, tools.path.parent, Purpose.DATABASE)


def _show(dialogue: Dialogue, report: Report) -> None:
    for line in report_lines(report):
        dialogue.say(f"   {line}")


def _failure(report: Report) -> str:
    return next((step.detail for step in report.steps if step.status is Status.FAILED), "")


def _give_up_or_retry(dialogue: Dialogue, report: Report) -> None:
    if not dialogue.is_attended:
        raise DatabaseError(_failure(report))
    if not dialogue.confirm("again", "Answer again?", default=True):
        raise SettingsError("The set-up was ended before a database could be opened; nothing was written.")
