"""The settings that change what is staged, as one object."""

from __future__ import annotations

from dataclasses import dataclass

UASC_VALUES = ("U", "UASC", "*UASC*", "*unaccompanied asylum*")


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What a council chose.

    one_block_per_child: ONE_BLOCK_PER_CHILD, adoption and care leavers go into the latest episode alone
    include_cp_plans:    COHORT_INCLUDE_CP_PLANS
    include_disabled:    COHORT_INCLUDE_DISABLED
    uasc_values:         UASC_VALUES, immigration statuses of unaccompanied children; `*` stands for any text
    person_ids:          COHORT_PERSON_IDS as `rows.id_key` gives them; None: everybody
    filter_ids:          the ids of COHORT_FILTER_TABLE as `rows.id_key` gives them; None: everybody
    """

    one_block_per_child: bool = False
    include_cp_plans: bool = False
    include_disabled: bool = False
    uasc_values: tuple[str, ...] = UASC_VALUES
    person_ids: frozenset[str] | None = None
    filter_ids: frozenset[str] | None = None
