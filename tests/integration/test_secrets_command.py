"""`secrets`, over a real credential store of keyring's interface, and the order in which settings beat each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import CLIENT_SECRET, SimulatorServer
from api_pipeline.sdr.settings_table import SECRETS as SDR_SECRETS
from api_pipeline.settings.definitions import STORED_SECRETS
from tests.support.commands import Completed, clean_environment, run_cli
from tests.support.databases import TestDatabase
from tests.support.diagnosing import Found
from tests.support.keyrings import store_settings
from tests.support.world import live_settings

pytestmark = pytest.mark.slow

SECRET = "hush-hush secret %s \N{POUND SIGN}"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return the file of the credential store."""
    return tmp_path / "store.json"


def secrets(store: Path, *args: str, stdin: str = "", **environment: str) -> Completed:
    return run_cli(["secrets", *args], {**store_settings(store), **environment}, store.parent, stdin=stdin)


def piped(store: Path, data: bytes) -> Completed:
    """Set CLIENT_SECRET to what a program pipes in."""
    command = [sys.executable, "-m", "api_pipeline", "secrets", "set", "CLIENT_SECRET"]
    done = subprocess.run(command, env=clean_environment(store_settings(store)), input=data, capture_output=True)
    return Completed(done.returncode, done.stdout.decode(), done.stderr.decode())


