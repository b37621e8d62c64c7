"""What one staging is asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api_pipeline.staging.options import StageOptions
from api_pipeline.staging.window import Window


@dataclass(frozen=True, slots=True)
class StageRequest:
    """What one staging does.

    `max_deleted_share` is None where deletions are allowed whatever their number (--allow-deletions);
    `deletes_left_window` is DELETE_LEFT_WINDOW, `keeps_retained` the opposite of PURGE_LEFT_WINDOW. `only_listed`
    says that the rows of people whom COHORT_PERSON_IDS does not name are left alone.
    """

    window: Window
    options: StageOptions
    max_deleted_share: float | None
    deletes_left_window: bool = True
    keeps_retained: bool = True
    only_listed: frozenset[str] | None = None
    is_dry_run: bool = False
