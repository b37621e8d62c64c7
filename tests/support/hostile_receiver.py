"""A receiver that means harm, on raw sockets and with a ledger of its own: it shares nothing with the simulator.

It answers the token request and each child's record by a `Reply` that it was given, and honestly where it was given
none. A reply writes to the socket whatever it likes: `Talk` is the socket, and what was asked on it. The replies stand
in `hostile_answers.py`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

TOKEN = "Wj-7781-Kqx.zz"
_PIECE = 65_536
_DRIP_S = 0.02


@dataclass
class Heard:
    """One request as it came. `began` is when its last byte was read, `ended` when the reply was over (monotonic)."""

    path: str
    headers: dict[str, str]
    body: bytes
    children: list[str]
    began: float
    ended: float = 0.0

    @property
    def took_s(self) -> float:
        """How long the client waited, in seconds."""
        return self.ended - self.began


@dataclass
class Talk:
    """A socket and the request that came on it; `receipts` is where an honest part of a reply writes its ledger."""

    connection: socket.socket
    heard: Heard
    receipts: dict[str, list[str]]
    keeps_open: bool = field(default=False)

    def send(self, data: bytes) -> None:
        """Write bytes. Errors: OSError when the client has gone."""
        self.connection.sendall(data)

    def drip(self, data: bytes, gap_s: float = _DRIP_S) -> None:
        """Write bytes one by one, for ever longer than anybody should wait."""
        for byte in data:
            self.send(bytes([byte]))
            time.sleep(gap_s)

    def answer(self, body: bytes, status: int = 200, head: str = "") -> None:
        """Write a whole answer; `head` are further header lines, each with its line end."""
        first = f"HTTP/1.1 {status} Any\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        self.send(first.encode("latin-1") + body)
        self.keeps_open = True

    def wait_until_gone(self) -> None:
        """Say nothing until the client gives up."""
        self.connection.settimeout(60)
        with contextlib.suppress(OSError):
            while self.connection.recv(_PIECE):
                pass

    def new_receipts(self) -> list[str]:
        """Take the records down as accepted, and return a receipt for each."""
        given = []
        for child in self.heard.children:
            receipt = str(uuid.uuid4())
            self.receipts.setdefault(child, []).append(receipt)
            given.append(f"2026-11-21_02:00:00.00_{receipt}.json")
        return given


Reply: TypeAlias = Callable[[Talk], None]


def honest(talk: Talk) -> None:
    """Accept every record."""
    talk.answer(json.dumps(talk.new_receipts()).encode())


def honest_token(talk: Talk) -> None:
    """Give a token."""
    talk.answer(json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}).encode())


class HostileReceiver:
    """Serve on a loopback address while it is entered as a context manager.

    `replies` are by child: the first child of a batch decides. `token` is the reply to every token request,
    and `otherwise` the reply to records that have none of their own.
    """

    def __init__(
        self, replies: Mapping[str, Reply] | None = None, token: Reply = honest_token, otherwise: Reply = honest
    ) -> None:
        self.replies = dict(replies or {})
        self.otherwise = otherwise
        self.pages: dict[str, Reply] = {}
        self.token = token
        self.heard: list[Heard] = []
        self.receipts: dict[str, list[str]] = {}
        self._is_over = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, name="hostile-receiver", daemon=True)

    def __enter__(self) -> HostileReceiver:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), timeout=1.0).close()
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead a run here."""
        origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        return {"API_ENDPOINT": f"{origin}/hostile/1", "TOKEN_ENDPOINT": f"{origin}/token"}

    @property
    def posts(self) -> list[Heard]:
        """The requests with records that came."""
        return [heard for heard in self.heard if heard.children]

    @property
    def token_requests(self) -> list[Heard]:
        """The token requests that came."""
        return [heard for heard in self.heard if heard.path == "/token"]

    def _accept(self) -> None:
        while not self._is_over:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="hostile-receiver", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                while (heard := _read_request(connection)) is not None:
                    self.heard.append(heard)
                    talk = Talk(connection, heard, self.receipts)
                    try:
                        self._reply_to(heard)(talk)
                    finally:
                        heard.ended = time.monotonic()
                    if not talk.keeps_open:
                        return
        finally:
            self._open.discard(connection)

    def _reply_to(self, heard: Heard) -> Reply:
        if heard.path.startswith("/token"):
            return self.token
        if heard.path in self.pages:
            return self.pages[heard.path]
        return self.replies.get(heard.children[0], self.otherwise) if heard.children else honest


def _read_request(connection: socket.socket) -> Heard | None:
    """Return the next request on a connection, None when there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(_PIECE)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(_PIECE)
    children = [record.get("la_child_id", "") for record in json.loads(body)] if body.startswith(b"[") else []
    return Heard(first.split(" ")[1], headers, body, children, time.monotonic())
