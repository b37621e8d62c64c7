"""What goes over ODBC, by the driver manager's own trace: no side question, and no text in the old type NTEXT.

A driver that does not know a parameter's type asks the server (SQLDescribeParam); its error on that question can roll
the transaction back unseen. A text over 2,000 characters that is not declared goes out as NTEXT (SQL_WLONGVARCHAR),
which a database with a UTF-8 or a newer collation refuses. Drivers of other databases are called in the same way.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyodbc
import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sandbox.simulator.tec import SimulatedReturn, TecOptions, TecServer, TecSimulator
from api_pipeline.sandbox.simulator.xporter import XporterServer, XporterSimulator, make_school
from tests.integration.sdr.conftest import Provider
from tests.support.commands import clean_environment, invoke_cli
from tests.support.council_ssd import AS_OF, council
from tests.support.databases import TestDatabase, missing, over_odbc
from tests.support.staging import change, child, staged
from tests.support.world import World
from tests.support.xporter import TODAY
from tests.support.xporter_council import Council

# One process for all: it is the driver manager's environment that is traced, and starting a program takes its time.
COMMANDS = """
import sys
from api_pipeline.cli import main
for arguments in {commands!r}:
    sys.argv = ["d2i-csc-api", *arguments]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    print("ended:", arguments[0], code)
