"""Standard output and standard error: whatever becomes of them, the run is the same; what is printed steers nothing."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api_pipeline.logs.output import GuardedStream, guarded_streams, redact_output
from api_pipeline.logs.plain_text import harmless
from api_pipeline.logs.redaction import Redactor
from tests.support.commands import clean_environment, run_cli
from tests.support.databases import TestDatabase
from tests.support.effort import IS_LONG
from tests.support.staging import fill, row_of, staged

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the shell that closes the streams is POSIX'"),
]
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
HOSTILE = "P1\x1b[2J\x1b]0;mine\x07\u202e\x9b1mx"


def shell(line: str, database: TestDatabase, folder: Path) -> int:
    """Run a line of bash in which `$CSC` is the program; return the program's exit code."""
    environment = clean_environment({**database.settings, "CSC": f"{sys.executable} -m api_pipeline"})
    done = subprocess.run(["bash", "-c", line], env=environment, cwd=folder, capture_output=True, timeout=60)
    return done.returncode


@only_sqlite
@pytest.mark.parametrize(
    "wiring",
    [
        "2>&1 | true; exit ${PIPESTATUS[0]}",
        ">&-",
        "<&- >&- 2>&-",
        ">/dev/full 2>/dev/full",
        *(["| true; exit ${PIPESTATUS[0]}", "2>&-", ">/dev/full"] if IS_LONG else []),
    ],
)
def test_run_ends_with_its_own_code_whatever_becomes_of_its_output(
    wiring: str, deployed: TestDatabase, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1"), staged("P2", '{"la_child_id": "P2", "x": 1}')])

    assert shell(f"$CSC run --testing --table {deployed.table} --verbose {wiring}", deployed, tmp_path) == 1
    assert row_of(deployed, deployed.table, "P1")["submission_status"] == "testing"
    assert deployed.rows("PRAGMA integrity_check") == [("ok",)]


@only_sqlite
def test_id_that_steers_a_terminal_is_shown_without_its_signs(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged(HOSTILE, "{", "Error", response=f"HTTP 400: {HOSTILE} is wrong")])
    environment = {**deployed.settings, "TABLE_NAME": deployed.table}
    folder = tmp_path / "reports"
    for arguments in (["status"], ["status", "--json"], ["validate"], ["report", "--folder", str(folder)]):
        done = run_cli(arguments, environment, tmp_path)
        assert not set(done.text) & set("\x1b\x07\x9b\u202e"), arguments
    pages = [path.read_text("utf-8") for path in folder.glob("*.html")]
    assert pages
    assert not any(set(page) & set("\x1b\x07\x9b\u202e") for page in pages)


def test_screen_gets_no_escape_sequence() -> None:
    leader, follower = os.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as screen:
        GuardedStream(screen, str).write(f"\x1b[1mbold\x1b[0m \x1b[1A\x1b[2K{HOSTILE}\n")
    with os.fdopen(leader, "rb", buffering=0) as seen:
        assert seen.read(1000).decode("utf-8") == "bold P1x\r\n"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\x1b[31mb\x1b[0mc", "abc"),
        ("a\x1b]8;;https://evil.example\x1b\\b\x1b]8;;\x07c", "abc"),
        ("a\x9b2Jb\x90qc\x9cd", "abd"),
        ("a\x1bcb\x1b(0c", "abc"),
        ("a\u202eb\u2066c\u200fd\ufeffe", "abcde"),
        ("a\ud83db\x00c\x7fd\x85e", "abcde"),
        ("tab\tline\nreturn\r", "tab\tline\nreturn\r"),
        ("caf\u00e9 \u4f60\u597d \U0001f600", "caf\u00e9 \u4f60\u597d \U0001f600"),
    ],
)
def test_signs_that_are_obeyed_and_not_seen_are_taken_out(text: str, plain: str) -> None:
    assert harmless(text) == plain


def test_known_secret_is_printed_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    redactor = Redactor(["abc", "sun*flower"])
    with guarded_streams():
        redact_output(redactor)
        redactor.add("later-token")
        print("abc abcd sun*flower sun%2Aflower later-token PASSWORD=shown")
        print("abc", file=sys.stderr)
    print("abc")

    out, err = capsys.readouterr()
    assert out == "*** abcd *** *** *** PASSWORD=shown\nabc\n"
    assert err == "***\n"


def test_letters_that_a_console_lacks_become_escapes() -> None:
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding="cp1252")
    GuardedStream(console, str).write("caf\u00e9 \u2192 \u4f60")

    assert raw.getvalue() == b"caf\xe9 \\u2192 \\u4f60"
