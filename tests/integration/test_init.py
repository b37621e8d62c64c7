"""`init`: from no settings at all to a first rehearsal, attended and not."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.setup.env_writer import env_text, write_env
from tests.support.commands import clean_environment, invoke_cli, run_cli
from tests.support.databases import TestDatabase
from tests.support.keyrings import store_settings
from tests.support.staging import fill, row_of, staged
from tests.support.world import live_settings

ON_SERVER = pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)


def test_one_command_leads_from_nothing_to_a_rehearsal(tmp_path: Path) -> None:
    done = invoke_cli(["init", "--kind", "sample", "--unattended"], {}, tmp_path)

    assert done.code == 0, done.text
    assert "all 10 records that --limit allowed passed" in done.out
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    checked = json.loads(invoke_cli(["config", "check", "--json"], {}, tmp_path).out)
    assert (checked["ok"], checked["warnings"]) == (True, [])
    assert invoke_cli(["validate"], {}, tmp_path).code in (0, 1)


def test_settings_file_that_is_there_is_never_replaced_unless_asked(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LA_CODE=845\n")
    refused = invoke_cli(["init", "--kind", "sample", "--unattended"], {}, tmp_path)
    assert refused.code == 2
    assert (tmp_path / ".env").read_text() == "LA_CODE=845\n"
    arguments = ["init", "--kind", "sample", "--unattended", "--replace", "--no-rehearse"]
    assert invoke_cli(arguments, {}, tmp_path).code == 0
    assert (tmp_path / ".env.bak").read_text() == "LA_CODE=845\n"
    assert "sqlite:///" in (tmp_path / ".env").read_text()


def test_missing_table_ends_an_unattended_set_up_with_the_option_that_makes_it(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    arguments = ["init", "--kind", "sqlite", "--file", "empty.db", "--unattended"]
    refused = invoke_cli(arguments, {}, tmp_path)
    assert refused.code == 3
    assert refused.err.strip().endswith("No settings file was written; --make-tables makes it.")
    assert not (tmp_path / ".env").exists()
    assert invoke_cli([*arguments, "--make-tables"], {}, tmp_path).code == 0


@ON_SERVER
def test_table_in_another_schema_is_found_and_secrets_go_to_the_store(database: TestDatabase, tmp_path: Path) -> None:
    with SimulatorServer() as server:
        database.execute("CREATE SCHEMA council")
        database.deploy("council.ssd_api_data_staging")
        fill(database, "council.ssd_api_data_staging", [staged("P1"), staged("P2")])
        live = live_settings(server)
        secret, key = (tmp_path / "secret"), (tmp_path / "key")
        secret.write_text(live["CLIENT_SECRET"] + "\n")
        key.write_text(live["SUPPLIER_KEY"])
        options = ["--client-secret-file", str(secret), "--supplier-key-file", str(key), "--store"]
        for name in ("LA_CODE", "API_ENDPOINT", "TOKEN_ENDPOINT", "CLIENT_ID", "SCOPE"):
            options += [f"--{name.lower().replace('_', '-')}", live[name]]
        environment = {**store_settings(tmp_path / "store.json"), "DB_CONNECTION_STRING": database.connection_string}

        done = run_cli(["init", "--unattended", *options], environment, tmp_path)

        assert done.code == 0, done.text
        assert "test-endpoint: passed" in done.out
        assert "every due record passed in testing mode" in done.out
        text = (tmp_path / ".env").read_text()
        assert "TABLE_NAME=council.ssd_api_data_staging" in text
        assert live["CLIENT_SECRET"] not in text + done.text
        assert live["SUPPLIER_KEY"] not in text + done.text
        assert "PWD" not in text, "a connection string with a password is a secret too"
        row = row_of(database, "council.ssd_api_data_staging", "P1")
        assert row["submission_status"] == "testing"
        store = store_settings(tmp_path / "store.json")
        sent = run_cli(["run", "--live"], store, tmp_path)
        assert sent.code == 0, sent.text
        assert set(server.simulator.all_held()) == {"P1", "P2"}


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--kind", "sample", "--la-code", "84"], 2, "LA_CODE: expected three digits"),
        (["--kind", "sqlite", "--file", "absent.db", "--no-make-tables"], 3, "absent.db"),
        (["--file", "absent.db"], 3, "correct --file, or make the file and its tables with --make-tables."),
        (["--file", "absent.db", "--make-tables", "--table", "no;table"], 2, "TABLE_NAME"),
        (["--connection-string", "Server=x;PWD=hushhush"], 2, "set the environment variable DB_CONNECTION_STRING"),
        (["--kind", "sample", "--file", "mine.db"], 2, "--file does not go with --kind sample"),
        (["--kind", "sqlserver", "--server", "s", "--user", "u"], 2, "(it goes with sqlserver-login, postgresql)"),
        (["--kind", "postgresql", "--user", "u"], 2, "--server is missing: expected the name"),
        ([], 2, "--server is missing: expected the name"),
        (["--kind", "sample", "--table", ""], 2, "--table is given without a text, so nothing was done"),
        (["--file", " "], 2, "--file is given without a text, so nothing was done"),
        (["--connection-string", "nonsense"], 2, "a value that is not shown, because it is a secret"),
    ],
)
def test_unattended_answer_that_fails_ends_the_set_up_and_writes_nothing(
    options: list[str], code: int, said: str, tmp_path: Path
) -> None:
    done = invoke_cli(["init", "--unattended", *options], {}, tmp_path)
    assert done.code == code, done.text
    assert said in done.err
    assert "hushhush" not in done.text
    assert "no .env" not in done.text, "a file that is not there yet explains nothing"
    assert not (tmp_path / ".env").exists()
    assert not (tmp_path / "absent.db").exists()


def test_folder_named_as_the_settings_file_is_called_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    for more in ([], ["--replace"]):
        done = invoke_cli(["init", "--kind", "sample", "--unattended", *more], {}, tmp_path)
        assert done.code == 2
        assert ".env is a folder, so nothing was written; name another file with --env-file." in done.err


def test_file_on_the_command_line_counts_before_the_connection_string_of_the_environment(tmp_path: Path) -> None:
    environment = {"DB_CONNECTION_STRING": "Driver={None};Server=elsewhere"}
    arguments = ["init", "--unattended", "--file", "mine.db", "--make-tables", "--no-rehearse"]
    done = invoke_cli(arguments, environment, tmp_path)
    assert done.code == 0, done.text
    assert f"sqlite:///{(tmp_path / 'mine.db').as_posix()}" in (tmp_path / ".env").read_text()
    warning = "The environment variable DB_CONNECTION_STRING counts before the settings file"
    assert warning in done.out
    assert warning not in invoke_cli([*arguments, "--replace"], {}, tmp_path).out


def test_quotation_marks_around_a_secret_in_a_file_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('"hush-hush" \r\n')
    options = ["--client-secret-file", "secret", "--no-store", "--no-rehearse"]
    done = invoke_cli(["init", "--unattended", "--kind", "sample", *options], {}, tmp_path)
    assert "CLIENT_SECRET (from the command line) stands in quotation marks" in done.out
    assert "hush" not in done.text


@pytest.mark.parametrize(
    "content",
    ["hush-h\u00fcsh".encode("cp1252"), "hush-h\u00fcsh\r\n".encode("utf-16"), b"\xef\xbb\xbfhush-h\xc3\xbcsh\n"],
    ids=["Windows-1252", "UTF-16, as PowerShell writes", "UTF-8 with a byte order mark"],
)
def test_secret_file_of_any_encoding_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(content)
    options = ["--client-secret-file", "secret", "--no-store", "--no-rehearse"]
    done = invoke_cli(["init", "--unattended", "--kind", "sample", *options], {}, tmp_path)
    assert done.code == 0, done.text
    assert "CLIENT_SECRET=hush-h\u00fcsh\n" in (tmp_path / ".env").read_text(encoding="utf-8")


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\x00\x01\x02", "is not text")])
def test_secret_file_without_a_secret_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(content)
    done = invoke_cli(["init", "--unattended", "--kind", "sample", "--supplier-key-file", "secret"], {}, tmp_path)
    assert (done.code, said in done.err) == (2, True), done.text
    assert "The file secret given by --supplier-key-file" in done.err


def test_last_words_name_the_settings_file_that_was_written(tmp_path: Path) -> None:
    options = ["--kind", "sample", "--no-rehearse", "--env-file", "test.env"]
    done = invoke_cli(["init", "--unattended", *options], {}, tmp_path)
    assert "d2i-csc-api status --env-file test.env shows the table" in done.out


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_person_at_a_terminal_is_asked_and_a_wrong_value_is_asked_again(tmp_path: Path) -> None:
    try:
        ours, theirs = os.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminal")
    process = subprocess.Popen(
        [sys.executable, "-m", "api_pipeline", "init"],
        env=clean_environment({}),
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        text = converse(ours, ANSWERS)
        code = process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert code == 0, text
    assert "LA_CODE: expected three digits" in text
    assert "LA_CODE=845" in (tmp_path / ".env").read_text()
    assert "4. The rehearsal" not in text


# Each prompt with the answer to it, in their order; a wrong LA code comes first.
ANSWERS = (
    ("has the staging table?", "6"),
    ("Staging table [", ""),
    ("three digits:", "84"),
    ("three digits:", "845"),
    ("(API endpoint)", ""),
    ("token endpoint)", ""),
    ("OAuth Client ID", ""),
    ("OAuth Scope", ""),
    ("(client secret)", ""),
    ("(supplier key)", ""),
    ("Rehearse now", "n"),
)


def converse(terminal: int, answers: Sequence[tuple[str, str]]) -> str:
    """Type each answer once its prompt is there, and return all that was shown."""
    shown, seen = "", 0
    waiting = list(answers)
    while select.select([terminal], [], [], 20)[0]:
        try:
            piece = os.read(terminal, 65_536).decode("utf-8", "replace")
        except OSError:
            break  # Linux ends a terminal that nobody holds any more so
        shown += piece
        while waiting and (place := shown.find(waiting[0][0], seen)) >= 0 and shown.rstrip(" ").endswith(":"):
            seen = place + len(waiting[0][0])
            os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
            shown += "\n"
    return shown


@pytest.mark.parametrize("value", ["plain", "a #b", "'quoted'", '"both\' kinds"', "#x", "C:\\new\\table", "a\\' #b"])
def test_value_is_read_back_from_the_file_as_it_was_given(value: str, tmp_path: Path) -> None:
    write_env(tmp_path / ".env", {"SUPPLIER_KEY": value, "LA_CODE": "845"})
    assert env_text({"LA_CODE": "845"}).count("LA_CODE") == 1


def test_settings_file_stays_as_it_was_where_the_new_one_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("LA_CODE=845\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="was not written"):
        write_env(path, {"SUPPLIER_KEY": "two\nlines", "LA_CODE": "846"})
    assert {one.name: one.read_text(encoding="utf-8") for one in tmp_path.iterdir()} == {".env": "LA_CODE=845\n"}


def test_settings_file_stays_where_it_is_until_the_new_one_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text("LA_CODE=845\n", encoding="utf-8")
    replace = Path.replace

    def refused(source: Path, target: Path) -> Path:
        if source.name.endswith(".new"):
            assert path.read_text(encoding="utf-8") == "LA_CODE=845\n", "a kill would leave no settings file"
            raise PermissionError(13, "as Windows says while a virus scanner reads it")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(SettingsError, match="cannot be written"):
        write_env(path, {"LA_CODE": "846"})
    assert {one.name: one.read_text(encoding="utf-8") for one in tmp_path.iterdir()} == {".env": "LA_CODE=845\n"}


def test_no_part_of_a_copy_is_left_of_the_settings_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("CLIENT_SECRET=of-last-year\n", encoding="utf-8")
    on_disk = os.fsync

    def fills_up(descriptor: int) -> None:
        if (tmp_path / ".env.bak").exists():
            raise OSError(28, "No space left on device")
        on_disk(descriptor)

    monkeypatch.setattr(os, "fsync", fills_up)
    with pytest.raises(SettingsError, match="No space left"):
        write_env(tmp_path / ".env", {"LA_CODE": "846"})
    assert [one.name for one in tmp_path.iterdir()] == [".env"]


def test_settings_file_is_replaced_once_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert write_env(path, {"LA_CODE": "845"}) is None
    kept = write_env(path, {"LA_CODE": "846"})
    assert sorted(one.name for one in tmp_path.iterdir()) == [".env", ".env.bak"]
    assert kept is not None
    assert ("LA_CODE=845" in kept.read_text("utf-8"), "LA_CODE=846" in path.read_text("utf-8")) == (True, True)
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600
