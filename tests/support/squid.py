"""A real proxy, squid, started with a configuration and a port of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.databases import missing
from tests.support.ports import HERE, free_port
from tests.support.tls import Authority

_STARTUP_S = 30.0
_NOTE_S = 10.0
_MARK = ".mark.invalid:443"
_HELPERS = (Path("/usr/lib/squid"), Path("/usr/lib64/squid"))
_ATTEMPTS = 3

# A name that this machine's DNS does not know and every proxy here does, as it is in a council.
BEHIND = "receiver.invalid"
USER, PASSWORD = "operator", "pass/word+1 %"


@dataclass(frozen=True, slots=True)
class Squid:
    """A running proxy and the log of what went through it."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        """The value for PROXY_URL, without user and password."""
        return f"http://{HERE}:{self.port}"

    def requests(self) -> list[str]:
        """Return the notes of a plain HTTP proxy on what was asked of it, as `TCP_TUNNEL/200 CONNECT HOST:PORT`.

        Those of tunnels are written when they end. A proxy answers first and notes it then, so a request of our own is
        made and its note waited for: what was answered before it is noted by then.
        """
        mark = f"{uuid.uuid4()}{_MARK}"
        with socket.create_connection((HERE, self.port), timeout=_NOTE_S) as asking:
            asking.sendall(f"CONNECT {mark} HTTP/1.0\r\n\r\n".encode("ascii"))
            asking.recv(1)
        until = time.monotonic() + _NOTE_S
        while not any(note.endswith(mark) for note in self._notes()):
            assert time.monotonic() < until, f"the proxy noted nothing within {_NOTE_S} s"
            time.sleep(0.02)
        return [note for note in self._notes() if not note.endswith(_MARK)]

    def tunnelled(self, place: str) -> int:
        """Return how many tunnels to `HOST:PORT` there were, once the last of them is noted: that is when it ends."""
        until = time.monotonic() + _NOTE_S
        while time.monotonic() < until and self._notes()[-1:] != [f"TCP_TUNNEL/200 CONNECT {place}"]:
            time.sleep(0.02)
        return self._notes().count(f"TCP_TUNNEL/200 CONNECT {place}")

    def _notes(self) -> list[str]:
        lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True) if self.log.exists() else []
        notes = [line.split()[3:7] for line in lines if line.endswith("\n")]
        return [f"{result} {method} {place}" for result, _, method, place in notes if method != "-"]


@contextmanager
def open_proxy(hosts: Mapping[str, str] | None = None) -> Iterator[Squid]:
    """Start a proxy that lets everybody through. `hosts` are names that it alone knows, with their addresses."""
    known = "".join(f"{address} {name}\n" for name, address in (hosts or {}).items())
    lines = ["http_port {port}", "http_access allow all"]
    with _running(lines, {"hosts": f"127.0.0.1 localhost\n{known}"}) as proxy:
        yield proxy


@contextmanager
def proxy_with_password() -> Iterator[Squid]:
    """Start a proxy that lets USER with PASSWORD through, by basic authentication."""
    lines = [
        "http_port {port}",
        f"auth_param basic program {_helper('basic_ncsa_auth')} {{folder}}/passwords",
        "auth_param basic children 1",
        "acl known proxy_auth REQUIRED",
        "http_access allow known",
        "http_access deny all",
    ]
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "-stdin"], input=PASSWORD, capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    with _running(lines, {"passwords": f"{USER}:{hashed}\n"}) as proxy:
        yield proxy


@contextmanager
def proxy_for_windows_accounts(*, keeps_alive: bool = True) -> Iterator[Squid]:
    """Start a proxy that asks for NTLM and takes any account that speaks it: squid's own fake of a domain.

    `keeps_alive` is whether it keeps a connection on which it asked for a login.
    """
    lines = [
        "http_port {port}",
        f"auth_param ntlm program {_helper('ntlm_fake_auth')}",
        "auth_param ntlm children 1",
        f"auth_param ntlm keep_alive {'on' if keeps_alive else 'off'}",
        "acl known proxy_auth REQUIRED",
        "http_access allow known",
        "http_access deny all",
    ]
    with _running(lines) as proxy:
        yield proxy


@contextmanager
def forbidding_proxy() -> Iterator[Squid]:
    """Start a proxy that lets nobody through to anywhere."""
    with _running(["http_port {port}", "http_access deny all"]) as proxy:
        yield proxy


@contextmanager
def secured_proxy(files: tuple[Path, Path]) -> Iterator[Squid]:
    """Start a proxy that is itself spoken to by TLS, with this certificate and key, and lets everybody through."""
    lines = ["https_port {port} tls-cert={folder}/own.pem", "http_access allow all"]
    with _running(lines, {"own.pem": "".join(file.read_text("ascii") for file in files)}) as proxy:
        yield proxy


@contextmanager
def inspecting_proxy(own: Authority, trusted: Path) -> Iterator[Squid]:
    """Start a proxy that opens TLS on its way: it shows certificates of `own`, and trusts a PEM file itself."""
    made = _helper("security_file_certgen")
    lines = [
        "http_port {port} ssl-bump tls-cert={folder}/own.pem generate-host-certificates=on "
        "dynamic_cert_mem_cache_size=4MB",
        f"sslcrtd_program {made} -s {{folder}}/certificates -M 4MB",
        "sslcrtd_children 1 startup=1 idle=1",
        "tls_outgoing_options cafile={folder}/trusted.pem",
        "ssl_bump bump all",
        "http_access allow all",
    ]
    files = {
        "own.pem": own.pem.read_text("ascii") + own.ca.private_key_pem.bytes().decode("ascii"),
        "trusted.pem": trusted.read_text("ascii"),
    }
    with _running(lines, files, [str(made), "-c", "-s", "{folder}/certificates", "-M", "4MB"]) as proxy:
        yield proxy


@contextmanager
def _running(
    lines: Sequence[str], files: Mapping[str, str] | None = None, prepare: Sequence[str] = ()
) -> Iterator[Squid]:
    program = _program()
    folder = Path(tempfile.mkdtemp(prefix="d2i-csc-api-squid-"))
    try:
        for name, text in {"hosts": f"127.0.0.1 localhost {BEHIND}\n", **(files or {})}.items():
            (folder / name).write_text(text, encoding="utf-8")
        if prepare:
            command = [part.format(folder=folder) for part in prepare]
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        _hand_over(folder)
        process, proxy = _start(program, folder, lines)
        try:
            yield proxy
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program() -> str:
    found = shutil.which("squid") or shutil.which("squid", path="/usr/sbin:/usr/local/sbin")
    if found is None or sys.platform == "win32":
        missing("the proxy squid is not installed (Debian: squid-openssl)")
    return found


def _helper(name: str) -> Path:
    found = next((folder / name for folder in _HELPERS if (folder / name).exists()), None)
    return found or missing(f"squid's {name} is not installed (Debian: squid-openssl)")


def _hand_over(folder: Path) -> None:
    """Let squid, which gives up being root, have its folder."""
    if sys.platform != "win32" and os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "proxy", "proxy")


def _start(program: str, folder: Path, lines: Sequence[str]) -> tuple[subprocess.Popen[bytes], Squid]:
    for _ in range(_ATTEMPTS):
        proxy = Squid(free_port(), folder / "access.log")
        always = [
            *("visible_hostname proxy.test", "pid_filename none", "cache deny all", "shutdown_lifetime 0 seconds"),
            *("access_log stdio:{folder}/access.log", "cache_log {folder}/cache.log", "coredump_dir {folder}"),
            *("pinger_enable off", "max_filedescriptors 1024", "forwarded_for delete", "cache_effective_user proxy"),
            *("connect_timeout 5 seconds", "dns_timeout 1 seconds", "hosts_file {folder}/hosts"),
        ]
        text = "\n".join([*lines, *always]).replace("{port}", f"{HERE}:{proxy.port}").replace("{folder}", str(folder))
        (folder / "squid.conf").write_text(f"{text}\n", encoding="utf-8")
        process = subprocess.Popen(
            [program, "-N", "-f", str(folder / "squid.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if _listens(proxy, process):
            return process, proxy
        _stop(process)
    log = folder / "cache.log"
    return missing(
        f"squid did not start: {log.read_text(errors='replace')[-600:] if log.exists() else 'it left no log'}"
    )


def _listens(proxy: Squid, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _STARTUP_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((HERE, proxy.port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=20)
