"""The blocks `child_in_need_plans` and `child_protection_plans` (mapping 7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeAlias

from api_pipeline.staging import tables
from api_pipeline.staging.blocks.elements import Element, element, put_date
from api_pipeline.staging.issues import ElementPath, Notes
from api_pipeline.staging.joins import OWN_ID, Joined, in_order
from api_pipeline.staging.window import Window

_Spell: TypeAlias = "tuple[str, datetime | None, datetime | None]"
_CIN = Element("child_in_need_plans", "child_in_need_plan_id", tables.CIN_PLAN.name)
_CP = Element("child_protection_plans", "child_protection_plan_id", tables.CP_PLAN.name)


def child_in_need_plans(
    referral: str, episode: ElementPath, rows: Joined, window: Window, notes: Notes
) -> list[dict[str, Any]]:
    """Return the child in need plans of a referral that touch the window."""
    spells = [
        (row.cin_plan_id, row.cin_plan_start_date, row.cin_plan_end_date) for row in rows.cin_plans.get(referral, ())
    ]
    return _plans(_CIN, spells, episode, window, notes)


def child_protection_plans(
    referral: str, episode: ElementPath, rows: Joined, window: Window, notes: Notes
) -> list[dict[str, Any]]:
    """Return the child protection plans of a referral that touch the window."""
    spells = [(row.cp_plan_id, row.cp_plan_start_date, row.cp_plan_end_date) for row in rows.cp_plans.get(referral, ())]
    return _plans(_CP, spells, episode, window, notes)


def _plans(
    kind: Element, spells: Sequence[_Spell], episode: ElementPath, window: Window, notes: Notes
) -> list[dict[str, Any]]:
    blocks = []
    for key, start, end in in_order(spells, itemgetter(1), OWN_ID):
        if not window.overlaps(start, end):
            notes.outside.append(kind.path(episode, key))
            continue
        block = element(kind, key, notes)
        put_date(block, "start_date", start)
        put_date(block, "end_date", end)
        block["purge"] = False
        blocks.append(block)
    return blocks
