"""`test-db-connection` and `test-schema`: the configured database and its staging table, read and not changed."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from api_pipeline.db import Connection, connect
from api_pipeline.diagnostics.columns import QUERIES, differences, found_columns, found_elsewhere
from api_pipeline.diagnostics.rights import try_rights
from api_pipeline.diagnostics.steps import Report, Status, StepFailed, StepResult, StepWalk
from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.staging_table import FILL_THE_TABLE, StagingTable
from api_pipeline.outbox.survey import check_ids
from api_pipeline.settings.model import Settings
from api_pipeline.sql.connection_slips import malformed
from api_pipeline.sql.connection_string import embedded_path, is_embedded
from api_pipeline.sql.expected_tables import Need, expected_tables
from api_pipeline.sql.identifiers import Dialect, table_names
from api_pipeline.sql.odbc_errors import connection_facts, is_driver_here
from api_pipeline.sql.statements import load
from api_pipeline.sql.table_comparison import SchemaFinding, advice

_PROBE_S = 3.0


def check_connection(settings: Settings) -> Report:
    """Open the configured database, run `SELECT 1`, and name driver, server, database, login and version."""
    walk = StepWalk("test-db-connection")
    with suppress(StepFailed):
        with walk.step("settings") as finding:
            finding.detail = _wanted(settings)
        with _opened(walk, settings) as connection:
            with walk.step("SELECT 1") as finding:
                _ask(connection, "select_one", finding)
            _name_everything(walk, settings, connection)
    return walk.report()


def check_schema(settings: Settings) -> Report:
    """Compare the configured staging table and its control tables with what the pipeline expects."""
    walk = StepWalk("test-schema")
    with suppress(StepFailed):
        with walk.step("settings") as finding:
            finding.detail = f"staging table {settings.table_name}"
        with _opened(walk, settings) as connection:
            _compare_tables(walk, settings, connection)
            with walk.step("ids") as finding:
                check_ids(StagingTable(connection, table_names(settings.table_name, connection.dialect)))
                finding.detail = "every row has an id of its own"
            try_rights(walk, settings, connection)
            _count_rows(walk, settings, connection)
    return walk.report()


def _wanted(settings: Settings) -> str:
    if is_embedded(settings.connection_string):
        return f"embedded database {settings.connection_string}"
    facts = connection_facts(settings.connection_string)
    if facts.data_source and not facts.driver:
        return f"data source {facts.data_source}, {facts.database or 'its database'}"
    where = facts.server or "no server named"
    return f"{facts.driver or 'no driver named'}, {where}, {facts.database or 'default database'}"


@contextmanager
def _opened(walk: StepWalk, settings: Settings) -> Iterator[Connection]:
    with walk.step("connect") as finding:
        try:
            connection = connect(settings.connection_string, timeout_s=max(1, math.ceil(settings.connect_timeout_s)))
        except DatabaseError as error:
            raise StepFailed(str(error), _way_to_server(settings.connection_string), error.exit_code) from None
        finding.detail = f"{connection.dialect.value} through {connection.driver}"
    try:
        yield connection
    finally:
        connection.close()


def _way_to_server(connection_string: str) -> str:
    """Return what name and port show, where a driver reports only a timeout."""
    if is_embedded(connection_string) or malformed(connection_string):
        return ""
    facts = connection_facts(connection_string)
    if not facts.host or facts.port is None or not is_driver_here(facts.driver):
        return ""
    try:
        socket.create_connection((facts.host, facts.port), timeout=_PROBE_S).close()
    except (socket.gaierror, UnicodeError):
        return f"the name {facts.host} is not known to this machine's DNS: correct the name, or ask the network team."
    except ConnectionRefusedError:
        return (
            f"port {facts.port} of {facts.host} refuses connections: ask the database administrator whether the "
            "service runs there, listens to TCP/IP, and on which port."
        )
    except OSError:
        return f"port {facts.port} of {facts.host} does not answer: ask the network team about a firewall between."
    return f"port {facts.port} of {facts.host} takes connections, so the way is open: ask the database administrator."


def _name_everything(walk: StepWalk, settings: Settings, connection: Connection) -> None:
    facts = connection_facts("" if is_embedded(settings.connection_string) else settings.connection_string)
    walk.add("driver", Status.OK, f"{facts.driver} ({connection.driver})" if facts.driver else connection.driver)
    walk.add("server", Status.OK, facts.server or facts.data_source or "none: the database is a file")
    with walk.step("database") as finding:
        if connection.dialect is Dialect.SQLITE:
            named = settings.connection_string
            finding.detail = embedded_path(named) if is_embedded(named) else facts.database or "its data source's"
        else:
            _ask(connection, f"database_{connection.dialect.value}", finding)
    with walk.step("login") as finding:
        if connection.dialect is Dialect.SQLITE:
            finding.detail = "none: whoever may read and write the file"
        else:
            _ask(connection, f"login_{connection.dialect.value}", finding)
            finding.detail = f"{finding.detail} ({facts.login})"
    with walk.step("version") as finding:
        _ask(connection, f"version_{connection.dialect.value}", finding)


def _ask(connection: Connection, name: str, finding: StepResult) -> None:
    finding.detail = " ".join(str(connection.query(load(QUERIES)[name].sql)[0][0]).split())


def _compare_tables(walk: StepWalk, settings: Settings, connection: Connection) -> None:
    failed: StepFailed | None = None
    deltas = settings.use_partial_payload
    staging = table_names(settings.table_name, connection.dialect).staging
    for table in expected_tables(connection.dialect, settings.table_name, deltas=deltas):
        try:
            with walk.step(table.name) as finding:
                found = found_columns(connection, table.name)
                different = differences(connection, found, table)
                if not found and table.name == staging:
                    _look_elsewhere(connection, settings.table_name)
                _judge(different, finding, f"{len(table.columns)} expected columns are there ({table.need.value})")
        except StepFailed as error:
            failed = failed or error
    if failed:
        raise failed


def _judge(differences: list[SchemaFinding], finding: StepResult, all_well: str) -> None:
    finding.detail = "\n".join(difference.message for difference in differences) or all_well
    if any(difference.need is Need.REQUIRED for difference in differences):
        raise StepFailed(finding.detail, advice(differences), DatabaseError.exit_code)
    if differences:
        finding.status = Status.REMARK
        finding.advice = advice(differences)


def _look_elsewhere(connection: Connection, table_name: str) -> None:
    """Name the other schema that has the table. Errors: StepFailed where one has it."""
    if elsewhere := found_elsewhere(connection, table_name):
        detail, remedy = elsewhere
        raise StepFailed(detail, remedy, DatabaseError.exit_code)


def _count_rows(walk: StepWalk, settings: Settings, connection: Connection) -> None:
    with walk.step("rows") as finding:
        store = StagingTable(connection, table_names(settings.table_name, connection.dialect))
        if store.is_empty():
            finding.status = Status.REMARK
            finding.detail = f"{settings.table_name} has no rows, so a run would have nothing to send"
            finding.advice = FILL_THE_TABLE
        else:
            finding.detail = f"{settings.table_name} has rows"
