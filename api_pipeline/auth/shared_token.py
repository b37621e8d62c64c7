"""One token for many threads: fetched once, and renewed before it expires. Knows no service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

MAX_TOKEN_BYTES = 64 * 1024
"""The most bytes of a token service's answer (contract 4)."""

_RENEW_EARLY_S = 300.0
_RENEW_EARLY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the monotonic second from which it is renewed. `generation` counts the fetches of a run."""

    value: str
    renew_at: float
    generation: int

    def __repr__(self) -> str:
        return f"Token(generation={self.generation})"


class SharedToken:
    """Give every thread the same token. If several find it expired, one of them fetches a new one and the others wait.

    `fetch` returns a token and for how many seconds to use it. One thread at a time calls it. An error that it raises
    reaches every thread that asks for the token.
    """

    def __init__(self, clock: Callable[[], float], fetch: Callable[[], tuple[str, float]]) -> None:
        self._clock = clock
        self._fetch_token = fetch
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._taken = 1

    def token(self) -> Token:
        """Return a token that has not expired. Errors: those of `fetch`."""
        token = self._token
        if token is not None and self._clock() < token.renew_at:
            return token
        return self._fetch_unless_newer(token)

    def renew(self, refused: Token) -> Token:
        """Return a token other than the one that was refused; fetch it unless another thread has already."""
        return self._fetch_unless_newer(refused)

    def note_taken(self, token: Token) -> None:
        """Note that the service accepted this token."""
        self._taken = max(self._taken, token.generation)

    def is_untried_renewal(self, token: Token) -> bool:
        """Return whether this token replaced another and was never accepted. Then a third one would not help."""
        return token.generation > self._taken

    def _fetch_unless_newer(self, old: Token | None) -> Token:
        with self._lock:
            current = self._token
            if current is not None and current is not old:
                return current
            value, used_s = self._fetch_token()
            self._token = Token(value, self._clock() + used_s, current.generation + 1 if current else 1)
            return self._token


def used_for(lifetime_s: float) -> float:
    """Return for how many seconds a token of this lifetime is used: it is renewed a little before it expires."""
    return lifetime_s - min(_RENEW_EARLY_S, lifetime_s * _RENEW_EARLY_SHARE)
