"""What the workflows do, done here: bill of materials, release.zip, wheelhouse, audit, publication, smoke run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from api_pipeline import __version__
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from tests.acceptance.test_executable import executable
from tests.support.commands import ROOT
from tests.support.databases import missing
from tests.support.effort import IS_LONG

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the release is put together on Linux")

WHEEL = f"csc_api_pipeline-{__version__}-py3-none-any.whl"
SDIST = f"csc_api_pipeline-{__version__}.tar.gz"


def script(call: str, *args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's scripts to its end."""
    return subprocess.run(
        [ROOT / call, *args], env={**os.environ, **settings}, cwd=ROOT, capture_output=True, encoding="utf-8"
    )


def on_the_network(done: subprocess.CompletedProcess[str]) -> None:
    """Skip the test where the package index could not be reached, and fails it where the script failed otherwise."""
    unreached = ("NewConnectionError", "Temporary failure in name resolution", "Could not find a version", "ProxyError")
    if done.returncode and any(sign in done.stderr for sign in unreached):
        missing("the package index cannot be reached")
    assert done.returncode == 0, done.stderr


def packages(folder: Path) -> Path:
    """Lay out a `dist` as the workflow's jobs leave it, with invented contents."""
    dist = folder / "dist"
    (dist / "exe").mkdir(parents=True)
    for name in (WHEEL, SDIST, "sbom.cdx.json", "pre_flight_checks.zip", "exe/csc_api_pipeline.exe"):
        (dist / name).write_bytes(f"contents of {name}".encode())
    return dist


def sums(text: str) -> dict[str, str]:
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_release(dist: Path, out: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return script("scripts/make-release", "--dist", str(dist), "--out", str(out), *args)


def test_release_holds_what_a_council_needs_and_the_sum_of_each_file(tmp_path: Path) -> None:
    dist, out = packages(tmp_path), tmp_path / "release"

    done = make_release(dist, out, "--tag", f"v{__version__}")

    assert done.returncode == 0, done.stderr
    told = sums((out / "SHA256SUMS.txt").read_text(encoding="utf-8"))
    extras = {"sbom.cdx.json", "pre_flight_checks.zip"}
    assert told.keys() == {WHEEL, SDIST, "csc_api_pipeline.exe", "release.zip", *extras}
    assert told == {name: digest((out / name).read_bytes()) for name in told}
    with zipfile.ZipFile(out / "release.zip") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert {WHEEL, SDIST, ".env.example", "README.md", *extras} <= held.keys()
    inside = sums(held.pop("SHA256SUMS.txt").decode())
    assert inside.pop("csc_api_pipeline.exe") == told["csc_api_pipeline.exe"]
    assert inside == {name: digest(data) for name, data in held.items()}
    assert held["sql/sqlserver_2012.sql"].decode() == ddl.render(Dialect.SQLSERVER, "ssd_api_data_staging", "2012")
    assert {name for name in held if name.startswith("sql/")} == {
        *("sql/sqlserver_2012.sql", "sql/sqlserver_2016.sql", "sql/postgresql.sql", "sql/sqlite.sql")
    }
    for path in (ROOT / "docs" / "schedules").glob("csc*"):
        assert held[f"schedules/{path.name}"] == path.read_bytes()
    assert {"schedules/csc-api.xml", "schedules/csc-api.service", "schedules/csc-api.timer"} <= held.keys()
    assert (out / "release-notes.md").read_text(encoding="utf-8").strip()


def test_release_made_again_elsewhere_is_the_same_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    made = [make_release(packages(tmp_path / place), tmp_path / place / "release") for place in ("here", "there")]
    again = make_release(tmp_path / "here" / "dist", tmp_path / "here" / "release")

    assert [done.returncode for done in (*made, again)] == [0, 0, 0]
    assert made[0].stdout == made[1].stdout == again.stdout


def test_release_is_not_made_for_a_tag_that_is_not_its_version(tmp_path: Path) -> None:
    done = make_release(packages(tmp_path), tmp_path / "release", "--tag", "v99.0.0")

    assert (done.returncode, f"not the package's version {__version__}" in done.stderr) == (1, True)
    assert not (tmp_path / "release").exists()


def test_release_is_not_made_without_the_package_nor_around_anything_else(tmp_path: Path) -> None:
    dist = packages(tmp_path)
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "mine.txt").write_text("mine")

    kept = make_release(dist, tmp_path / "release")
    (dist / "sbom.cdx.json").unlink()
    unlisted = make_release(dist, tmp_path / "other")
    (dist / WHEEL).unlink()
    incomplete = make_release(dist, tmp_path / "other")

    assert (kept.returncode, "mine.txt" in kept.stderr) == (1, True)
    assert (tmp_path / "release" / "mine.txt").read_text() == "mine"
    assert (unlisted.returncode, "scripts/make-sbom" in unlisted.stderr) == (1, True)
    assert (incomplete.returncode, "scripts/build" in incomplete.stderr) == (1, True)
    assert not (tmp_path / "other").exists()


