"""What one staging is asked for: the settings that decide what is built, and what becomes of the table. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api_pipeline.staging.window import Window

UASC_VALUES = ("U", "UASC", "*UASC*", "*unaccompanied asylum*")


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What a council chose.

    one_block_per_child: ONE_BLOCK_PER_CHILD, adoption and care leavers go into the latest episode alone
    include_cp_plans:    COHORT_INCLUDE_CP_PLANS
    include_disabled:    COHORT_INCLUDE_DISABLED
    uasc_values:         UASC_VALUES, immigration statuses of unaccompanied children; `*` stands for any text
    """

    one_block_per_child: bool = False
    include_cp_plans: bool = False
    include_disabled: bool = False
    uasc_values: tuple[str, ...] = UASC_VALUES


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
    deletes_left_window: bool
    keeps_retained: bool
    only_listed: frozenset[str] | None
    is_dry_run: bool
