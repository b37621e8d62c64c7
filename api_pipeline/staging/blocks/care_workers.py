"""The block `care_worker_details` (mapping 7.5)."""

from __future__ import annotations

from api_pipeline.staging import conversions as convert
from api_pipeline.staging.blocks.elements import EPISODES, Block, Episode, put_date
from api_pipeline.staging.groups import Groups, by_start
from api_pipeline.staging.issues import IssueRule, Notes
from api_pipeline.staging.rows import Involvement, id_key
from api_pipeline.staging.window import Window

_WORKER_ID = f"{EPISODES}[].care_worker_details[].worker_id"
_CASE_WORKER = "CW"


def care_worker_details(of: Episode) -> list[Block]:
    """Return the registered case workers who managed a referral with a child in need plan on a census date.

    A worker stands once with the same dates: children who share a referral may each have an involvement of theirs.
    """
    involvements = of.rows.involvements.get(of.referral)
    if not involvements or not _has_plan(of):
        return []
    found = []
    for row in involvements:
        if _is_counted(row, of.window) and _is_case_worker(row) and (number := _registration_number(row, of.rows)):
            found.append((number, row))
    found.sort(key=lambda one: (*by_start(one[1].involvement_start_date, one[0]), one[1].involvements_id))
    blocks = [_worker(number, row, of.notes) for number, row in found]
    return blocks if len(blocks) < 2 else list({tuple(block.items()): block for block in blocks}.values())


def _has_plan(of: Episode) -> bool:
    plans = of.rows.cin_plans.get(of.referral, ())
    return any(of.window.overlaps(row.cin_plan_start_date, row.cin_plan_end_date) for row in plans)


def _registration_number(row: Involvement, rows: Groups) -> str:
    if row.professional_id is None:
        return ""
    professionals = rows.professionals.get(id_key(row.professional_id), ())
    return convert.trimmed(professionals[0].social_worker_registration_no) if professionals else ""


def _is_case_worker(row: Involvement) -> bool:
    return convert.trimmed(row.professional_role_id).upper() == _CASE_WORKER


def _is_counted(row: Involvement, window: Window) -> bool:
    start, end = row.involvement_start_date, row.involvement_end_date
    if start is None:
        return False
    for day in window.census_dates:  # noqa: SIM110 - a generator for each involvement would cost more than the test
        if start <= day and (end is None or end >= day):
            return True
    return False


def _worker(number: str, row: Involvement, notes: Notes) -> Block:
    block: Block = {}
    found = convert.worker_id(number)
    if found is None:
        notes.withhold(IssueRule.ID_ILL_FORMED, _WORKER_ID)
    else:
        block["worker_id"] = found
    put_date(block, "start_date", row.involvement_start_date)
    put_date(block, "end_date", row.involvement_end_date)
    return block
