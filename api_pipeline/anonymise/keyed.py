"""The key of one run: whatever is invented follows from it, and nobody can work back without it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from math import factorial
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from hashlib import _Hash

_Value = TypeVar("_Value")
_KEY_BYTES = 32
_BLOCK_BYTES = 64
_DIGEST_BYTES = 32
# Of each list; a divisor of 256. A few megabytes for all lists together.
_TABLES = 128
# Without I, O and 0, which are misread, and without X: an identifier that holds 0x trips a firewall (specification 6).
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWYZ123456789"
_LETTER_OF = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))


class RunKey:
    """A random key that lives in memory for one run. It has no representation, so that no log can hold it."""

    __slots__ = ("_identifier", "_inner", "_outer", "_tables")

    def __init__(self, key: bytes | None = None) -> None:
        """Take a new random key of 256 bits; `key` is for tests that need the same run twice."""
        block = (secrets.token_bytes(_KEY_BYTES) if key is None else key).ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))
        # No other message begins so: that of several parts begins with a bracket.
        self._identifier = self._inner.copy()
        self._identifier.update(b"identifier")
        self._tables: dict[tuple[str, int], Mapping[str, str]] = {}

    def __repr__(self) -> str:
        return "RunKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the key of a run is never stored")

    def digest(self, *parts: str | int) -> bytes:
        """Return the HMAC-SHA-256 of texts and numbers, 32 bytes; the same in other pieces give another."""
        return self._finished(self._inner.copy(), repr(parts).encode())

    def number(self, *parts: str | int) -> int:
        """Return the same digest as a number of 256 bits."""
        return int.from_bytes(self.digest(*parts), "big")

    def short_number(self, *parts: str | int) -> int:
        """Return a number of 60 bits of the same digest, which is divided faster."""
        return int.from_bytes(self.digest(*parts)[:8], "big") >> 4

    def draws(self, count: int, *parts: str | int) -> bytes:
        """Return `count` bytes, 32 of each digest: many small draws for the price of one."""
        return b"".join(self.digest("draws", block, *parts) for block in range(0, count, _DIGEST_BYTES))[:count]

    def table(self, name: str, values: Sequence[str], draw: int) -> Mapping[str, str]:
        """Return what each of the values of the list `name` becomes: another order of them, chosen by the byte `draw`.

        To shuffle a list for every child would take longer than all else that is done with it, so the run has some
        tables of each list, and each child draws one.
        """
        number = draw % _TABLES
        found = self._tables.get((name, number))
        if found is None:
            order = shuffled(values, self.number("table", name, number))
            found = self._tables[name, number] = dict(zip(values, order, strict=True))
        return found

    def identifier(self, length: int, value: str) -> str:
        """Return `length` letters and digits (at most 32) for a value, five bits each of a digest."""
        digest = self._finished(self._identifier.copy(), value.encode("utf-8", "surrogatepass"))
        return digest[:length].translate(_LETTER_OF).decode("ascii")

    def _finished(self, inner: _Hash, message: bytes) -> bytes:
        # RFC 2104 with both blocks of the key prepared: a third of the time of `hmac.digest`, sixty times a record.
        outer = self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def shuffled(values: Sequence[_Value], number: int) -> list[_Value]:
    """Return the values in the order that `number` stands for; 256 bits are enough for every order of 50 values."""
    order = list(values)
    # All that counts of the number; a small one is divided faster.
    number %= _orders(len(order))
    for last in range(len(order) - 1, 0, -1):
        number, chosen = divmod(number, last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return order


_orders = cache(factorial)
