"""A way to a server that can be cut and restored: what a network, or a server that stops, does to a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Another program may be given the port that was free meanwhile; most give it back soon.
_LONGEST_S = 5.0


class Relay:
    """Pass bytes between whoever connects to `port` on the loopback address and the server on `target`.

    `trouble` is why `restore` failed, for who made it in another thread.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._lost: tuple[bytes, set[int]] = (b"", set())
        self._loses_all = False
        self._seen = 0
        self.trouble: OSError | None = None
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `restore`."""
        with self._lock:
            self._shut(self._listener)
            for connection in self._open:
                self._shut(connection)
            self._open.clear()

    def restore(self) -> None:
        """Let connections through again. Errors: OSError where another program has its port."""
        until = time.monotonic() + _LONGEST_S
        while True:
            try:
                self._listener = self._listen(self.port)
            except OSError as error:
                if time.monotonic() > until:
                    self.trouble = error
                    raise
                time.sleep(0.05)
            else:
                return

    def lose_answers(self, text: bytes, numbers: set[int], *, for_good: bool = False) -> None:
        """Break the connection in place of passing on an answer with this text, the first being number 1.

        `for_good` breaks every connection then, until `restore`.
        """
        self._lost = (text, numbers)
        self._loses_all = for_good
        self._seen = 0

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._open |= {client, server}
                for one, other, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=(one, other, is_answer), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while some := one.recv(65536):
                if is_answer and self._is_to_be_lost(some):
                    if self._loses_all:
                        self.cut()
                    break
                other.sendall(some)
        with self._lock:
            self._open -= {one, other}
        self._shut(one)
        self._shut(other)

    def _is_to_be_lost(self, answer: bytes) -> bool:
        text, numbers = self._lost
        if not text or text not in answer:
            return False
        with self._lock:
            self._seen += 1
            return self._seen in numbers

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Yield a relay to the server on `port`, and cut it at the end. Errors: OSError where it could not be repaired."""
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.cut()
    if relay.trouble is not None:
        raise relay.trouble
