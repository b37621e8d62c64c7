"""The circuit breaker: so many failures in a row, and what fails is not tried any more."""

from __future__ import annotations

import threading


class CircuitBreaker:
    """Count failures in a row; any thread may count. It opens at the last of `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._failed_in_a_row = 0

    def count(self, *, failed: bool) -> bool:
        """Take in how one ended, and return whether the breaker opens with it."""
        with self._lock:
            self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
            return self._failed_in_a_row == self.most
