"""Answers that no honest server gives, for `hostile_receiver`. What they send is made while it is sent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat

from tests.support.hostile_receiver import TOKEN, Reply, Talk, honest

_MIB = 1024 * 1024
_BLOCK = b"a" * _MIB
_OK = b"HTTP/1.1 200 OK\r\n"
# More than anybody may keep in memory.
_GIGABYTE = 1024  # pieces of a mebibyte
# Half of a pair, a NUL, steering signs of a terminal in seven and eight bits, letters that run backwards, soft signs.
NASTY_SIGNS = "\ud83d\x00\x1b[31m\x9b2J\x1b]0;title\x07\u202e\u2066\u00ad\u200b"


def streamed(first: bytes, then: Callable[[], Iterator[bytes]]) -> Reply:
    """Return a reply that writes `first`, and then whatever comes until the client has had enough."""

    def reply(talk: Talk) -> None:
        talk.send(first)
        for piece in then():
            talk.send(piece)

    return reply


def dripping(first: bytes, then: bytes) -> Reply:
    """Return a reply that writes `first` at once and `then` byte by byte."""

    def reply(talk: Talk) -> None:
        talk.send(first)
        talk.drip(then)

    return reply


def saying(body: bytes | str, status: int = 200, head: str = "") -> Reply:
    """Return a reply with one whole answer."""
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return lambda talk: talk.answer(data, status, head)


def silent(talk: Talk) -> None:
    """Take the request and say nothing."""
    talk.wait_until_gone()


def many(piece: bytes, times: int) -> Callable[[], Iterator[bytes]]:
    """Return a maker of the same piece over and over."""
    return lambda: repeat(piece, times)


def _packed_block(bits: int) -> tuple[bytes, bytes]:
    """Return the head of a packed stream, and a piece that stands for 16 MiB of zeros wherever it is repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    head = packer.compress(b"\0") + packer.flush(zlib.Z_FULL_FLUSH)
    return head, packer.compress(bytes(16 * _MIB)) + packer.flush(zlib.Z_FULL_FLUSH)


def bomb(encoding: str, bits: int) -> Reply:
    """Return a reply of few bytes that stand for two gigabytes."""

    def reply(talk: Talk) -> None:
        head, block = _packed_block(bits)
        talk.send(_OK + f"Content-Encoding: {encoding}\r\nConnection: close\r\n\r\n".encode() + head)
        for _ in range(128):
            talk.send(block)

    return reply


def nested_bomb(talk: Talk) -> None:
    """Pack what is packed once more: a few kilobytes for gigabytes, where both layers are undone."""
    head, block = _packed_block(16 + zlib.MAX_WBITS)
    outer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    body = outer.compress(head + block * 128) + outer.flush()
    talk.answer(body, head="Content-Encoding: gzip, gzip\r\n")


def packed_once_more(talk: Talk) -> None:
    """Send a packed bomb within a packed answer that tells of one layer only."""
    head, block = _packed_block(16 + zlib.MAX_WBITS)
    outer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    talk.answer(outer.compress(head + block * 128) + outer.flush(), head="Content-Encoding: gzip\r\n")


def receipts_twice(talk: Talk) -> None:
    """Give one receipt for all records of a batch, as often as there are records."""
    receipt = talk.new_receipts()[0]
    talk.answer(json.dumps([receipt] * len(talk.heard.children)).encode())


def with_cookies(talk: Talk) -> None:
    """Accept, and hand out cookies of every kind."""
    names = ("session", "__Host-x", "$Version", "a b")
    lines = "".join(f"Set-Cookie: {name}=invented; Path=/; Max-Age=99999\r\n" for name in names)
    talk.answer(json.dumps(talk.new_receipts()).encode(), head=lines)


def _json_head(size: int) -> bytes:
    return _OK + f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode()


def _named(text: str) -> str:
    return json.dumps({"errors": {"[0].child_details.surname": [text]}})


def _headers(count: int) -> Callable[[], Iterator[bytes]]:
    return lambda: (f"X-{number}: {'y' * 60}\r\n".encode() for number in range(count))


