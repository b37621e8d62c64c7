"""The blocks `child_and_family_assessments` and `section_47_assessments` (mapping 7, 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.blocks.elements import Element, element, put_date
from api_pipeline.staging.issues import ElementPath, IssueRule, Notes
from api_pipeline.staging.joins import OWN_ID, Joined, in_order
from api_pipeline.staging.rows import AssessmentFactors, Conference, S47Enquiry, id_key
from api_pipeline.staging.window import Window

_ASSESSMENT = Element("child_and_family_assessments", "child_and_family_assessment_id", tables.ASSESSMENT.name)
_ENQUIRY = Element("section_47_assessments", "section_47_assessment_id", tables.S47_ENQUIRY.name)
_STARTED, _BEGUN = attrgetter("assessment_start_date"), attrgetter("s47_start_date")
_FACTORS = _ASSESSMENT.field("factors[]")


def child_and_family_assessments(
    referral: str, episode: ElementPath, rows: Joined, window: Window, notes: Notes
) -> list[dict[str, Any]]:
    """Return the assessments of a referral that began or were authorised in the window."""
    blocks = []
    found = rows.assessments.get(referral, ())
    for row in in_order(found, _STARTED, OWN_ID):
        start, authorised = row.assessment_start_date, row.assessment_auth_date
        if not (window.holds(start) or window.holds(authorised)):
            notes.outside.append(_ASSESSMENT.path(episode, row.assessment_id))
            continue
        block = element(_ASSESSMENT, row.assessment_id, notes)
        put_date(block, "start_date", start)
        put_date(block, "authorisation_date", authorised)
        block["factors"] = _factors(rows.factors.get(id_key(row.assessment_id), ()), row.assessment_id, notes)
        block["purge"] = False
        blocks.append(block)
    return blocks


def _factors(rows: Sequence[AssessmentFactors], assessment: str, notes: Notes) -> list[str]:
    """Return the factors of all rows of an assessment."""
    table, path = tables.ASSESSMENT_FACTORS.name, _FACTORS
    codes: list[str] = []
    for row in sorted(rows, key=OWN_ID) if len(rows) > 1 else rows:
        stored = convert.stored_factors(row.assessment_factors_json or "")
        if stored is None:
            notes.note(IssueRule.FACTORS_UNREADABLE, path, table, row.table_id)
            continue
        codes += stored[0]
        if not stored[1]:
            notes.note(IssueRule.CODE_NOT_LISTED, path, table, row.table_id)
    factors, drops_21, is_cut = convert.limited_factors(codes)
    if drops_21:
        notes.note(IssueRule.FACTOR_21_NOT_ALONE, path, tables.ASSESSMENT.name, assessment)
    if is_cut:
        notes.note(IssueRule.FACTORS_OVER_41, path, tables.ASSESSMENT.name, assessment)
    return factors


def section_47_assessments(
    referral: str, episode: ElementPath, rows: Joined, window: Window, notes: Notes
) -> list[dict[str, Any]]:
    """Return the enquiries of a referral that touch the window, or whose latest conference is in it."""
    blocks = []
    for row in in_order(rows.s47_enquiries.get(referral, ()), _BEGUN, OWN_ID):
        conference = _latest(rows.conferences.get(id_key(row.s47_enquiry_id), ()))
        if not (window.overlaps(row.s47_start_date, row.s47_end_date) or window.holds(conference)):
            notes.outside.append(_ENQUIRY.path(episode, row.s47_enquiry_id))
            continue
        block = element(_ENQUIRY, row.s47_enquiry_id, notes)
        put_date(block, "start_date", row.s47_start_date)
        _put_conference_flag(block, row, notes)
        put_date(block, "icpc_date", conference)
        put_date(block, "end_date", row.s47_end_date)
        block["purge"] = False
        blocks.append(block)
    return blocks


def _latest(rows: Sequence[Conference]) -> datetime | None:
    return max((row.icpc_date for row in rows if row.icpc_date is not None), default=None)


def _put_conference_flag(block: dict[str, Any], row: S47Enquiry, notes: Notes) -> None:
    if row.s47_outcome_json is None:
        return
    said = convert.outcome_flag(row.s47_outcome_json)
    required = None if said is None else convert.flag(said)
    if required is None:
        rule = IssueRule.OUTCOME_UNREADABLE if said is None else IssueRule.FLAG_NOT_RECOGNISED
        notes.note(rule, _ENQUIRY.field("icpc_required_flag"), _ENQUIRY.table, row.s47_enquiry_id)
    elif isinstance(required, bool):
        block["icpc_required_flag"] = required
