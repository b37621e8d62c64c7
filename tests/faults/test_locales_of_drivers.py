"""Texts are read whole in any locale: a scheduled task often has none, and the driver of PostgreSQL asks for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.support.commands import clean_environment, run_cli
from tests.support.databases import TestDatabase
from tests.support.staging import child, staged
from tests.support.world import World, held_now

pytestmark = [
    pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True),
    pytest.mark.parametrize(
        "locale",
        [{"LANG": "", "LC_ALL": "C"}, {"PGCLIENTENCODING": "LATIN1"}, {"PGCLIENTENCODING": "WIN1252"}],
        ids=["none", "Latin 1", "cp1252"],
    ),
]

_DETAILS = {"first_name": "Łucja 中 😀", "surname": "O'Neill-Müller", "date_of_birth": "2014-03-09", "sex": "F"}
# Beyond 4096 bytes the driver hands a text over in two pieces, which part within a character.
_ECHO = """
import sys
from api_pipeline.db import connect
connection = connect(sys.argv[1])
for length in (1, 1365, 1366, 4096, 70000):
    text = "\\u00e9\\u20ac\\U0001f600" * length + "x"
    assert connection.query("SELECT CAST(? AS TEXT)", [text])[0][0] == text, length
"""
_LETTERS_IN_A_STATEMENT = """
import sys
from api_pipeline.db import connect
connection = connect(sys.argv[1])
for sql in ("SELECT CAST(? AS TEXT)", "SELECT '\u00e9\U0001f600' || CAST(? AS TEXT)", "SELECT CAST(? AS TEXT)"):
    assert connection.query(sql, ["\u20ac"])[0][0] == ("\u00e9\U0001f600\u20ac" if "||" in sql else "\u20ac"), sql
"""


def test_names_arrive_as_they_are_staged(deployed_world: World, locale: Mapping[str, str]) -> None:
    world, payload = deployed_world, child("P1", child_details=_DETAILS)
    world.fill([staged("P1", payload)])

    done = run_cli(["run", "--live"], {**world.environment(), **locale}, world.folder)

    assert done.code == 0, done.text
    assert held_now(world.server.simulator)["P1"]["child_details"] == _DETAILS


def test_long_texts_are_read_whole(database: TestDatabase, locale: Mapping[str, str]) -> None:
    command = [sys.executable, "-c", _ECHO, database.connection_string]

    done = subprocess.run(command, env=clean_environment(locale), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_statement_may_hold_any_letter(database: TestDatabase, locale: Mapping[str, str]) -> None:
    command = [sys.executable, "-c", _LETTERS_IN_A_STATEMENT, database.connection_string]

    done = subprocess.run(command, env=clean_environment(locale), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
