"""A gateway in front of the embedded receiver that does what bad gateways do, over real HTTP, for tests and rehearsals.

It reads requests by itself and writes bytes to the socket, so that it can answer as no honest server would. What it
passes on is answered, and kept, by the `Simulator` behind it: whose ledger tells what was truly accepted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import orjson

from api_pipeline.sandbox.simulator.core import Simulator
from api_pipeline.sandbox.simulator.hostile_tricks import EARLY, LATE, Trick, honest, http_answer, page, reset
from api_pipeline.sandbox.simulator.http import listen


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
    """Serve on a loopback address while it is entered as a context manager.

    `tricks` are for the requests with records, one after another; those that follow are answered by the habits alone.
    Errors: SettingsError for a port that is not free.
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
        self.stopping = threading.Event()
        self._listener = listen("127.0.0.1", port)
        self._acceptor = threading.Thread(target=self._accept, name="hostile-gateway", daemon=True)

    def __enter__(self) -> HostileGateway:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self.stopping.set()
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
        """Return scheme, host and port."""
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
        """Change the habits, plan new tricks, and count quota and requests from 0."""
        with self._lock:
            self.habits = habits
            self._tricks = list(tricks)
            self._passed_on = 0
            self.requests = 0

    def _accept(self) -> None:
        while not self.stopping.is_set():
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
            return reset(connection)
        body = read(size)
        if not is_for_children:
            return honest(connection, self.simulator.handle(method, path, headers, body))
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
            connection.sendall(http_answer(403, {"Content-Type": "application/json"}, text))
            return True
        poisoned = _poison(body, habits.poison)
        if poisoned is not None:
            return page(connection, poisoned) if poisoned else reset(connection)
        early = EARLY.get(trick)
        if early is not None:
            return early(connection)
        return LATE.get(trick, honest)(connection, self.simulator.handle(method, path, headers, body))


def _poison(body: bytes, poison: Mapping[str, int]) -> int | None:
    if not poison:
        return None
    for record in orjson.loads(body):
        status = poison.get(record.get("la_child_id", "")) if isinstance(record, dict) else None
        if status is not None:
            return status
    return None
