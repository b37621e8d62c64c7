"""The blocks `child_in_need_plans` and `child_protection_plans` (mapping 7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import TypeAlias

from api_pipeline.staging.blocks.elements import Block, Element, Episode, put_date
from api_pipeline.staging.groups import in_order

# Id, start and end.
_Spell: TypeAlias = "tuple[str, datetime | None, datetime | None]"
_CIN = Element("child_in_need_plans", "child_in_need_plan_id")
_CP = Element("child_protection_plans", "child_protection_plan_id")


def child_in_need_plans(of: Episode) -> list[Block]:
    """Return the child in need plans of a referral that touch the window."""
    found = of.rows.cin_plans.get(of.referral, ())
    return _plans(_CIN, [(row.cin_plan_id, row.cin_plan_start_date, row.cin_plan_end_date) for row in found], of)


def child_protection_plans(of: Episode) -> list[Block]:
    """Return the child protection plans of a referral that touch the window."""
    found = of.rows.cp_plans.get(of.referral, ())
    return _plans(_CP, [(row.cp_plan_id, row.cp_plan_start_date, row.cp_plan_end_date) for row in found], of)


def _plans(kind: Element, spells: Sequence[_Spell], of: Episode) -> list[Block]:
    blocks = []
    for key, start, end in in_order(spells, itemgetter(1)):
        if not of.window.overlaps(start, end):
            kind.leave_out(key, of)
            continue
        block = kind.new(key, of.notes)
        put_date(block, "start_date", start)
        put_date(block, "end_date", end)
        block["purge"] = False
        blocks.append(block)
    return blocks
