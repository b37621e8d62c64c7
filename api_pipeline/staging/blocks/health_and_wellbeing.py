"""The block `health_and_wellbeing` (mapping 5)."""

from __future__ import annotations

from operator import attrgetter

from api_pipeline.staging import conversions as convert
from api_pipeline.staging.blocks.elements import Block
from api_pipeline.staging.conversions import BLANK
from api_pipeline.staging.groups import in_order
from api_pipeline.staging.issues import IssueRule, Notes
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.window import Window

_COMPLETED = attrgetter("sdq_completed_date")
_SCORE = "health_and_wellbeing.sdq_assessments[].score"


def health_and_wellbeing(rows: PersonRows, window: Window, notes: Notes) -> Block | None:
    """Return the SDQs of the window that have a score, by date; None where there are none."""
    scores = []
    has_others = False
    for row in in_order(rows.sdq, _COMPLETED):
        if row.sdq_score is None:
            continue
        if row.sdq_completed_date is None or not window.holds(row.sdq_completed_date):
            has_others = True
            continue
        score = convert.score(row.sdq_score)
        if score is None:
            notes.note(IssueRule.SCORE_NOT_INTEGER, _SCORE, row.table_id)
        elif score != BLANK:
            scores.append({"date": convert.day(row.sdq_completed_date), "score": score})
    if scores:
        return {"sdq_assessments": scores, "purge": False}
    if has_others:
        notes.outside.append(("health_and_wellbeing",))
    return None
