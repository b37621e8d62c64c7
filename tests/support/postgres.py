"""A PostgreSQL server of the tests' own: its data in a temporary folder, on a free port of the loopback address."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyodbc

from tests.support.ports import free_port

DRIVER = "PostgreSQL Unicode"
_STARTUP_S = 30.0
_PORT_ATTEMPTS = 5
_USUAL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "Program Files/PostgreSQL/*/bin")
# Durability costs time and protects nothing here; parallelism and compilation would only cost start-up. The tests make
# thousands of connections, and the login SCRAM would take 5 ms of CPU for each: theirs is the older MD5.
_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "32MB",
    "max_connections": "120",
    "max_wal_size": "256MB",
    "log_min_messages": "fatal",
}
# For benchmarks: everything as the server comes, durable to the disk; only the address is ours.
AS_A_REAL_SERVER: Mapping[str, str] = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}


class ServerMissing(Exception):
    """PostgreSQL cannot be started here; the text says why."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. `user` owns everything and logs in with `password`."""

    port: int
    user: str
    password: str = field(repr=False)

    def connection_string(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the ODBC connection string of a database on this server."""
        return (
            f"DRIVER={{{DRIVER}}};SERVER=127.0.0.1;PORT={self.port};DATABASE={database};"
            f"UID={user or self.user};PWD={password or self.password}"
        )

    def create_database(self, template: str = "template1") -> str:
        """Make a copy of a database that nobody is connected to, an empty one by default, and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, and end whatever connection to it a test left open."""
        self._administer(
            f"SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'",
            f"DROP DATABASE IF EXISTS {name}",
        )

    def _administer(self, *statements: str) -> None:
        connection = pyodbc.connect(self.connection_string("postgres"), autocommit=True)
        try:
            for statement in statements:
                connection.execute(statement)
        finally:
            connection.close()


@contextmanager
def running_server(settings: Mapping[str, str] = _OPTIONS) -> Iterator[PostgresServer]:
    """Start a server with these settings and stop it again, its data with it. Errors: ServerMissing."""
    folder = _binaries()
    if DRIVER not in pyodbc.drivers():
        raise ServerMissing(f"the ODBC driver {DRIVER} is not installed")
    data = Path(tempfile.mkdtemp(prefix="d2i-csc-api-postgres-"))
    try:
        password = secrets.token_urlsafe(12)
        _initialise(folder, data, password, "md5" if settings is _OPTIONS else "scram-sha-256")
        process, server = _start(folder, data, password, settings)
        try:
            yield server
        finally:
            stop(process)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).parent
    for pattern in _USUAL_FOLDERS:
        root = Path(Path.cwd().anchor)
        folders = sorted(root.glob(pattern.lstrip("/")), key=_version_of)
        if folders:
            return folders[-1]
    raise ServerMissing("no PostgreSQL server is installed (initdb is neither on PATH nor in the usual places)")


def _version_of(folder: Path) -> float:
    digits = "".join(letter for letter in folder.parent.name if letter.isdigit() or letter == ".")
    return float(digits or 0)


def as_server_user(command: Sequence[str]) -> list[str]:
    """Return the command as it must be started: PostgreSQL refuses root, and must die with the tests."""
    setpriv = shutil.which("setpriv")
    if _server_uid() is None:
        return [setpriv, "--pdeathsig", "INT", *command] if setpriv else list(command)
    if setpriv is None:
        raise ServerMissing("PostgreSQL refuses to run as root, and setpriv is not installed")
    user = str(_server_uid())
    return [setpriv, "--reuid", user, "--regid", user, "--clear-groups", "--pdeathsig", "INT", *command]


def _server_uid() -> int | None:
    """Return the user the server runs as where the tests run as root; None where it can run as the tests do."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise ServerMissing("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def give_to_server(*paths: Path) -> None:
    """Make the user that the server runs as the owner of these paths."""
    uid = _server_uid()
    if uid is not None:
        for path in paths:
            os.chown(path, uid, uid)


def _initialise(binaries: Path, data: Path, password: str, login: str) -> None:
    password_file = data / "password"
    password_file.write_text(password, encoding="ascii")
    cluster = data / "cluster"
    give_to_server(data, password_file)
    command = [str(binaries / "initdb"), "-D", str(cluster), "-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync"]
    command += [f"--auth={login}", f"--pwfile={password_file}"]
    made = subprocess.run(as_server_user(command), cwd=data, capture_output=True, text=True, timeout=120)
    if made.returncode != 0:
        raise ServerMissing(f"initdb failed: {made.stderr.strip()}")


def _start(
    binaries: Path, data: Path, password: str, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], PostgresServer]:
    for _ in range(_PORT_ATTEMPTS):
        server = PostgresServer(free_port(), "tester", password)
        command = [str(binaries / "postgres"), "-D", str(data / "cluster"), "-p", str(server.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (data / "server.log").open("wb") as log:
            process = subprocess.Popen(
                as_server_user(command), cwd=data, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if _answers(server, process):
            return process, server
        stop(process)
    raise ServerMissing(f"postgres did not start: {(data / 'server.log').read_text(errors='replace').strip()}")


def _answers(server: PostgresServer, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _STARTUP_S
    while process.poll() is None and time.monotonic() < until:
        try:
            pyodbc.connect(server.connection_string("postgres"), timeout=5).close()
        except pyodbc.Error:
            time.sleep(0.05)
        else:
            return True
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server at once: its data is thrown away next."""
    if process.poll() is None:
        process.terminate() if sys.platform == "win32" else process.send_signal(signal.SIGQUIT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=20)