"""
SYSTEM_DRIVERS = (
    Path("/etc/odbcinst.ini"),
    Path("/opt/homebrew/etc/odbcinst.ini"),
    Path("/usr/local/etc/odbcinst.ini"),
)
BOUND = re.compile(r"SQL Type = (-?\d+).*\n\s*Col Def = (\d+)")
LONG = {"first_name": "x" * 5000, "surname": "Sample", "date_of_birth": "2014-03-09", "sex": "F"}
OLD = (pyodbc.SQL_WLONGVARCHAR, pyodbc.SQL_LONGVARCHAR)


def traced(folder: Path, program: str, env: dict[str, str]) -> tuple[str, str]:
    """Run a program in a process of its own; return what it printed, and the trace."""
    drivers = next((path for path in SYSTEM_DRIVERS if path.is_file()), None)
    if drivers is None:
        missing("no odbcinst.ini names the drivers of this machine")
    # The driver manager traces to no file with a long path.
    with tempfile.TemporaryDirectory(prefix="odbc") as place:
        trace = Path(place) / "trace.log"
        settings = f"\n[ODBC]\nTrace=Yes\nTraceFile={trace}\n"
        Path(place, "odbcinst.ini").write_text(drivers.read_text(encoding="utf-8") + settings, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=clean_environment({**env, "ODBCSYSINI": place}),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout + done.stderr, trace.read_text(encoding="utf-8", errors="replace")


def calls_in(trace: str) -> Counter[str]:
    return Counter(re.findall(r"\[(SQL\w+?)W?\.c\]", trace))


def types_in(trace: str) -> list[tuple[int, int]]:
    """Return type and length of each parameter that was bound."""
    return [(int(kind), int(size)) for kind, size in BOUND.findall(trace)]


@over_odbc
def test_no_command_asks_for_a_type_or_binds_a_long_text_undeclared(database: TestDatabase, tmp_path: Path) -> None:
    with SimulatorServer() as server:
        world = World(database.deploy(), server, tmp_path)
        ssd = council(database, tmp_path)
        ssd.children("1001", "1002")
        world.fill(
            [
                staged("L1", child("L1", child_details=LONG)),
                staged("B1", {"la_child_id": "B1", "unknown": "x" * 3000}, hash=None, previous={"la_child_id": "B1"}),
                staged("D1", state="deleted", previous={"la_child_id": "D1"}),
            ]
        )
        change(database, database.table, "L1", last_updated=None)
        env = world.environment(USE_PARTIAL_PAYLOAD="true")
        commands = [
            ["deploy-schema", "--apply"],
            ["run"],
            ["requeue"],
            ["stage", "--as-of", AS_OF, "--allow-deletions"],
            ["run"],
            ["anonymise", "--replace"],
            ["status"],
        ]
        said, trace = traced(tmp_path, COMMANDS.format(commands=commands), env)

    ended = re.findall(r"^ended: (\S+) (\d+)$", said, re.MULTILINE)
    assert [command for command, _ in ended] == [command for command, *_ in commands]
    # The record that the receiver would not know is refused in the first run, and its child is gone in the second.
    assert [code for _, code in ended] == ["0", "1", "0", "0", "0", "0", "0"], said
    calls, types = calls_in(trace), types_in(trace)
    assert calls["SQLDescribeParam"] == 0
    assert calls["SQLExecute"] > 50, "the trace shows what was sent"
    assert (pyodbc.SQL_WVARCHAR, 0) in types, "a long text is declared as one without limit"
    assert not [kind for kind, _ in types if kind in OLD]


@over_odbc
def test_services_ask_for_no_type_and_declare_every_long_text(database: TestDatabase, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    period = SimulatedReturn(202608, 2026, 8, now - timedelta(days=20), now + timedelta(days=10))
    schools = [make_school(1, pupils=4, weeks=0, today=TODAY)]
    with (
        TecServer(TecSimulator(TecOptions(returns=(period,)))) as tec,
        XporterServer(XporterSimulator(schools)) as xporter,
    ):
        provider = Provider(database, tec, tmp_path)
        council = Council(xporter, tmp_path, schools)
        env = {**council.settings, **provider.settings(XPORTER_ENDPOINTS="Students, SchoolInfo")}
        for service in ("sdr", "xporter"):
            assert invoke_cli([service, "deploy-schema", "--apply"], env, tmp_path).code == 0
        provider.stage_learners(3)
        provider.stage("courses", "c1", courseCode="c1", courseTitle="Weaving" * 900)
        schools[0].change(next(iter(schools[0].pupils)), Surname="O'Other" * 900, Forename=None)
        commands = [
            ["sdr", "submit", "202608", "--validate"],
            ["sdr", "status", "202608"],
            ["xporter", "collect"],
        ]
        said, trace = traced(tmp_path, COMMANDS.format(commands=commands), env)

    assert re.findall(r"^ended: (\S+) (\d+)$", said, re.MULTILINE)[1:] == [("sdr", "0"), ("xporter", "0")], said
    assert set(provider.held()) == {"s0", "s1", "s2"}
    calls, types = calls_in(trace), types_in(trace)
    assert calls["SQLDescribeParam"] == 0
    assert calls["SQLExecute"] > 50, "the trace shows what was sent"
    assert (pyodbc.SQL_WVARCHAR, 0) in types, "a long text is declared as one without limit"
    assert not [kind for kind, _ in types if kind in OLD]


# PostgreSQL's driver says that it cannot be asked for types.
@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_a_null_that_is_bound_and_a_long_text_undeclared_show(database: TestDatabase, tmp_path: Path) -> None:
    database.execute("CREATE TABLE plain (a VARCHAR(9000))")
    program = (
        "import pyodbc\n"
        f"connection = pyodbc.connect({database.connection_string!r}, autocommit=True)\n"
        "for value in (None, 'x' * 5000):\n"
        "    connection.execute('INSERT INTO plain VALUES (?)', [value])\n"
    )

    said, trace = traced(tmp_path, program, {})

    assert said == ""
    assert calls_in(trace)["SQLDescribeParam"] > 0
    assert [kind for kind, _ in types_in(trace) if kind in OLD]


OF_SQL_SERVER = """
import pyodbc
from api_pipeline.db.odbc import OdbcConnection
from api_pipeline.sql.identifiers import Dialect
connection = OdbcConnection(lambda: pyodbc.connect({text!r}, autocommit=True), Dialect.SQLSERVER, "driver", ())
for ids in (["1", "12", "123"], ["1234", "12345", "x" * 48]):
    connection.query("SELECT 1 WHERE 'x' IN (?, ?, ?)", ids)
"""


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_sql_server_is_told_of_ids_of_every_length_in_the_same_words(database: TestDatabase, tmp_path: Path) -> None:
    _, trace = traced(tmp_path, OF_SQL_SERVER.format(text=database.connection_string), {})

    assert types_in(trace) == [(pyodbc.SQL_WVARCHAR, 64)] * 6


LONG_TEXTS = """
from api_pipeline.db import connect
connection = connect({text!r})
for length in (1, 6500, 20000, 70000):
    text = "x" * length
    assert connection.query("SELECT CAST(? AS TEXT)", [text])[0][0] == text, length
"""


@over_odbc
@pytest.mark.skipif(not hasattr(pyodbc.Connection, "readvar_initsize"), reason="this pyodbc reads 4096 bytes first")
def test_a_payload_is_read_in_one_call(database: TestDatabase, tmp_path: Path) -> None:
    said, trace = traced(tmp_path, LONG_TEXTS.format(text=database.connection_string), {})

    assert said == ""
    pieces = re.findall(r"\[SQLGetData\.c\]\S*\s+Exit:\[(\w+)\]", trace)
    assert (pieces.count("SQL_SUCCESS_WITH_INFO"), "SQL_SUCCESS" in pieces) == (1, True), "only the longest takes two"
