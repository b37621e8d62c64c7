"""The circuit breaker: after a number of failures in a row, nothing more is tried."""

from __future__ import annotations

import threading


class CircuitBreaker:
    """Count failures in a row, from any thread. The breaker opens at failure number `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._failed_in_a_row = 0

    def count(self, *, failed: bool) -> bool:
        """Count one more result, and return whether the breaker opens with it. A success sets the count back to 0."""
        with self._lock:
            self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
            return self._failed_in_a_row == self.most
