"""Serves the simulator over real HTTP on this machine's loopback address, and lets other processes steer it."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from api_pipeline.errors import SettingsError
from api_pipeline.simulator.core import BASE_PATH, TOKEN_PATH, Answer, Simulator
from api_pipeline.simulator.faults import Fault, Refusal

_CONTROL = "/_control/"


class SimulatorServer:
    """A simulator on 127.0.0.1; `port` 0 takes a free one. `certificate` (PEM files) makes it HTTPS.

    Use it as a context manager. Errors: SettingsError where the port is taken.
    """

    def __init__(self, simulator: Simulator, port: int = 0, certificate: tuple[Path, Path] | None = None) -> None:
        self.simulator = simulator
        try:
            self._server = _Server(("127.0.0.1", port), simulator)
        except OSError:
            raise SettingsError(f"The port {port} of this machine is taken; name another with --port.") from None
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """What goes into API_ENDPOINT."""
        return f"{self._scheme}://127.0.0.1:{self.port}{BASE_PATH}"

    @property
    def token_url(self) -> str:
        """What goes into TOKEN_ENDPOINT."""
        return f"{self._scheme}://127.0.0.1:{self.port}{TOKEN_PATH}"

    def __enter__(self) -> SimulatorServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes the listening socket and every connection, as a receiver that dies would."""
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stays silent about a client that went away: that is what clients under test do."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Answers as the receiver would, or obeys a control request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(_CONTROL):
            self._send(_control(self.server.simulator, self.path[len(_CONTROL) :], body))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.simulator.handle(self.command, self.path, headers, body))

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Says nothing: requests are kept in `Simulator.requests`."""

    def _send(self, answer: Answer) -> None:
        if answer.is_dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(answer.body)


def _control(simulator: Simulator, what: str, body: bytes) -> Answer:
    """Lets another process ask for faults and ask what is held."""
    value = orjson.loads(body) if body else {}
    result: object
    match what:
        case "fault":
            simulator.faults.add(Fault(**value))
            result = "ok"
        case "refuse":
            simulator.refusals.append(Refusal(**value))
            result = "ok"
        case "clear":
            simulator.faults.clear()
            simulator.refusals.clear()
            result = "ok"
        case "expire-tokens":
            simulator.expire_tokens()
            result = "ok"
        case "held":
            result = simulator.all_held()
        case "requests":
            result = [asdict(seen) for seen in simulator.requests]
        case "counts":
            result = {"accepted": simulator.accepted_count, "requests": len(simulator.requests)}
        case _:
            return Answer(404, b"unknown control request")
    return Answer(200, orjson.dumps(result), {"Content-Type": "application/json"})


def serve(simulator: Simulator, port: int, echo: Callable[[str], None], stop: threading.Event) -> None:
    """Serves until `stop` is set, after saying what to put into the settings. Errors: SettingsError."""
    from api_pipeline.simulator.core import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY

    with SimulatorServer(simulator, port) as server:
        echo("The embedded receiver is serving on this machine only; stop it with Ctrl-C. Its settings:")
        for name, value in (
            ("API_ENDPOINT", server.base_url),
            ("TOKEN_ENDPOINT", server.token_url),
            ("CLIENT_ID", CLIENT_ID),
            ("CLIENT_SECRET", CLIENT_SECRET),
            ("SCOPE", SCOPE),
            ("SUPPLIER_KEY", SUPPLIER_KEY),
            ("LA_CODE", LA_CODE),
        ):
            echo(f"{name}={value}")
        while not stop.wait(0.2):
            pass
