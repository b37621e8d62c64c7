"""How many examples a law is tried on: enough to be worth its seconds with every change, many more once a night.

`scripts/test` tries the usual number, `scripts/test --fast` a tenth of it, and `scripts/test --long` the long one.
"""

from __future__ import annotations

import os

IS_LONG = os.environ.get("LONG_TESTS") == "1"
IS_FAST = os.environ.get("FAST_TESTS") == "1"


def examples(usual: int, long: int) -> int:
    """Return the number of examples of a law for the suite that runs."""
    if IS_LONG:
        return long
    return max(usual // 10, 2) if IS_FAST else usual