def kept(store: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    return found


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_secrets_of_schools_are_read_from_a_file_as_windows_writes_it(encoding: str, store: Path) -> None:
    (store.parent / "schools.csv").write_bytes("Estab,Secret\r\n9990001,h\u00fcsh\r\n".encode(encoding))
    done = run_cli(["xporter", "schools", "add", "--file", "schools.csv"], store_settings(store), store.parent)
    assert (done.code, done.err) == (0, "")
    assert list(kept(store).values()) == ["h\u00fcsh"]


@pytest.mark.parametrize(
    ("line", "said"), [("9990002,", "no secret of school 9990002"), ("9990001,other", "two secrets of school 9990001")]
)
def test_no_secret_of_a_file_is_kept_where_one_line_is_wrong(line: str, said: str, store: Path) -> None:
    (store.parent / "schools.csv").write_text(f"estab,secret\n9990001,hush\n{line}\n", encoding="utf-8")

    done = run_cli(["xporter", "schools", "add", "--file", "schools.csv"], store_settings(store), store.parent)

    assert (done.code, done.out) == (2, "")
    assert f"The file schools.csv has {said}; nothing was stored." in done.err
    assert kept(store) == {}


def test_secret_is_set_listed_and_deleted(store: Path) -> None:
    done = secrets(store, "set", "client_secret", stdin=f"{SECRET}\n")
    assert (done.code, done.err) == (0, "")
    assert done.out == "CLIENT_SECRET is kept in the credential store of this account; other accounts do not see it.\n"
    assert kept(store) == {"d2i-csc-api/CLIENT_SECRET": SECRET}

    assert secrets(store, "list").out == "CLIENT_SECRET\n"
    # Windows PowerShell may put a byte order mark before what it pipes.
    assert secrets(store, "set", "CLIENT_SECRET", stdin=f"\ufeff{SECRET}\n").code == 0
    assert kept(store) == {"d2i-csc-api/CLIENT_SECRET": SECRET}

    done = secrets(store, "delete", "CLIENT_SECRET")
    assert (done.code, done.out) == (0, "CLIENT_SECRET is gone from the credential store of this account.\n")
    assert kept(store) == {}

    done = secrets(store, "delete", "CLIENT_SECRET")
    assert (done.code, done.out) == (0, "CLIENT_SECRET was not in the credential store of this account.\n")
    done = secrets(store, "list")
    assert (done.code, done.out) == (0, "")
    assert done.err == "No secret setting is in the credential store of this account.\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("secret", [SECRET, "letter \u010a whose bytes hold a line end"])
def test_first_line_of_a_file_is_kept_in_every_encoding_of_windows(encoding: str, secret: str, store: Path) -> None:
    done = piped(store, f"{secret}\r\nanother line\r\n".encode(encoding))
    assert (done.code, done.err) == (0, "")
    assert kept(store) == {"d2i-csc-api/CLIENT_SECRET": secret}


def test_letters_of_an_unknown_code_page_are_warned_of(store: Path) -> None:
    # The pound sign of a command prompt.
    done = piped(store, b"\x9c5\r\n")
    assert done.code == 0
    assert done.err.startswith("Warning: What standard input gives for CLIENT_SECRET is not UTF-8")
    assert done.out.startswith("CLIENT_SECRET is kept")


def test_secret_of_the_single_data_return_is_kept_as_well(store: Path) -> None:
    assert set(SDR_SECRETS) <= set(STORED_SECRETS)

    assert secrets(store, "set", "sdr_client_secret", stdin=f"{SECRET}\n").code == 0

    assert kept(store) == {"d2i-csc-api/SDR_CLIENT_SECRET": SECRET}
    assert secrets(store, "list").out == "SDR_CLIENT_SECRET\n"


def test_alias_of_a_setting_is_kept_under_its_own_name(store: Path) -> None:
    secrets(store, "set", "SQL_CONN_STR", stdin="sqlite:///x.db\n")

    assert kept(store) == {"d2i-csc-api/DB_CONNECTION_STRING": "sqlite:///x.db"}


def test_quiet_says_nothing(store: Path) -> None:
    for args in (("set", "SUPPLIER_KEY"), ("delete", "SUPPLIER_KEY"), ("list",)):
        assert secrets(store, *args, "--quiet", stdin="key\n").text == ""


@pytest.mark.parametrize("action", ["set", "delete"])
def test_only_a_secret_setting_is_taken(action: str, store: Path) -> None:
    done = secrets(store, action, "LA_CODE", stdin="x\n")

    assert done.code == 2
    assert done.err.startswith("Error: LA_CODE is not a secret setting; expected one of DB_CONNECTION_STRING")
    assert kept(store) == {}


@pytest.mark.parametrize("action", ["set", "delete"])
@pytest.mark.parametrize("given", [("CLIENT_SECRET", "Hunter2"), ("CLIENT_SECRET=Hunter2",), ("Hunter2",)])
def test_secret_on_the_command_line_is_refused_and_not_printed(
    given: tuple[str, ...], action: str, store: Path
) -> None:
    done = secrets(store, action, *given, stdin="x\n")

    assert done.code == 2
    assert "hunter2" not in done.text.lower()
    assert ("There is more on the line" if len(given) > 1 else "is not a secret setting; expected one of") in done.err
    assert kept(store) == {}


def test_blank_secret_is_refused(store: Path) -> None:
    done = secrets(store, "set", "CLIENT_SECRET", stdin="\n")

    assert (done.code, done.err) == (2, "Error: Nothing was given for CLIENT_SECRET; nothing was stored.\n")


def test_secret_is_never_a_command_line_argument(store: Path) -> None:
    done = secrets(store, "set", "CLIENT_SECRET", "hush")

    assert done.code == 2
    assert kept(store) == {}


@pytest.mark.parametrize("action", [("set", "CLIENT_SECRET"), ("delete", "CLIENT_SECRET"), ("list",)])
def test_machine_without_a_store_says_so(action: tuple[str, ...], store: Path) -> None:
    done = secrets(store, *action, stdin="hush\n", PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")

    assert done.code == 2
    assert "(this machine or account has none that can be used); put the secret into the .env file instead." in done.err
    assert "hush" not in done.text


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of one's own can be made on POSIX only")
def test_secret_is_asked_for_twice_and_without_echo(store: Path) -> None:
    import pty

    environment = clean_environment(store_settings(store))
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(store.parent)
        command = [sys.executable, "-m", "api_pipeline", "secrets", "set", "CLIENT_SECRET"]
        os.execve(sys.executable, command, environment)
    with closing(os.fdopen(terminal, "r+b", buffering=0)) as screen:
        seen = until(screen.read, b"CLIENT_SECRET:")
        screen.write(b"hush-hush\n")
        seen += until(screen.read, b"confirmation:")
        screen.write(b"hush-hush\n")
        seen += until(screen.read, b"do not see it.")
        # The program would not survive the end of its terminal.
        _, status = os.waitpid(process, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert b"hush" not in seen
    assert kept(store) == {"d2i-csc-api/CLIENT_SECRET": "hush-hush"}


def until(read: object, end: bytes) -> bytes:
    assert callable(read)
    seen = b""
    give_up_at = time.monotonic() + 30
    while end not in seen:
        assert time.monotonic() < give_up_at, seen
        seen += read(1024)
    return seen


def opened(folder: Path, **environment: str) -> str:
    """Return the database that `test-db-connection` would open."""
    done = run_cli(["test-db-connection", "--json"], environment, folder)
    steps = {step["name"]: step for step in json.loads(done.out)["steps"]}
    return Found(done.code, steps).steps["settings"]["detail"].removeprefix("embedded database sqlite:///")


def test_environment_beats_store_beats_file(store: Path) -> None:
    (store.parent / ".env").write_text("DB_CONNECTION_STRING=sqlite:///of-file.db\n", encoding="utf-8")
    stored = store_settings(store)
    assert opened(store.parent, **stored) == "of-file.db"

    secrets(store, "set", "DB_CONNECTION_STRING", stdin="sqlite:///of-store.db\n")
    assert opened(store.parent, **stored) == "of-store.db"
    assert opened(store.parent, **stored, DB_CONNECTION_STRING="sqlite:///of-env.db") == "of-env.db"

    secrets(store, "delete", "DB_CONNECTION_STRING")
    assert opened(store.parent, **stored) == "of-file.db"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_option_beats_environment_beats_file(deployed: TestDatabase, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TABLE_NAME=of_file\n", encoding="utf-8")
    settings = {"DB_CONNECTION_STRING": deployed.connection_string}

    def table(*args: str, **environment: str) -> str:
        done = run_cli(["test-schema", "--json", *args], {**settings, **environment}, tmp_path)
        return str(json.loads(done.out)["steps"][0]["detail"]).removeprefix("staging table ")

    assert table() == "of_file"
    assert table(TABLE_NAME="of_env") == "of_env"
    assert table("--table", "of_option", TABLE_NAME="of_env") == "of_option"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_run_sends_with_the_secret_of_the_store(deployed: TestDatabase, store: Path) -> None:
    secrets(store, "set", "CLIENT_SECRET", stdin=f"{CLIENT_SECRET}\n")
    with SimulatorServer() as server:
        settings = {**live_settings(server), **deployed.settings, **store_settings(store)}
        del settings["CLIENT_SECRET"]
        done = run_cli(["test-endpoint"], settings, store.parent)
        without = run_cli(["test-endpoint"], {**settings, "TEST_KEYRING_FILE": str(store) + "2"}, store.parent)

    assert done.code == 0, done.text
    assert without.code == 2
    assert "CLIENT_SECRET is missing" in without.err
    assert CLIENT_SECRET not in done.text


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize(("mode", "is_warned"), [(0o644, True), (0o640, True), (0o600, False)])
def test_settings_file_readable_by_others_gets_a_warning(mode: int, is_warned: bool, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DB_CONNECTION_STRING=sqlite:///x.db\nCLIENT_SECRET=geheim\n", encoding="utf-8")
    file.chmod(mode)
    done = run_cli(["test-db-connection"], {}, tmp_path)

    assert done.code == 3
    assert (f"The settings file {file} holds a secret and may be read by others;" in done.err) is is_warned
