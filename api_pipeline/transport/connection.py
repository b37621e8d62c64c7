"""Connections that return only the final answer, and end in time however slowly it comes.

`http.client` limits each wait, but not all of them together. It also takes an interim answer (102, 103) for the final
one, so that the real answer would be read as that of the next request. `Deadline` limits one whole try, head and body.
The classes below obey the deadline that is in force.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_TICK_S = 0.5
_PIECE = 65_536
# Each piece costs three system calls; TLS and the kernel take of it what they can.
_SENT_AT_ONCE = 1024 * 1024
_MOST_INTERIM_ANSWERS = 32


class Deadline:
    """The end of one try: one wait lasts at most `idle_s` seconds, all waits together at most `whole_s`.

    `is_abandoned` says that nobody waits for the answer any more, because the run was stopped a while ago.
    `is_connecting` is set while a connection is opened, and stays set if that fails: then no request was sent.
    """

    def __init__(self, idle_s: float, whole_s: float, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        self._idle_s = idle_s
        self._is_abandoned = is_abandoned
        self.is_connecting = False
        now = time.monotonic()
        self._until = now + whole_s
        self._look_at = now + _TICK_S

    def idle_until(self) -> float:
        """Return the moment at which a wait that begins now ends without success."""
        return min(time.monotonic() + self._idle_s, self._until)

    def next_wait(self, until: float) -> float:
        """Return the seconds to wait before `until` is looked at again. Errors: TimeoutError where it is past."""
        now = time.monotonic()
        if until <= now or self._is_abandoned_at(now):
            raise TimeoutError("no answer in time")
        return max(0.001, min(until - now, _TICK_S))

    def _is_abandoned_at(self, now: float) -> bool:
        if now < self._look_at:
            return False
        self._look_at = now + _TICK_S
        return self._is_abandoned()


IN_FORCE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
"""The deadline that every connection of this thread obeys."""


class _TimedReader(io.RawIOBase):
    """Read a socket until the deadline. Once `is_sealed` it ends, so that what is buffered can be seen."""

    def __init__(self, plain: Any, connection: Any, deadline: Deadline) -> None:
        super().__init__()
        self._plain = plain
        self._connection = connection
        self._deadline = deadline
        self.is_sealed = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.is_sealed:
            return 0
        until = self._deadline.idle_until()
        while True:
            _set_timeout(self._connection, self._deadline.next_wait(until))
            with contextlib.suppress(TimeoutError):
                return int(self._connection.recv_into(buffer))

    def close(self) -> None:
        self._plain.close()
        super().close()


class _AnswerReader(io.BufferedReader):
    """One answer's bytes. Where more came than the answer, the connection is shut: it is out of step."""

    def __init__(self, raw: _TimedReader, connection: Any) -> None:
        super().__init__(raw, _PIECE)
        self._timed = raw
        self._connection = connection
        self.is_in_head = True

    def readline(self, size: int | None = -1) -> bytes:
        """Read one line. Errors: ConnectionError where the connection ends within the head of the answer.

        `http.client` would take that for the end of the head, and for an answer without a body.
        """
        line = super().readline(size)
        if self.is_in_head and not line.endswith(b"\n") and len(line) != size:
            raise ConnectionResetError("the connection was closed within the head of the answer")
        return line

    def read(self, size: int | None = -1) -> bytes:
        """Read at most `size` bytes. Errors: OSError where that is not a number of bytes, as of a chunk of -1."""
        if size is None or size < 0:
            # It would mean everything up to the end of the connection, however much that is.
            raise OSError("an answer is read in pieces")
        return super().read(size)

    def close(self) -> None:
        if not self.closed:
            self._timed.is_sealed = True
            with contextlib.suppress(OSError, ValueError):
                if self.peek(1) or _has_pending(self._connection):
                    self._connection.shutdown(socket.SHUT_RDWR)
        super().close()