# Those that end at once or stream as fast as they can: what becomes of the row, and the answer.
FAST: dict[str, tuple[str, Reply]] = {
    # size
    "body of a gigabyte": (
        "larger than",
        streamed(_OK + b"Content-Length: 1073741824\r\n\r\n", many(_BLOCK, _GIGABYTE)),
    ),
    "body without an end": ("larger than", streamed(_OK + b"\r\n", many(_BLOCK, _GIGABYTE))),
    "error body of a gigabyte": ("larger than", streamed(b"HTTP/1.1 400 Bad\r\n\r\n", many(_BLOCK, _GIGABYTE))),
    "chunks without an end": (
        "larger than",
        streamed(_OK + b"Transfer-Encoding: chunked\r\n\r\n", many(b"100000\r\n" + _BLOCK + b"\r\n", _GIGABYTE)),
    ),
    "chunk of minus one byte": (
        "network error",
        streamed(_OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", many(_BLOCK, _GIGABYTE)),
    ),
    "chunk of 400 digits": (
        "network error|larger than",
        streamed(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 400 + b"\r\n", many(_BLOCK, _GIGABYTE)),
    ),
    "chunk's extension without an end": (
        "network error",
        streamed(_OK + b"Transfer-Encoding: chunked\r\n\r\n1;", many(_BLOCK, _GIGABYTE)),
    ),
    "length of 5,000 digits": (
        "network error|larger than",
        streamed(_OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", many(_BLOCK, _GIGABYTE)),
    ),
    "length below nought": ("larger than", streamed(_OK + b"Content-Length: -1\r\n\r\n", many(_BLOCK, _GIGABYTE))),
    "gzip bomb": ("larger than", bomb("gzip", 16 + zlib.MAX_WBITS)),
    "deflate bomb": ("larger than", bomb("deflate", zlib.MAX_WBITS)),
    "deflate bomb without a head": ("larger than", bomb("deflate", -zlib.MAX_WBITS)),
    "bomb in two layers": ("compressed in a way", nested_bomb),
    "bomb within a packed answer": ("receipt", packed_once_more),
    "packing that nobody asked for": ("compressed in a way", saying(b"x", head="Content-Encoding: br\r\n")),
    "packing that is damaged": (
        "compression is damaged",
        saying(b"\x1f\x8bnothing", head="Content-Encoding: gzip\r\n"),
    ),
    # the head
    "100,000 headers": ("network error", streamed(_OK, _headers(100_000))),
    "100 headers of 60,000 letters": (
        "receipt",
        streamed(_OK, lambda: iter([*(f"X-{n}: {'y' * 60_000}\r\n".encode() for n in range(90)), b"\r\n"])),
    ),
    "header line without an end": ("network error", streamed(_OK + b"X: ", many(_BLOCK, _GIGABYTE))),
    "status line without an end": ("network error", streamed(b"HTTP/1.1 200 ", many(_BLOCK, _GIGABYTE))),
    "no HTTP at all": ("network error", streamed(b"\x00\xff\x1b[2J" * 100, lambda: iter(()))),
    "status of 999": ("HTTP 999", saying(b"", 999)),
    "status below nought": ("network error", streamed(b"HTTP/1.1 -20 OK\r\n\r\n", lambda: iter(()))),
    "interim answers without an end": (
        "network error",
        streamed(b"", many(b"HTTP/1.1 103 Early Hints\r\n\r\n", 2**20)),
    ),
    "interim answers with heavy heads": (
        "network error",
        streamed(b"", many(b"HTTP/1.1 103 Early Hints\r\n" + b"".join(_headers(90)()) + b"\r\n", 2**20)),
    ),
    "protocol switched": ("network error", streamed(b"HTTP/1.1 101 Switching\r\n\r\n", many(_BLOCK, 1))),
    "redirect elsewhere": ("redirected", saying(b"", 302, "Location: http://169.254.169.254/latest\r\n")),
    # values
    "100,000 levels": ("receipt", saying(b"[" * 100_000)),
    "900 levels": ("receipt", saying(b"[" * 900 + b"]" * 900)),
    "levels of an error": ("HTTP 400", saying(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400)),
    "700 levels of an error": ("HTTP 400", saying(b'{"a":' * 700 + b"1" + b"}" * 700, 400)),
    "deep error with many texts": (
        "HTTP 400",
        saying(b"[" * 600 + b",".join([b'"x"'] * 250_000) + b"]" * 600, 400),
    ),
    "millions of lists": (
        "receipt",
        streamed(_json_head(8 * _MIB - 16), lambda: iter([b"[[]" + b",[]" * 2_796_196, b"]]"])),
    ),
    "millions of objects": ("HTTP 400", saying(b"[{}" + b",{}" * 2_700_000 + b"]", 400)),
    "number of millions of digits": ("receipt", saying(b"9" * 4_000_000)),
    "no number": ("receipt", saying(b"[NaN, Infinity, -Infinity]")),
    "one text of eight million letters": ("receipt", saying(b'"' + b"a" * 8_000_000 + b'"')),
    "page of angle brackets": ("HTTP 400", saying(b"<" * 4_000_000, 400)),
    "page of addresses": ("HTTP 400", saying(b"a://" * 1_000_000, 400)),
    "page of record numbers": ("HTTP 400", saying(b"[7]," * 1_000_000, 400)),
    "page of blanks": ("HTTP 400", saying(b"errors at" + b" " * 4_000_000 + b"x", 400)),
    "steering signs in a refusal": ("HTTP 400", saying(_named(f"surname {NASTY_SIGNS} is bad"), 400)),
    "steering signs as they are": ("HTTP 400", saying(f"[0] surname {NASTY_SIGNS} is bad", 400)),
    "signs of no encoding": ("HTTP 400", saying(b"[0] \xff\xfe\x80\xc3( is bad", 400)),
    # retry
    "wait of 400 digits": ("HTTP 503", saying(b"", 503, f"Retry-After: {'9' * 400}\r\n")),
    "wait below nought": ("HTTP 503", saying(b"", 503, "Retry-After: -5\r\n")),
    "wait in words": ("HTTP 503", saying(b"", 503, "Retry-After: NaN\r\nRetry-After: inf\r\nRetry-After: 1e99\r\n")),
    "wait until no such date": ("HTTP 503", saying(b"", 503, "Retry-After: Fri, 99 Foo 99999999 99:99:99 GMT\r\n")),
    "ninety waits": ("HTTP 503", saying(b"", 503, "Retry-After: 0\r\n" * 90)),
    "wait of a megabyte": ("HTTP 503", saying(b"", 503, f"Retry-After: {'0, ' * 20_000}\r\n" * 20)),
    "key refused at length": ("HTTP 403", saying(b"subscription" + b" -" * 100_000, 403)),
    # what it hands out
    "cookies": ("sent", with_cookies),
    "nothing wrong": ("sent", honest),
}

# Those that keep somebody waiting: none is waited for longer than twice READ_TIMEOUT_S.
SLOW: dict[str, Reply] = {
    "silence": silent,
    "dripping status line": dripping(b"", _OK * 1000),
    "dripping header": dripping(_OK + b"X: ", b"y" * 100_000),
    "dripping headers": dripping(_OK, b"X: y\r\n" * 20_000),
    "dripping interim answers": dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2_000),
    "dripping body": dripping(_OK + b"Content-Length: 100000\r\n\r\n", b" " * 100_000),
    "dripping chunk sizes": dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 20_000),
    "dripping trailer": dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 20_000),
    "dripping packed body": dripping(
        _OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0", b"n" * 100_000
    ),
    "dripping error": dripping(b"HTTP/1.1 500 Bad\r\n\r\n", b" " * 100_000),
}


