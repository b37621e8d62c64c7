"""A gateway in front of the embedded receiver that does what bad gateways do, over real HTTP, for tests and rehearsals.

It reads requests by itself and writes bytes to the socket, so that it can answer as no honest server would. What it
passes on is answered, and kept, by the `Simulator` behind it: whose ledger tells what was truly accepted.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

import orjson

from api_pipeline.sandbox.simulator.answer import Answer
from api_pipeline.sandbox.simulator.core import Simulator
from api_pipeline.sandbox.simulator.http import listen

_PIECE = 65_536
_DRIP_S = 0.02
_RESET = struct.pack("ii", 1, 0)
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
_REASONS = {200: "OK", 403: "Forbidden", 413: "Payload Too Large", 429: "Too Many Requests", 500: "Server Error"}


class Trick(str, Enum):
    """What befalls one request. Those of the second half have the records accepted all the same."""

    HONEST = "honest"
    LOGIN_PAGE = "login page"
    ERROR_PAGE = "error page"
    THROTTLED = "throttled"
    DROPPED = "dropped"
    INTERIM = "interim"
    MANY_INTERIM = "many interim"
    DROPPED_LATE = "dropped late"
    BROKEN_OFF = "broken off"
    ENDLESS = "endless"
    BOMB = "bomb"
    DRIPPING_HEAD = "dripping head"
    DRIPPING_BODY = "dripping body"
    RECEIPT_TWICE = "receipt twice"
    RECEIPT_MISSING = "receipt missing"
    TWO_ANSWERS = "two answers"


@dataclass(frozen=True, slots=True)
class Habits:
    """What holds for every request to the children endpoint until it is changed.

    `poison` are children whose record makes the whole request fail, with the status (500, 502, 504), or 0 for a lost
    connection. Bodies of more than `largest_body` bytes end in a reset before they are read. `quota` is how many
    requests are passed on before all others, the empty ones too, are 403. `interim` are statuses sent before each
    answer.
    """

    poison: Mapping[str, int] = field(default_factory=dict)
    largest_body: int | None = None
    quota: int | None = None
    interim: tuple[int, ...] = ()


class HostileGateway:
    """Serves on a loopback address while it is entered as a context manager.

    `tricks` befall the requests with records one after another; those that follow are answered by the habits alone.
    Errors: SettingsError for a port that cannot be had.
    """

    def __init__(
        self, simulator: Simulator, habits: Habits | None = None, tricks: Iterable[Trick] = (), *, port: int = 0
    ) -> None:
        self.simulator = simulator
        self.habits = habits or Habits()
        self.requests = 0
        self._tricks = list(tricks)
        self._passed_on = 0
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._is_over = False
        self._listener = listen("127.0.0.1", port)
        self._acceptor = threading.Thread(target=self._accept, name="hostile-gateway", daemon=True)

    def __enter__(self) -> HostileGateway:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_over = True
            connections = list(self._connections)
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), timeout=1.0).close()
        self._listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def base_url(self) -> str:
        """Return the value for API_ENDPOINT."""
        return f"{self.origin}{Simulator.base_path}"

    @property
    def token_url(self) -> str:
        """Return the value for TOKEN_ENDPOINT."""
        return f"{self.origin}{Simulator.token_path}"

    def begin_night(self, habits: Habits, tricks: Sequence[Trick]) -> None:
        """Change the habits, plan new tricks, and count quota and requests from nought."""
        with self._lock:
            self.habits = habits
            self._tricks = list(tricks)
            self._passed_on = 0
            self.requests = 0

    def _accept(self) -> None:
        while not self._is_over:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="hostile-gateway", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, ValueError), connection.makefile("rb") as reader:
                while self._answer_one(connection, reader.readline, reader.read):
                    continue
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _answer_one(
        self, connection: socket.socket, readline: Callable[[], bytes], read: Callable[[int], bytes]
    ) -> bool:
        """Read one request and answer it in some way; False where the connection is over."""
        line = readline()
        if not line:
            return False
        method, path, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (header := readline().strip()) != b"":
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        is_for_children = "children_social_care_data" in path
        if is_for_children and self.habits.largest_body is not None and size > self.habits.largest_body:
            with self._lock:
                self.requests += 1
            return _reset(connection)
        body = read(size)
        if not is_for_children:
            connection.sendall(_spelled(self.simulator.handle(method, path, headers, body)))
            return True
        return self._answer_children(connection, method, path, headers, body)

    def _answer_children(
        self, connection: socket.socket, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        with self._lock:
            self.requests += 1
            habits = self.habits
            is_beyond_quota = habits.quota is not None and self._passed_on >= habits.quota
            self._passed_on += not is_beyond_quota
            has_records = body.strip() != b"[]"
            trick = self._tricks.pop(0) if self._tricks and has_records else Trick.HONEST
        for status in habits.interim:
            connection.sendall(b"HTTP/1.1 %d Interim\r\nLink: </a>; rel=preload\r\n\r\n" % status)
        if is_beyond_quota:
            text = b'{"statusCode": 403, "message": "Out of call volume quota."}'
            connection.sendall(_answer(403, {"Content-Type": "application/json"}, text))
            return True
        poisoned = _poison(body, habits.poison)
        if poisoned is not None:
            if poisoned == 0:
                return _reset(connection)
            connection.sendall(_answer(poisoned, {"Content-Type": "text/html"}, _PAGE))
            return True
        early = _EARLY.get(trick)
        if early is not None:
            return early(connection)
        return _LATE.get(trick, _honest)(connection, self.simulator.handle(method, path, headers, body))


def _poison(body: bytes, poison: Mapping[str, int]) -> int | None:
    if not poison:
        return None
    for record in orjson.loads(body):
        status = poison.get(record.get("la_child_id", "")) if isinstance(record, dict) else None
        if status is not None:
            return status
    return None


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in {"Content-Length": str(len(body)), **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _spelled(answer: Answer) -> bytes:
    return _answer(answer.status, answer.headers, answer.body)


def _reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return False


def _login_page(connection: socket.socket) -> bool:
    connection.sendall(_answer(200, {"Content-Type": "text/html"}, _PAGE))
    return True


def _error_page(connection: socket.socket) -> bool:
    connection.sendall(_answer(502, {"Content-Type": "text/html"}, _PAGE))
    return True


def _throttled(connection: socket.socket) -> bool:
    # Two values of one header, which travel as two lines.
    connection.sendall(_answer(429, {"Retry-After": "0\r\nRetry-After: 0", "Content-Type": "text/html"}, _PAGE))
    return True


def _dropped(connection: socket.socket) -> bool:
    return _reset(connection)


def _honest(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(_spelled(answer))
    return True


def _after_interim(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
    time.sleep(_DRIP_S)
    return _honest(connection, answer)


def _after_many_interim(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" * 100)
    return _honest(connection, answer)


def _dropped_late(connection: socket.socket, _: Answer) -> bool:
    return _reset(connection)


def _broken_off(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(_spelled(answer)[:-7])
    return False


def _endless(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(f"HTTP/1.1 {answer.status} OK\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"%x\r\n%b\r\n" % (_PIECE, b"[" * _PIECE)
    # Endless to whoever reads to the end; who reads no more closes the connection, which ends it.
    for _ in range(4096):
        connection.sendall(piece)
    return False


def _bomb(connection: socket.socket, answer: Answer) -> bool:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    packed = b"".join(packer.compress(b" " * 1_048_576) for _ in range(64)) + packer.flush()
    connection.sendall(_answer(answer.status, {"Content-Encoding": "gzip"}, packed))
    return True


def _dripping_head(connection: socket.socket, answer: Answer) -> bool:
    return _drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Wait: yes\r\n" * 400 + _spelled(answer))


def _dripping_body(connection: socket.socket, answer: Answer) -> bool:
    head, _, body = _spelled(answer).partition(b"\r\n\r\n")
    connection.sendall(head.replace(b"Content-Length: ", b"Content-Length: 9") + b"\r\n\r\n")
    return _drip(connection, body + b" " * 4000)


def _drip(connection: socket.socket, data: bytes) -> bool:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(_DRIP_S)
    return False


def _receipt_twice(connection: socket.socket, answer: Answer) -> bool:
    receipts = _receipts(answer)
    return _honest_receipts(connection, answer, receipts[:1] * max(2, len(receipts)))


def _receipt_missing(connection: socket.socket, answer: Answer) -> bool:
    return _honest_receipts(connection, answer, _receipts(answer)[:-1])


def _two_answers(connection: socket.socket, answer: Answer) -> bool:
    other = [str(uuid.uuid4()) for _ in _receipts(answer)]
    connection.sendall(_spelled(answer) + _answer(200, answer.headers, orjson.dumps(other)))
    return True


def _receipts(answer: Answer) -> list[str]:
    value = orjson.loads(answer.body) if answer.status == 200 else []
    return value if isinstance(value, list) else [value]


def _honest_receipts(connection: socket.socket, answer: Answer, receipts: Sequence[str]) -> bool:
    if answer.status != 200:
        return _honest(connection, answer)
    connection.sendall(_answer(200, {"Content-Type": "application/json"}, orjson.dumps(list(receipts))))
    return True


_EARLY: Mapping[Trick, Callable[[socket.socket], bool]] = {
    Trick.LOGIN_PAGE: _login_page,
    Trick.ERROR_PAGE: _error_page,
    Trick.THROTTLED: _throttled,
    Trick.DROPPED: _dropped,
}
_LATE: Mapping[Trick, Callable[[socket.socket, Answer], bool]] = {
    Trick.INTERIM: _after_interim,
    Trick.MANY_INTERIM: _after_many_interim,
    Trick.DROPPED_LATE: _dropped_late,
    Trick.BROKEN_OFF: _broken_off,
    Trick.ENDLESS: _endless,
    Trick.BOMB: _bomb,
    Trick.DRIPPING_HEAD: _dripping_head,
    Trick.DRIPPING_BODY: _dripping_body,
    Trick.RECEIPT_TWICE: _receipt_twice,
    Trick.RECEIPT_MISSING: _receipt_missing,
    Trick.TWO_ANSWERS: _two_answers,
}
