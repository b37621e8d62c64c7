"""Serve a simulator over real HTTP on this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.sandbox.simulator.core import Simulator
from api_pipeline.sandbox.simulator.http_handler import Handler
from api_pipeline.sandbox.simulator.shell import Shell
from api_pipeline.settings.safety import is_loopback_host

_BACKLOG = 128
_HANDSHAKE_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0


Served = TypeVar("Served", bound=Shell[Any])
_Server = TypeVar("_Server", bound="LoopbackServer[Any]")


class LoopbackServer(Generic[Served]):
    """Serve `simulator` on a loopback address while it is entered as a context manager.

    `port` 0 takes a free one. With `certfile` and `keyfile` (PEM) it speaks TLS. The state is the simulator's: after
    `die`, another server on the same port goes on where this one ended. Errors: SettingsError for an address that is
    not this machine's own or is not free.
    """

    def __init__(
        self,
        simulator: Served,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certfile: Path | None = None,
        keyfile: Path | None = None,
    ) -> None:
        self.simulator = simulator
        self.stopping = threading.Event()
        self._tls = _tls_context(certfile, keyfile) if certfile else None
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._listener = listen(host, port)
        self._address = self._listener.getsockname()
        self.simulator.resume()
        self._acceptor = threading.Thread(target=self._accept, name="simulator-accept", daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._address[1])

    @property
    def origin(self) -> str:
        """Scheme, host and port, under which everything stands (also `/_control/`)."""
        host = self._address[0]
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self: _Server) -> _Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and wait until each of its threads has ended."""
        self.die()
        self._acceptor.join(_STOP_TIMEOUT_S)
        give_up_at = time.monotonic() + _STOP_TIMEOUT_S
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))

    def die(self) -> None:
        """Stop listening and close every connection, as a receiver does that dies; wait for nothing."""
        with self._lock:
            if self.stopping.is_set():
                return
            self.stopping.set()
            connections = list(self._connections)
        # Not every system wakes a thread out of `accept` when the socket is closed; a visitor always does.
        with contextlib.suppress(OSError):
            socket.create_connection(self._address[:2], timeout=1.0).close()
        self._listener.close()
        for connection in connections:
            _shut(connection)
        # Only now: what is woken from its latency must find nobody left to answer.
        self.simulator.interrupt()

    def wait_for_client_to_go(self, connection: socket.socket) -> None:
        """Send nothing to a client until it closes the connection or the server ends."""
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                continue

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self.stopping.is_set():
                    connection.close()
                    return
                thread = threading.Thread(target=self._serve, args=(connection,), name="simulator", daemon=True)
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            # A client that has gone, or does not trust the certificate, is not worth a line.
            with contextlib.suppress(OSError, ValueError):
                connection = self._secured(plain)
                Handler(connection, connection.getpeername(), self)  # type: ignore[arg-type] # gives what Handler uses
        finally:
            _shut(connection)
            connection.close()
            with self._lock:
                self._connections.discard(plain)
                self._threads.discard(threading.current_thread())

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._tls is None:
            return plain
        plain.settimeout(_HANDSHAKE_TIMEOUT_S)
        secured = self._tls.wrap_socket(plain, server_side=True)
        secured.settimeout(None)
        with self._lock:
            self._connections.discard(plain)
            self._connections.add(secured)
            was_late = self.stopping.is_set()
        if was_late:
            _shut(secured)
        return secured


class SimulatorServer(LoopbackServer[Simulator]):
    """Serve the Children's Social Care receiver; the arguments are those of `LoopbackServer`."""

    def __init__(
        self,
        simulator: Simulator | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certfile: Path | None = None,
        keyfile: Path | None = None,
    ) -> None:
        super().__init__(simulator or Simulator(), host=host, port=port, certfile=certfile, keyfile=keyfile)

    @property
    def base_url(self) -> str:
        """Return the value for API_ENDPOINT."""
        return f"{self.origin}{Simulator.base_path}"

    @property
    def token_url(self) -> str:
        """Return the value for TOKEN_ENDPOINT."""
        return f"{self.origin}{Simulator.token_path}"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Errors: SettingsError for an address not this machine's own, or a port in use."""
    if not is_loopback_host(host):
        raise SettingsError(f"The simulator listens on this machine only, not on {host}; name 127.0.0.1 instead.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # On Windows this option would let two programs listen on one port.
    if os.name != "nt":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise SettingsError(
            f"The simulator cannot listen on port {port} of {host} ({reason_of(error)}); name another port, or 0 "
            "for a free one."
        ) from None
    listener.listen(_BACKLOG)
    return listener


def _tls_context(certfile: Path, keyfile: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certfile, keyfile)
    except OSError as error:
        raise SettingsError(
            f"The simulator cannot read its certificate {certfile} ({reason_of(error)}); name a PEM file and its key."
        ) from None
    return context


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