def token(body: object, status: int = 200, head: str = "") -> Reply:
    """Return a reply of the token service; `body` is written as JSON unless it is text already."""
    return saying(body if isinstance(body, (str, bytes)) else json.dumps(body), status, head)


def granted(**members: object) -> Reply:
    """Return a reply that gives a token, with these members changed."""
    return token({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, **members})


# The run's exit code, and the reply: 0 where the token is good whatever stands beside it.
TOKENS: dict[str, tuple[int, Reply]] = {
    "lifetime of 400 digits": (0, token(f'{{"access_token": "{TOKEN}", "expires_in": {"9" * 400}}}')),
    "lifetime in a text of 5,000 digits": (0, granted(expires_in="9" * 5000)),
    "lifetime that is not a number": (0, token(f'{{"access_token": "{TOKEN}", "expires_in": NaN}}')),
    "lifetime without an end": (0, token(f'{{"access_token": "{TOKEN}", "expires_in": 1e999}}')),
    "lifetime below nought": (0, granted(expires_in=-5)),
    "lifetime that is a list": (0, granted(expires_in=[[3600]])),
    "cookies": (0, token({"access_token": TOKEN}, head="Set-Cookie: a=b; Path=/\r\n" * 50)),
    "another type": (4, granted(token_type="mac")),
    "a type that is a list": (4, granted(token_type=["Bearer"])),
    "line ends in the token": (5, granted(access_token="a\r\nX-Other: b")),
    "half a pair of surrogates": (5, token('{"access_token": "\\ud83d"}')),
    "steering signs in an error": (4, token({"error": "invalid_client\x1b[2J", "error_description": "\u202e"}, 400)),
    "100,000 levels": (5, token('{"access_token":' * 4_000)),
    "65,000 bytes more": (5, token(f'{{"access_token": "{TOKEN}"}}' + " " * 66_000)),
    "gigabyte": (5, streamed(_OK + b"\r\n", many(_BLOCK, _GIGABYTE))),
    "gzip bomb": (5, bomb("gzip", 16 + zlib.MAX_WBITS)),
    "chunk of minus one byte": (
        5,
        streamed(_OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", many(_BLOCK, _GIGABYTE)),
    ),
    "dripping head": (5, dripping(_OK, b"X: y\r\n" * 20_000)),
    "dripping body": (5, dripping(_OK + b"\r\n", b" " * 100_000)),
    "wait of 400 digits": (5, token("", 503, f"Retry-After: {'9' * 400}\r\n")),
    "wait of two hours": (5, token("", 429, "Retry-After: 7200\r\n")),
}
