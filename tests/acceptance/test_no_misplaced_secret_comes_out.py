"""A secret in another setting, or in a connection string that is written oddly, is never printed (contract 6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.settings.definitions import SETTINGS
from tests.support.commands import invoke_cli
from tests.support.echoed_values import CLIENT_SECRET, SUPPLIER_KEY
from tests.support.echoes import found_in
from tests.support.effort import IS_LONG


def misplaced() -> list[tuple[str, str]]:
    """Return each setting with a secret that is put there by mistake; with both of them in `scripts/test --long`."""
    both = (CLIENT_SECRET, SUPPLIER_KEY)
    return [
        (setting.name, value)
        for number, setting in enumerate(SETTINGS)
        for value in (both if IS_LONG else both[number % 2 :][:1])
    ]


def test_secret_in_another_setting_is_not_printed(tmp_path: Path) -> None:
    ours = {"CLIENT_SECRET": CLIENT_SECRET, "SUPPLIER_KEY": SUPPLIER_KEY, "TESTING_MODE": "false"}
    shown = []
    for name, value in misplaced():
        for arguments in ("config show --all", "config check --live --json", "run"):
            done = invoke_cli(arguments.split(), {**ours, name: value}, tmp_path)
            shown += [(name, arguments) for _ in found_in(done.text, [value])]
    assert shown == []


@pytest.mark.parametrize("value", [CLIENT_SECRET, SUPPLIER_KEY])
def test_secret_in_every_other_setting_is_not_printed(value: str, tmp_path: Path) -> None:
    for arguments in ("config show --all", "config check --live --json", "run"):
        done = invoke_cli(arguments.split(), {setting.name: value for setting in SETTINGS}, tmp_path)
        assert (done.code != 0 or "show" in arguments, found_in(done.text, [value])) == (True, []), arguments


# Every odd brace, quote and blank, and what other programs call a connection string.
CONNECTION_STRINGS = [
    "PWD={Hunter;2=}Zq",
    "PWD={Hunter;2=}}Zq}",
    "PWD={Hunter;2=}}Zq",
    "PWD='Hunter;2=}Zq'",
    'PWD="Hunter;2=}Zq"',
    "PWD = {Hunter;2=}}Zq",
    "pwd={Hunter;2=}}Zq}x",
    "UID={a;PWD=Hunter2Zq",
    "UID={a}};PWD=Hunter2Zq",
    "SERVER={x;PWD=Hunter2Zq",
    "DRIVER={x};SERVER=y;PWD=Hunter2Zq=",
    "PWD\u00a0=Hunter2Zq",
    "PW D=Hunter2Zq",
    "=Hunter2Zq",
    ";;;PWD==Hunter2Zq",
    "PWD={Hunter2Zq}}",
    "PWD={}Hunter2Zq}",
    "Driver={SQLite3};Database={/x;PWD=Hunter2Zq",
    "postgresql://u:Hunter2Zq@h/db",
    "mssql+pyodbc://u:Hunter2Zq@h/db?driver=x",
    "jdbc:sqlserver://h;user=u;password=Hunter2Zq",
    "DRIVER={PostgreSQL Unicode};SERVER=127.0.0.1;PORT=9;UID=a;PWD={Hunter2Zq",
    "DRIVER={PostgreSQL Unicode};SERVER={127.0.0.1;PWD=Hunter2Zq;PORT=9",
    "DRIVER={Hunter2Zq};PWD=Hunter2Zq",
    "sqlite:///x?password=Hunter2Zq",
    "sqlite:///u:Hunter2Zq@x",
    "sqlite://Hunter2Zq",
    "Hunter2Zq",
]


@pytest.mark.parametrize("text", CONNECTION_STRINGS)
def test_no_odd_connection_string_shows_its_password(text: str, tmp_path: Path) -> None:
    settings = {"DB_CONNECTION_STRING": text, "SDR_DB_CONNECTION_STRING": text, "DB_RETRY_S": "0"}
    for command in ("test-db-connection --json", "status", "run", "config show --all", "xporter status", "sdr status"):
        done = invoke_cli(f"--verbose --log-file x.log {command}".split(), settings, tmp_path)
        log = tmp_path / "x.log"
        shown = done.text + (log.read_text(encoding="utf-8") if log.exists() else "")
        assert ("Hunter" in shown, "Zq" in shown, "Traceback" in shown) == (False, False, False), command
