"""Read HTTP/1.1 requests from one connection and write what the simulator answers."""

from __future__ import annotations

import socket
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

from api_pipeline.sandbox.simulator.answer import Answer, Ending, error_answer
from api_pipeline.sandbox.simulator.shell import Shell

# A body is read into memory before it is judged; nothing that is tried on one machine needs more.
_LARGEST_BODY = 256 * 1024 * 1024


class Host(Protocol):
    """What a connection asks of the server that it belongs to."""

    @property
    def simulator(self) -> Shell[Any]:
        """Return the service that answers."""

    def wait_for_client_to_go(self, connection: socket.socket) -> None:
        """Send nothing to a client until it closes the connection or the server ends."""

    def die(self) -> None:
        """Stop listening and close every connection."""


class _BadBody(Exception):
    """The request does not say in a readable way how long its body is."""


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive over many requests."""

    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    # One write for the whole answer, instead of one for its head and one for its body.
    wbufsize = -1
    server: Host  # type: ignore[assignment] # our own server is not a socketserver, and gives what is used here

    def _serve(self) -> None:
        simulator = self.server.simulator
        unread = simulator.ending_unread(self.command, self.path)
        if unread is not None:
            self._end(Answer(0, ending=unread))
            return
        try:
            body = self._body()
        except _BadBody:
            self.close_connection = True
            self._write(error_answer(400, "The length of the body cannot be read, or is too large."))
            return
        self._end(simulator.handle(self.command, self.path, _headers(self.headers), body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - the library's names

    def _end(self, answer: Answer) -> None:
        match answer.ending:
            case Ending.ANSWER:
                self._write(answer)
            case Ending.DROP:
                self.close_connection = True
            case Ending.HANG:
                self.close_connection = True
                self.server.wait_for_client_to_go(self.connection)
            case Ending.DIE:
                self.close_connection = True
                self.server.die()
            case Ending.ANSWER_AND_DIE:
                self.close_connection = True
                self._write(answer)
                self.wfile.flush()
                self.server.die()

    def _write(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        has_body = answer.status not in (204, 304)
        if has_body:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(answer.body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = _number(self.headers.get("Content-Length", "0"), 10)
        return self.rfile.read(length)

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := _number(self.rfile.readline(100).partition(b";")[0].decode("latin-1").strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline(3)
            _number(str(len(body)), 10)
        while self.rfile.readline(1000) not in (b"\r\n", b"\n", b""):
            continue
        return bytes(body)

    def handle_expect_100(self) -> bool:
        """Let a careful client send its body; it waits for this before it does."""
        may_go_on = super().handle_expect_100()
        self.wfile.flush()
        return may_go_on

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name
        """Print nothing: requests are in the simulator's log."""


def _number(text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        raise _BadBody from None
    if not 0 <= number <= _LARGEST_BODY:
        raise _BadBody
    return number


def _headers(message: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in message.items()}
