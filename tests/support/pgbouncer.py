"""A real pooler, PgBouncer, in front of the tests' own PostgreSQL server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyodbc

from tests.support.databases import missing
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer, as_server_user, give_to_server

_STARTUP_S = 20.0
_USUAL = "/usr/sbin"


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running pooler. `server` is the same server as it is reached through the pooler."""

    server: PostgresServer
    process: subprocess.Popen[bytes] = field(repr=False)

    def connection_string(self, direct: str, real: PostgresServer) -> str:
        """Return the connection string `direct`, which leads to `real`, through the pooler instead."""
        return direct.replace(f"PORT={real.port};", f"PORT={self.server.port};")


@contextmanager
def running_pooler(server: PostgresServer, mode: str = "transaction", **settings: object) -> Iterator[Pooler]:
    """Start a pooler in front of a server, and stop it at the end. `settings` are more lines of its configuration."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=_USUAL)
    if program is None:
        missing("PgBouncer is not installed")
    folder = Path(tempfile.mkdtemp(prefix="d2i-csc-api-pooler-"))
    port = free_port()
    try:
        _configure(folder, server, port, {"pool_mode": mode, **settings})
        log = (folder / "log").open("wb")
        with log:
            process = subprocess.Popen(
                as_server_user([program, str(folder / "pooler.ini")]), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            pooler = Pooler(PostgresServer(port, server.user, server.password), process)
            _wait_until_it_answers(pooler)
            yield pooler
        finally:
            # It holds nothing, and some of its versions do not end on the signal that stops the server.
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path, server: PostgresServer, port: int, settings: dict[str, object]) -> None:
    (folder / "users").write_text(f'"{server.user}" "{server.password}"\n', encoding="ascii")
    lines = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": folder / "users",
        "ignore_startup_parameters": "extra_float_digits",
        **settings,
    }
    text = f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
    text += "".join(f"{name} = {value}\n" for name, value in lines.items())
    (folder / "pooler.ini").write_text(text, encoding="ascii")
    give_to_server(folder, *folder.iterdir())


def _wait_until_it_answers(pooler: Pooler) -> None:
    until = time.monotonic() + _STARTUP_S
    while True:
        try:
            pyodbc.connect(pooler.server.connection_string("postgres"), timeout=5).close()
        except pyodbc.Error:
            if pooler.process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