def test_all_release_files_but_the_notes_are_published(tmp_path: Path) -> None:
    # GitHub's own command cannot be run here: this one writes down what it is told to do.
    called, checkout = tmp_path / "called.json", tmp_path / "checkout"
    stand_in = tmp_path / "gh"
    write = f"import json, sys; json.dump(sys.argv[1:], open({str(called)!r}, 'w'))"
    stand_in.write_text(f"#!{sys.executable}\n{write}\n", encoding="utf-8")
    stand_in.chmod(0o755)
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "publish-release", checkout / "scripts")
    make_release(packages(tmp_path), checkout / "release")

    done = subprocess.run(
        [checkout / "scripts/publish-release", "v1.2.3"], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )

    assert done.returncode == 0
    arguments = json.loads(called.read_text(encoding="utf-8"))
    assert arguments[:3] == ["release", "create", "v1.2.3"]
    files = {argument.removeprefix("release/") for argument in arguments if argument.startswith("release/")}
    assert files == {path.name for path in (checkout / "release").iterdir()}
    assert arguments[-2:] == ["--notes-file", "release/release-notes.md"]


def test_bill_of_materials_names_every_runtime_library_only() -> None:
    made = ROOT / "dist" / "sbom.cdx.json"
    sources = [
        ROOT / "pyproject.toml",
        ROOT / "scripts" / "make-sbom",
        *(ROOT / "packaging").glob("requirements-*.txt"),
    ]
    if not made.exists() or any(path.stat().st_mtime > made.stat().st_mtime for path in sources):
        on_the_network(script("scripts/make-sbom"))
    bill = json.loads(made.read_text(encoding="utf-8"))
    assert bill["metadata"]["component"]["name"] == "csc-api-pipeline"
    parts = {part["name"].lower().replace("_", "-"): part for part in bill["components"]}
    assert {
        "pyodbc",
        "requests",
        "click",
        "orjson",
        "jsonschema-rs",
        "truststore",
        "keyring",
        "pyspnego",
    } <= parts.keys()
    assert not {"pip", "pytest", "pyinstaller", "setuptools"} & parts.keys()
    assert all(part["version"] and part["purl"].startswith("pkg:pypi/") for part in parts.values())


class _Answers(BaseHTTPRequestHandler):
    """A list of vulnerabilities that knows of none, or of one in requests."""

    protocol_version = "HTTP/1.1"
    is_alarmed = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": []}]
        advice = {"id": "INVENTED-1", "summary": "invented", "details": "invented", "affected": affected}
        answer = json.dumps({"vulns": [advice]} if self.is_alarmed and name == "requests" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's word
        return


@contextmanager
def vulnerabilities(*, is_alarmed: bool) -> Iterator[str]:
    handler = type("Handler", (_Answers,), {"is_alarmed": is_alarmed})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.mark.parametrize(("is_alarmed", "code"), [(False, 0), (True, 1)])
def test_audit_fails_only_for_a_library_with_a_known_vulnerability(is_alarmed: bool, code: int) -> None:
    with vulnerabilities(is_alarmed=is_alarmed) as url:
        done = script("scripts/audit", "--vulnerability-service", "osv", "--osv-url", url, NO_PROXY="127.0.0.1")

    if done.returncode != code:
        on_the_network(done)
    assert (done.returncode, "INVENTED-1" in done.stdout) == (code, is_alarmed), done.stdout + done.stderr


@pytest.mark.skipif(not IS_LONG, reason="everything is fetched and installed once more: scripts/test --long does it")
def test_wheelhouse_installs_without_a_network(tmp_path: Path) -> None:
    house = tmp_path / "wheelhouse"
    on_the_network(script("scripts/make-wheelhouse", str(house)))
    venv.create(tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    # Whatever index the machine is set to, none may be asked.
    alone: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1"}

    installed = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install", "--no-compile"),
            *("--no-index", "--find-links", house, "csc-api-pipeline[ntlm]"),
        ],
        env=alone,
        capture_output=True,
        encoding="utf-8",
    )

    assert installed.returncode == 0, installed.stderr
    command = tmp_path / "fresh" / "bin" / "d2i-csc-api"
    for args in (["--help"], ["demo", "--children", "20"]):
        done = subprocess.run([command, *args], env=alone, cwd=tmp_path, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, ""), args


def test_executable_of_a_release_does_what_it_must_before_anybody_gets_it() -> None:
    done = script("scripts/smoke-exe", str(executable()))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "smoke: all passed" in done.stdout
    assert "Result: everything due was accepted" in done.stdout


def test_checks_of_a_councils_own_tables_are_packed(tmp_path: Path) -> None:
    done = script("scripts/make-preflight", str(tmp_path / "checks.zip"))

    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "checks.zip") as archive:
        assert archive.testzip() is None
        assert any(name.endswith(".sql") for name in archive.namelist())


def test_suites_on_sql_server_say_what_they_need_to_be_told() -> None:
    untold = {name: text for name, text in os.environ.items() if not name.startswith("SQLSERVER_")}
    done = subprocess.run([ROOT / "scripts/test-sqlserver"], env=untold, capture_output=True, encoding="utf-8")

    assert (done.returncode, done.stdout) == (1, "")
    assert "SQLSERVER_HOST is not set" in done.stderr
