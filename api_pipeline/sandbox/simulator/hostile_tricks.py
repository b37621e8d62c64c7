"""The tricks of the hostile gateway: each writes the bytes to the socket that no honest server would."""

from __future__ import annotations

import socket
import struct
import time
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import orjson

from api_pipeline.sandbox.simulator.answer import Answer

_PIECE = 65_536
_DRIP_S = 0.02
_RESET = struct.pack("ii", 1, 0)
_SIGN_IN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
_REASONS = {200: "OK", 403: "Forbidden", 413: "Payload Too Large", 429: "Too Many Requests", 500: "Server Error"}


class Trick(str, Enum):
    """What happens to one request. With those of the second half the records are accepted all the same."""

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


def http_answer(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return an answer as the bytes that travel."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in {"Content-Length": str(len(body)), **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _spelled(answer: Answer) -> bytes:
    return http_answer(answer.status, answer.headers, answer.body)


def reset(connection: socket.socket) -> bool:
    """Let the connection end in a reset; return that it is over."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return False


def page(connection: socket.socket, status: int) -> bool:
    """Send a page instead of an answer; return that the connection goes on."""
    connection.sendall(http_answer(status, {"Content-Type": "text/html"}, _SIGN_IN_PAGE))
    return True


def _throttled(connection: socket.socket) -> bool:
    # Two values of one header, which travel as two lines.
    connection.sendall(
        http_answer(429, {"Retry-After": "0\r\nRetry-After: 0", "Content-Type": "text/html"}, _SIGN_IN_PAGE)
    )
    return True


def honest(connection: socket.socket, answer: Answer) -> bool:
    """Send an answer as it is; return that the connection goes on."""
    connection.sendall(_spelled(answer))
    return True


def _after_interim(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
    time.sleep(_DRIP_S)
    return honest(connection, answer)


def _after_many_interim(connection: socket.socket, answer: Answer) -> bool:
    connection.sendall(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" * 100)
    return honest(connection, answer)


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
    connection.sendall(http_answer(answer.status, {"Content-Encoding": "gzip"}, packed))
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
    connection.sendall(_spelled(answer) + http_answer(200, answer.headers, orjson.dumps(other)))
    return True


def _receipts(answer: Answer) -> list[str]:
    value = orjson.loads(answer.body) if answer.status == 200 else []
    return value if isinstance(value, list) else [value]


def _honest_receipts(connection: socket.socket, answer: Answer, receipts: Sequence[str]) -> bool:
    if answer.status != 200:
        return honest(connection, answer)
    connection.sendall(http_answer(200, {"Content-Type": "application/json"}, orjson.dumps(list(receipts))))
    return True


# The tricks that answer a request before the receiver sees it, and those that come after it has answered. Each returns
# whether the connection goes on.
EARLY: Mapping[Trick, Callable[[socket.socket], bool]] = {
    Trick.LOGIN_PAGE: lambda connection: page(connection, 200),
    Trick.ERROR_PAGE: lambda connection: page(connection, 502),
    Trick.THROTTLED: _throttled,
    Trick.DROPPED: reset,
}
LATE: Mapping[Trick, Callable[[socket.socket, Answer], bool]] = {
    Trick.INTERIM: _after_interim,
    Trick.MANY_INTERIM: _after_many_interim,
    Trick.DROPPED_LATE: lambda connection, _: reset(connection),
    Trick.BROKEN_OFF: _broken_off,
    Trick.ENDLESS: _endless,
    Trick.BOMB: _bomb,
    Trick.DRIPPING_HEAD: _dripping_head,
    Trick.DRIPPING_BODY: _dripping_body,
    Trick.RECEIPT_TWICE: _receipt_twice,
    Trick.RECEIPT_MISSING: _receipt_missing,
    Trick.TWO_ANSWERS: _two_answers,
}
