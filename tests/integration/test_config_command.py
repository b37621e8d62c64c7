"""`config show` and `config check`, run as an operator runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import invoke_cli

SECRET = "planted-secret-51"


def test_config_show_prints_each_set_value_with_its_source_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DB_CONNECTION_STRING=sqlite:///a.db\nCLIENT_SECRET={SECRET}\nBATCH_SIZE=50\n")
    done = invoke_cli(["config", "show"], {"LA_CODE": "845", "BATCH_SIZE": "60"}, tmp_path)

    assert done.code == 0, done.text
    words = [line.split() for line in done.out.splitlines()]
    assert ["BATCH_SIZE", "environment", "60"] in words
    assert ["LA_CODE", "environment", "845"] in words
    assert ["CLIENT_SECRET", "file", "set"] in words
    assert SECRET not in done.text
    assert "MAX_ATTEMPTS" not in done.out
    assert "MAX_ATTEMPTS" in invoke_cli(["config", "show", "--all"], {}, tmp_path).out


def test_config_show_says_what_is_wrong_and_ends_with_two(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_CONECTION_STRING=sqlite:///a.db\nBATCH_SIZE=500\n")
    done = invoke_cli(["config", "show"], {}, tmp_path)

    assert done.code == 2
    assert "! BATCH_SIZE" in done.out
    assert "DB_CONNECTION_STRING is missing" in done.out
    assert "DB_CONECTION_STRING in .env is not a setting and has no effect" in done.out
    assert "Result: 2 settings cannot be used (exit code 2)" in done.out


@pytest.mark.parametrize("command", ["show", "check"])
def test_config_as_json_names_every_problem(command: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DB_CONNECTION_STRING=sqlite:///a.db\nSUPPLIER_KEY={SECRET}\nLA_CODE=84\n")
    done = invoke_cli(["config", command, "--json"], {}, tmp_path)
    found = json.loads(done.out)

    assert (done.code, found["exit_code"], found["ok"]) == (2, 2, False)
    states = {state["name"]: state for state in found["settings"]}
    assert states["LA_CODE"]["problem"] == found["errors"][0]
    assert states["LA_CODE"]["value"] == "84"
    assert (states["SUPPLIER_KEY"]["value"], states["SUPPLIER_KEY"]["source"]) == ("set", "file")
    assert states["BATCH_SIZE"]["source"] == "default"
    assert SECRET not in done.text


def test_config_check_live_asks_for_what_a_live_run_needs(tmp_path: Path) -> None:
    settings = {"DB_CONNECTION_STRING": "sqlite:///a.db"}
    assert invoke_cli(["config", "check"], settings, tmp_path).code == 0
    done = invoke_cli(["config", "check", "--live"], settings, tmp_path)
    assert done.code == 2
    assert "error: TOKEN_ENDPOINT is missing" in done.out


def test_run_names_the_misspelt_setting_beside_the_missing_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_CONECTION_STRING=sqlite:///a.db\n")
    done = invoke_cli(["run"], {}, tmp_path)
    assert done.code == 2
    assert "DB_CONNECTION_STRING is missing" in done.err
    assert "DB_CONECTION_STRING in .env is not a setting and has no effect; DB_CONNECTION_STRING is one." in done.err


@pytest.mark.parametrize(("path", "reason"), [("no/run.log", "its folder does not exist"), (".", "is a folder")])
def test_config_check_says_that_the_log_file_cannot_be_written(path: str, reason: str, tmp_path: Path) -> None:
    done = invoke_cli(["config", "check"], {"DB_CONNECTION_STRING": "sqlite:///a.db", "LOG_FILE": path}, tmp_path)

    assert done.code == 2
    assert "error: LOG_FILE: expected a file in an existing folder that may be written, got " in done.out
    assert f"({reason})" in done.out


def test_port_that_cannot_be_is_an_error_where_nobody_gets_a_mail(tmp_path: Path) -> None:
    settings = {"DB_CONNECTION_STRING": "sqlite:///a.db", "NOTIFY_EMAIL_PORT": "70000", "NOTIFY_EMAIL_SECURITY": "ssl"}
    done = invoke_cli(["config", "check"], settings, tmp_path)

    assert done.code == 2
    assert "NOTIFY_EMAIL_PORT: expected" in done.out
    assert "NOTIFY_EMAIL_SECURITY: expected" in done.out
