"""Read the body of an answer, never more than a number of bytes, however much it unpacks to."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
import urllib3

MAX_ANSWER_BYTES = 8 * 1024 * 1024
# The packings that are asked for; others are not an answer to our request.
ACCEPTED_ENCODINGS = "gzip, deflate"
_PIECE = 65_536
_MOST_UNPACKED = 1024 * 1024


class UnusableBody(Exception):
    """The body cannot be used; the text says why, in words that quote nothing of it."""


def read_body(response: requests.Response, limit: int) -> bytes:
    """Return the unpacked body of an answer that is read as a stream, if it has at most `limit` bytes.

    Errors: UnusableBody (too many bytes, damaged, or an unknown packing), requests.RequestException (lost, too slow).
    """
    try:
        return _joined(_unpacker(response)(_pieces(response), limit + 1), limit)
    finally:
        response.close()


def read_body_to_file(response: requests.Response, limit: int, in_memory: int) -> bytes | Path:
    """Return the body as `read_body` does, but in a file where it is larger than `in_memory` bytes.

    The caller removes the file. Errors: those of `read_body`; then there is no file.
    """
    try:
        return _spooled(_unpacker(response)(_pieces(response), _MOST_UNPACKED), limit, in_memory)
    finally:
        response.close()


def _unpacker(response: requests.Response) -> Callable[[Iterator[bytes], int], Iterator[bytes]]:
    """Return what unpacks a body. Errors: UnusableBody for a packing nobody asked for, or more than one."""
    encodings = response.headers.get("Content-Encoding", "").split(",")
    packings = [name for one in encodings if (name := one.strip().lower()) not in _NO_PACKINGS]
    if not packings:
        return _plain
    if len(packings) > 1 or packings[0] not in _UNPACKERS:
        raise UnusableBody("the answer is compressed in a way that was not asked for")
    return _UNPACKERS[packings[0]]


def _spooled(pieces: Iterator[bytes], limit: int, in_memory: int) -> bytes | Path:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > min(limit, in_memory):
            return _in_file(bytes(body), pieces, limit)
    return bytes(body)


def _in_file(begun: bytes, pieces: Iterator[bytes], limit: int) -> Path:
    with tempfile.NamedTemporaryFile("wb", prefix="d2i-csc-api-", suffix=".answer", delete=False) as file:
        path = Path(file.name)
        try:
            size = file.write(begun)
            for piece in pieces:
                size += file.write(_within(piece, size, limit))
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
    return path


def _within(piece: bytes, size: int, limit: int) -> bytes:
    if size + len(piece) > limit:
        raise UnusableBody(f"the answer is larger than {limit:,} bytes")
    return piece


def _joined(pieces: Iterator[bytes], limit: int) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise UnusableBody(f"the answer is larger than {limit:,} bytes")
    return bytes(body)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    raw = response.raw
    is_http = isinstance(raw, urllib3.HTTPResponse)
    # Of an answer in chunks the length says nothing (RFC 9112, 6.3): a gateway may leave that of what it packed.
    size = "" if getattr(raw, "chunked", False) else response.headers.get("Content-Length", "").strip()
    came = 0
    try:
        while piece := raw.read(_PIECE, decode_content=False) if is_http else raw.read(_PIECE):
            came += len(piece)
            yield piece
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(type(error).__name__) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ConnectionError(type(error).__name__) from None
    if is_http and size.isascii() and size.isdigit() and came < int(size) and response.status_code not in (204, 304):
        raise requests.exceptions.ConnectionError("the body broke off")


def _plain(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    return pieces


def _unzipped(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    return _unpacked(pieces, most, 16 + zlib.MAX_WBITS)


def _inflated(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    first = next(pieces, b"")
    # Some servers leave out the head that the name `deflate` promises (RFC 9110, 8.4.1.2).
    has_head = len(first) > 1 and first[0] & 0x0F == 8 and (first[0] * 256 + first[1]) % 31 == 0
    yield from _unpacked(_with_first(first, pieces), most, zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _unpacked(pieces: Iterator[bytes], most: int, bits: int) -> Iterator[bytes]:
    """Yield what packed pieces hold, `most` bytes at a time: a few bytes may unpack to a thousand times as many."""
    unpacker = zlib.decompressobj(bits)
    is_empty = True
    for piece in pieces:
        left = piece
        is_empty = is_empty and not piece
        while left:
            if unpacker.eof:
                # Some servers fill up the last block with zeros.
                left = left.lstrip(b"\0")
                if not left:
                    break
                unpacker = zlib.decompressobj(bits)
            try:
                yield unpacker.decompress(left, most)
            except zlib.error:
                raise UnusableBody("the answer's compression is damaged") from None
            left = unpacker.unconsumed_tail or unpacker.unused_data
    if not (unpacker.eof or is_empty):
        raise UnusableBody("the answer's compression is damaged")


# What stands there and is no packing; a charset is a known mistake of servers.
_NO_PACKINGS = frozenset({"", "identity", "none", "utf-8"})
_UNPACKERS = {"gzip": _unzipped, "x-gzip": _unzipped, "deflate": _inflated}
