"""The blocks `child_and_family_assessments` and `section_47_assessments` (mapping 7, 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.blocks.elements import Block, Element, Episode, put_date, put_flag
from api_pipeline.staging.groups import OWN_ID, in_order
from api_pipeline.staging.issues import IssueRule, Notes
from api_pipeline.staging.rows import AssessmentFactors, Conference, S47Enquiry, id_key

_ASSESSMENT = Element("child_and_family_assessments", "child_and_family_assessment_id")
_ENQUIRY = Element("section_47_assessments", "section_47_assessment_id")
_STARTED, _BEGUN = attrgetter("assessment_start_date"), attrgetter("s47_start_date")
_FACTORS = _ASSESSMENT.field("factors[]")
_CONFERENCE_FLAG = _ENQUIRY.field("icpc_required_flag")


def child_and_family_assessments(of: Episode) -> list[Block]:
    """Return the assessments of a referral that began or were authorised in the window."""
    blocks = []
    for row in in_order(of.rows.assessments.get(of.referral, ()), _STARTED):
        start, authorised = row.assessment_start_date, row.assessment_auth_date
        if not (of.window.holds(start) or of.window.holds(authorised)):
            _ASSESSMENT.leave_out(row.assessment_id, of)
            continue
        block = _ASSESSMENT.new(row.assessment_id, of.notes)
        put_date(block, "start_date", start)
        put_date(block, "authorisation_date", authorised)
        stored = of.rows.factors.get(id_key(row.assessment_id), ())
        block["factors"] = _factors(stored, row.assessment_id, of.notes)
        block["purge"] = False
        blocks.append(block)
    return blocks


def _factors(rows: Sequence[AssessmentFactors], assessment: str, notes: Notes) -> list[str]:
    """Return the factors of all rows of an assessment."""
    codes: list[str] = []
    for row in sorted(rows, key=OWN_ID) if len(rows) > 1 else rows:
        stored = convert.stored_factors(row.assessment_factors_json or "")
        if stored is None:
            notes.note(IssueRule.FACTORS_UNREADABLE, _FACTORS, row.table_id)
            continue
        codes += stored[0]
        if not stored[1]:
            notes.note(IssueRule.CODE_NOT_LISTED, _FACTORS, row.table_id)
    factors, drops_21, is_cut = convert.limited_factors(codes)
    if drops_21:
        notes.note(IssueRule.FACTOR_21_NOT_ALONE, _FACTORS, assessment, table=tables.ASSESSMENT.name)
    if is_cut:
        notes.note(IssueRule.FACTORS_OVER_41, _FACTORS, assessment, table=tables.ASSESSMENT.name)
    return factors


def section_47_assessments(of: Episode) -> list[Block]:
    """Return the enquiries of a referral that touch the window, or whose latest conference is in it."""
    blocks = []
    for row in in_order(of.rows.s47_enquiries.get(of.referral, ()), _BEGUN):
        conference = _latest(of.rows.conferences.get(id_key(row.s47_enquiry_id), ()))
        if not (of.window.overlaps(row.s47_start_date, row.s47_end_date) or of.window.holds(conference)):
            _ENQUIRY.leave_out(row.s47_enquiry_id, of)
            continue
        block = _ENQUIRY.new(row.s47_enquiry_id, of.notes)
        put_date(block, "start_date", row.s47_start_date)
        _put_conference_flag(block, row, of.notes)
        put_date(block, "icpc_date", conference)
        put_date(block, "end_date", row.s47_end_date)
        block["purge"] = False
        blocks.append(block)
    return blocks


def _latest(rows: Sequence[Conference]) -> datetime | None:
    return max((row.icpc_date for row in rows if row.icpc_date is not None), default=None)


def _put_conference_flag(block: Block, row: S47Enquiry, notes: Notes) -> None:
    if row.s47_outcome_json is None:
        return
    said = convert.outcome_flag(row.s47_outcome_json)
    if said is None:
        notes.note(IssueRule.OUTCOME_UNREADABLE, _CONFERENCE_FLAG, row.s47_enquiry_id)
    else:
        put_flag(block, _CONFERENCE_FLAG, convert.flag(said), row.s47_enquiry_id, notes)