def _set_timeout(connection: Any, seconds: float) -> None:
    # To set what is set already would be a system call for nothing.
    if connection.gettimeout() != seconds:
        connection.settimeout(seconds)


def _has_pending(connection: Any) -> bool:
    pending = getattr(connection, "pending", None)
    return bool(pending is not None and pending())


class FinalResponse(http.client.HTTPResponse):
    """The final answer to a request; the interim ones (1xx) before it are read and passed over."""

    def __init__(self, sock: Any, *args: Any, **keywords: Any) -> None:
        super().__init__(sock, *args, **keywords)
        self._interim = 0
        deadline = IN_FORCE.get()
        if deadline is not None:
            plain = self.fp.detach()
            self.fp = _AnswerReader(_TimedReader(plain, sock, deadline), sock)

    def begin(self) -> None:
        """Read the head of the final answer. Errors: http.client.HTTPException, OSError."""
        super().begin()
        if isinstance(self.fp, _AnswerReader):
            self.fp.is_in_head = False
        self._read_transfer_codings()
        # A gateway that speaks out of turn is not trusted with a second request on this connection.
        self.will_close = self.will_close or self._interim > 0

    def _read_status(self) -> tuple[str, int, str]:
        """Read the first line of the final answer, also that of a proxy which opens a tunnel. Errors: as `begin`."""
        while True:
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc] # typeshed leaves it out
            status = found[1]
            if not 100 <= status < 200:
                return found
            self._interim += 1
            if self._interim > _MOST_INTERIM_ANSWERS or status == http.client.SWITCHING_PROTOCOLS:
                raise http.client.BadStatusLine(f"interim answer {status}")
            http.client.parse_headers(self.fp)

    def _read_transfer_codings(self) -> None:
        """Take the answer for chunked if that is its one coding; `http.client` looks at the first header alone."""
        listed = ",".join(self.headers.get_all("Transfer-Encoding", ())).lower().split(",")
        # What is sent as identity is sent as it is, and the word stands for nothing today (RFC 9112, appendix C).
        codings = [name for one in listed if (name := one.strip()) not in ("", "identity")]
        if codings == ["chunked"] and not self.chunked:
            self.chunked, self.chunk_left, self.length = True, None, None
        if "chunked" in codings:
            # Then the length says nothing (RFC 9112, 6.3), and urllib3 would warn of each such answer.
            del self.headers["Content-Length"]


class _Timed:
    """What the connections below share; what it uses of them is theirs and that of `http.client`."""

    sock: Any
    response_class: Any = FinalResponse

    def connect(self) -> None:
        """Open the connection, through a proxy where there is one. Errors: OSError."""
        deadline = IN_FORCE.get()
        if deadline is not None:
            deadline.is_connecting = True
        super().connect()  # type: ignore[misc] # that of the class beside this one
        if deadline is not None:
            deadline.is_connecting = False

    def send(self, data: Any) -> None:
        """Send bytes, for no longer than the deadline. Errors: OSError."""
        deadline = IN_FORCE.get()
        if deadline is None or not isinstance(data, (bytes, bytearray)):
            super().send(data)  # type: ignore[misc] # that of the class beside this one
            return
        if self.sock is None:
            self.connect()
        view = memoryview(data)
        until = deadline.idle_until()
        while view:
            _set_timeout(self.sock, deadline.next_wait(until))
            with contextlib.suppress(TimeoutError):
                view = view[self.sock.send(view[:_SENT_AT_ONCE]) :]


class PlainConnection(_Timed, HTTPConnection):
    """A connection without TLS."""


class SecureConnection(_Timed, HTTPSConnection):
    """A connection with TLS."""


class PlainPool(HTTPConnectionPool):
    """Connections without TLS to one server."""

    ConnectionCls = PlainConnection


class SecurePool(HTTPSConnectionPool):
    """Connections with TLS to one server."""

    ConnectionCls = SecureConnection


POOLS = {"http": PlainPool, "https": SecurePool}
