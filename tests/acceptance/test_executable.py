"""The packaged executable, driven as on a server that has nothing else: no Python, no PATH, no home."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from api_pipeline import __version__
from api_pipeline.cli import cli
from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.settings.definitions import SETTINGS
from tests.support.commands import ROOT, Completed
from tests.support.databases import TestDatabase, missing
from tests.support.staging import child, fill, row_of, staged, table_rows
from tests.support.tls import authority, secured_server
from tests.support.world import live_settings

NAME = "csc_api_pipeline.exe" if os.name == "nt" else "csc_api_pipeline"
BUILT = ROOT / "dist" / "exe" / NAME
# Windows starts no program without the first; the others say where drivers are registered, if not in the usual place.
_KEPT = ("SYSTEMROOT", "ODBCINI", "ODBCSYSINI", "ODBCINSTINI")
_CHARACTER_MAP = Path("/usr/share/i18n/charmaps/CP1252.gz")


@dataclass(frozen=True, slots=True)
class Program:
    """The executable, in an empty folder that it is started in."""

    path: Path
    folder: Path
    temporary: Path

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that it is started with: nothing of the developer's."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        place = str(self.temporary)
        return {**kept, "TMPDIR": place, "TEMP": place, "TMP": place, **settings}

    def run(self, *args: str, encoding: str = "utf-8", **settings: str) -> Completed:
        """Run it to its end; with `encoding`, what it printed must be of that code page."""
        done = subprocess.run(
            [self.path, *args],
            env=self.environment(settings),
            cwd=self.folder,
            input=b"",
            capture_output=True,
            timeout=120,
        )
        return Completed(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))

    @contextmanager
    def started(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Start it, and end it by the signal of Ctrl-C."""
        process = subprocess.Popen(
            [self.path, *args],
            env=self.environment({}),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            yield process
        finally:
            # The group of a new console is told by Break; it takes Ctrl-C from nobody.
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
            process.communicate(timeout=30)


def executable() -> Path:
    path = Path(os.environ.get("CSC_EXECUTABLE") or BUILT)
    if not path.is_file():
        missing("there is no executable; scripts/build-exe makes it")
    return path.resolve()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder, temporary = tmp_path / "empty", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    return Program(executable(), folder, temporary)


def test_help_and_version_need_and_leave_nothing(program: Program) -> None:
    listed = program.run("--help")
    assert (listed.code, listed.err) == (0, "")
    assert all(f"  {name} " in listed.out for name in cli.entries)
    assert __version__ in program.run("--version").out
    assert list(program.folder.iterdir()) == []
    assert list(program.temporary.iterdir()) == []


@pytest.mark.parametrize("name", cli.entries)
def test_every_command_is_packed(program: Program, name: str) -> None:
    shown = program.run(name, "--help")

    assert (shown.code, shown.err) == (0, "")
    assert f"d2i-csc-api {name}" in shown.out


def test_demo_goes_from_nothing_to_receipts(program: Program) -> None:
    done = program.run("demo", "--children", "30")

    assert (done.code, done.err) == (0, "")
    assert re.search(r"unchanged +sent +\d+", done.out)
    assert (program.folder / "d2i-csc-api-demo" / "demo.db").is_file()


@pytest.mark.parametrize("database", ["sqlite", "sqlite-odbc", "postgresql-odbc"], indirect=True)
def test_first_days_of_a_council_from_tables_to_report(
    program: Program, database: TestDatabase, server: SimulatorServer
) -> None:
    settings = {**database.settings, **live_settings(server)}
    printed = program.run("deploy-schema", **settings)
    assert (printed.code, "CREATE TABLE" in printed.out) == (0, True)
    assert program.run("deploy-schema", "--apply", **settings).code == 0
    fill(database, database.table, [staged("1001"), staged("1002"), staged("wrong", child("wrong", nickname="x"))])

    smoke = program.run("smoke", **settings)
    assert smoke.code == 0, smoke.text
    checked = program.run("validate", **settings)
    assert (checked.code, "Checked 3 payloads" in checked.out) == (1, True), checked.text
    night = program.run(**settings)
    assert night.code == 1, night.text
    assert {row["person_id"]: row["submission_status"] for row in table_rows(database, database.table)} == {
        "1001": "sent",
        "1002": "sent",
        "wrong": "error",
    }
    assert set(server.simulator.all_held()) == {"1001", "1002"}
    status = program.run("status", **settings)
    assert status.code == 0, status.text
    assert re.search(r"error +1\b", status.out)
    report = program.run("report", **settings)
    assert report.code == 0, report.text
    (page,) = program.folder.glob("csc-api-*.html")
    assert "</html>" in page.read_text(encoding="utf-8")


def test_two_executables_rehearse_a_night_with_each_other(program: Program) -> None:
    settings = {"DB_CONNECTION_STRING": "sqlite:///rehearsal.db", "TABLE_NAME": "ssd_api_data_staging_anon"}
    assert program.run("deploy-schema", "--apply", **settings).code == 0
    with program.started("simulate-api", "--port", "0") as receiver:
        assert receiver.stdout is not None
        lines = [receiver.stdout.readline() for _ in range(8)]
        told = dict(line.strip().split("=", 1) for line in lines if "=" in line)
        assert set(told) <= {setting.name for setting in SETTINGS}
        done = program.run("run", "--live", **settings, **told)
    assert done.code == 0, done.text
    assert "TESTING" not in done.out


@pytest.mark.parametrize("name", [".env", "env.txt"])
def test_settings_beside_the_executable_are_found_from_anywhere(
    program: Program, tmp_path: Path, server: SimulatorServer, name: str
) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    moved = Program(Path(shutil.copy2(program.path, installed / NAME)), program.folder, program.temporary)
    settings = {**live_settings(server), "DB_CONNECTION_STRING": f"sqlite:///{installed / 'staging.db'}"}
    settings["TABLE_NAME"] = "ssd_api_data_staging_anon"
    (installed / name).write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")

    assert moved.run("deploy-schema", "--apply").code == 0
    done = moved.run()

    assert done.code == 0, done.text
    assert "SAMPLE1" in server.simulator.all_held()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_certificate_of_the_systems_own_authority_is_trusted(
    program: Program, deployed: TestDatabase, tmp_path: Path
) -> None:
    ours = authority(tmp_path)
    fill(deployed, deployed.table, [staged("1001")])
    with secured_server(ours.issue()) as server:
        settings = {**deployed.settings, **live_settings(server)}
        refused = program.run("run", **settings)
        assert refused.code == 5, refused.text
        if sys.platform != "linux":
            return  # elsewhere an authority can only be added to the store of the whole machine
        accepted = program.run("run", **settings, SSL_CERT_FILE=str(ours.pem))
    assert accepted.code == 0, accepted.text
    assert row_of(deployed, deployed.table, "1001")["submission_status"] == "sent"


def test_back_ends_of_the_credential_store_are_packed(program: Program) -> None:
    chosen = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    done = subprocess.run(
        [program.path, "secrets", "set", "CLIENT_SECRET"],
        env=program.environment(chosen),
        cwd=program.folder,
        input="invented\ninvented\n",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )

    # This back end forgets what it is given: only one that was really asked can be found out.
    assert (done.returncode, "did not keep CLIENT_SECRET" in done.stderr) == (2, True), done.stderr


def test_letters_that_code_page_1252_lacks_do_not_stop_it(program: Program, tmp_path: Path) -> None:
    page = {} if os.name == "nt" else code_page_1252(tmp_path)
    settings = "DB_CONNECTION_STRING=sqlite:///x.db\nTABLE_NAME=größe-ł\n"
    (program.folder / ".env").write_text(settings, encoding="utf-8")

    done = program.run("status", encoding="cp1252", **page)

    assert done.code == 2
    assert r"größe-\u0142" in done.err


def code_page_1252(folder: Path) -> dict[str, str]:
    """Make a language environment with that code page, and return the variables that choose it."""
    localedef = shutil.which("localedef")
    if localedef is None or not _CHARACTER_MAP.is_file():
        missing("code page 1252 is not installed (Debian's package locales)")
    character_map = folder / "CP1252"
    character_map.write_bytes(gzip.decompress(_CHARACTER_MAP.read_bytes()))
    # It warns that the page is not a superset of ASCII, and then makes it all the same.
    made: Sequence[str] = [
        localedef,
        "--quiet",
        "-c",
        "-f",
        str(character_map),
        "-i",
        "en_GB",
        f"{folder}/en_GB.CP1252",
    ]
    subprocess.run(made, check=False, capture_output=True)
    return {"LOCPATH": str(folder), "LC_ALL": "en_GB.CP1252"}
