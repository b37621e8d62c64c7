"""Read the body of an answer, never more than a number of bytes, however much it unpacks to."""

from __future__ import annotations

import tempfile
import time
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

import requests
import urllib3

from api_pipeline.common.private_files import remove_file
from api_pipeline.errors import reason_of

MAX_ANSWER_BYTES = 8 * 1024 * 1024
# The packings that are asked for; others are not an answer to our request.
ACCEPTED_ENCODINGS = "gzip, deflate"
_PIECE = 65_536
_MOST_UNPACKED = 1024 * 1024
_FILE_BEGINS, _FILE_ENDS = "d2i-csc-api-", ".answer"
# No body is so long that its length has more digits.
_LONGEST_LENGTH = 20
# Nobody reads one answer for longer.
_IN_USE_AT_MOST_S = 6 * 3600


def without_mark(body: bytes) -> bytes:
    """Return a text without the byte order mark that some servers write before it."""
    return body.removeprefix(BOM_UTF8)


class UnusableBody(Exception):
    """The body cannot be used; the text says why, in words that quote nothing of it."""


def read_body(response: requests.Response, limit: int) -> bytes:
    """Return the unpacked body of an answer that is read as a stream, if it has at most `limit` bytes.

    Errors: UnusableBody (too many bytes, damaged, or an unknown packing), requests.RequestException (lost, too slow).
    """
    with closing(response):
        return b"".join(_body(response, limit, limit + 1))


def read_body_to_file(response: requests.Response, limit: int, in_memory: int) -> bytes | Path:
    """Return the body as `read_body` does, but in a file where it is larger than `in_memory` bytes.

    The caller removes the file. Errors: those of `read_body`; then there is no file.
    """
    with closing(response):
        pieces = _body(response, limit, _MOST_UNPACKED)
        begun = bytearray()
        for piece in pieces:
            begun += piece
            if len(begun) > in_memory:
                return _in_file(bytes(begun), pieces)
        return bytes(begun)


def remove_left_files() -> None:
    """Remove the files of answers that programs which were killed have left in the temporary folder."""
    # There may be no folder that this account may write to; only a large answer needs one.
    with suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{_FILE_BEGINS}*{_FILE_ENDS}"):
            # It may be another account's.
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _IN_USE_AT_MOST_S:
                    path.unlink()


def _body(response: requests.Response, limit: int, most: int) -> Iterator[bytes]:
    """Yield the unpacked body, `most` bytes at a time. Errors: those of `read_body`."""
    size = 0
    for piece in _unpacker(response)(_pieces(response), most):
        size += len(piece)
        if size > limit:
            raise UnusableBody(f"the answer is larger than {limit:,} bytes")
        yield piece


def _unpacker(response: requests.Response) -> Callable[[Iterator[bytes], int], Iterator[bytes]]:
    """Return what unpacks a body. Errors: UnusableBody for a packing nobody asked for, or more than one."""
    encodings = response.headers.get("Content-Encoding", "").split(",")
    packings = [name for one in encodings if (name := one.strip().lower()) not in _NO_PACKINGS]
    if not packings:
        return _plain
    if len(packings) > 1 or packings[0] not in _UNPACKERS:
        raise UnusableBody("the answer is compressed in a way that was not asked for")
    return _UNPACKERS[packings[0]]


def _in_file(begun: bytes, rest: Iterator[bytes]) -> Path:
    """Return the file of a body. Errors: those of `_body`, UnusableBody where the file cannot be written."""
    try:
        with tempfile.NamedTemporaryFile("wb", prefix=_FILE_BEGINS, suffix=_FILE_ENDS, delete=False) as file:
            path = Path(file.name)
            try:
                file.write(begun)
                file.writelines(rest)
                # What is still to be written is written here, or the file is removed.
                file.flush()
            except BaseException:
                with suppress(OSError):
                    file.close()
                with suppress(OSError):
                    remove_file(path)
                raise
    except requests.RequestException:
        # An OSError too.
        raise
    except OSError as error:
        raise UnusableBody(
            "the answer is too large for memory and cannot be written to this machine's temporary folder "
            f"({reason_of(error)}); make room there, or name another folder with TMPDIR (Windows: TEMP)"
        ) from None
    return path


def _pieces(response: requests.Response) -> Iterator[bytes]:
    raw = response.raw
    is_http = isinstance(raw, urllib3.HTTPResponse)
    size = response.headers.get("Content-Length", "").strip()
    came = 0
    try:
        while piece := raw.read(_PIECE, decode_content=False) if is_http else raw.read(_PIECE):
            came += len(piece)
            yield piece
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(type(error).__name__) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ConnectionError(type(error).__name__) from None
    if is_http and _is_more(size, came) and response.status_code not in (204, 304):
        raise requests.exceptions.ConnectionError("the body broke off")


def _is_more(size: str, came: int) -> bool:
    """Return whether a length that a head gives is a number of more bytes than came, however long the number is."""
    if not (size.isascii() and size.isdigit()):
        return False
    # Python refuses to read a number of thousands of digits.
    digits = size.lstrip("0")[:_LONGEST_LENGTH]
    return int(digits or "0") > came


def _plain(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    return pieces


def _unzipped(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    return _unpacked(pieces, most, 16 + zlib.MAX_WBITS)


def _inflated(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    first = next(pieces, b"")
    # Some servers leave out the head that the name `deflate` promises (RFC 9110, 8.4.1.2).
    has_head = len(first) > 1 and first[0] & 0x0F == 8 and (first[0] * 256 + first[1]) % 31 == 0
    yield from _unpacked(chain([first], pieces), most, zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)


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
