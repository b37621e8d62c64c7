"""The tests' own tools, where a fault in them would let other tests pass for the wrong reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import ROOT, clean_environment
from tests.support.databases import TestDatabase, missing
from tests.support.staging import fill, hash_of, staged, table_rows


def test_what_is_missing_skips_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_ALL", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no server"):
        missing("no server")


def test_what_is_missing_fails_a_test_where_everything_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")

    with pytest.raises(pytest.fail.Exception, match="no server"):
        missing("no server")


def test_settings_and_proxies_of_the_developer_do_not_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DB_CONNECTION_STRING", "CLIENT_SECRET", "HTTPS_PROXY", "https_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "developer")

    assert "developer" not in clean_environment({"LA_CODE": "999"}).values()
    assert clean_environment({"LA_CODE": "999"})["LA_CODE"] == "999"


def test_rows_are_read_back_as_they_were_put_in(deployed: TestDatabase) -> None:
    payload = {"la_child_id": "1", "child_details": {"surname": 'O\'Śliwa-Llŷn 👶 "x" ?'}}
    rows = [staged(str(n), payload, previous=payload if n % 2 else None) for n in range(250)]

    fill(deployed, deployed.table, rows)

    found = table_rows(deployed, deployed.table)
    assert [row["person_id"] for row in found] == [row.person_id for row in rows]
    for row, was in zip(found, rows, strict=True):
        assert row["json_payload"] == was.json_payload
        assert row["current_hash"] == hash_of(payload)
        assert row["previous_hash"] == was.previous_hash
        assert row["last_updated"] == was.last_updated


def test_no_password_shows_where_a_database_is_printed(database: TestDatabase) -> None:
    assert "PWD" not in repr(database)
    assert str(Path("staging")) not in repr(database)


def test_no_module_imports_at_its_top_what_windows_lacks() -> None:
    lacking = re.compile(r"^(?:import|from) (?:fcntl|grp|pty|pwd|resource|syslog|termios|tty)\b", re.MULTILINE)
    modules = [path for room in ("api_pipeline", "tests") for path in (ROOT / room).rglob("*.py")]

    assert len(modules) > 500
    assert [path for path in modules if lacking.search(path.read_text("utf-8"))] == []
