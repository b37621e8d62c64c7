"""What one staging is asked for beyond the settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class StageCall:
    """The day of a staging, whether it only looks, and whether it deletes rows whatever their number."""

    as_of: date
    is_dry_run: bool = False
    allows_deletions: bool = False
