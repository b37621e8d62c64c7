"""The rows of one person by the ids they are joined by, and the order in which rows are taken (mapping 3, 10). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from api_pipeline.staging.rows import (
    Assessment,
    AssessmentFactors,
    CinPlan,
    ClaEpisode,
    Conference,
    CpPlan,
    Involvement,
    PersonRows,
    Placement,
    Professional,
    S47Enquiry,
    id_key,
)

Row = TypeVar("Row")

_EARLIEST = datetime.min  # noqa: DTZ901 - the SSD's dates have no zone
_LATEST = datetime.max  # noqa: DTZ901 - as above


@dataclass(slots=True)
class Joined:
    """A person's rows, grouped by the `rows.id_key` of what each belongs to.

    By referral: assessments, cin_plans, s47_enquiries, cp_plans, care, involvements. By assessment: factors. By
    enquiry: conferences. By period of care: placements. By placement: care_of_placement. By id: professionals.
    """

    assessments: dict[str, list[Assessment]]
    factors: dict[str, list[AssessmentFactors]]
    cin_plans: dict[str, list[CinPlan]]
    s47_enquiries: dict[str, list[S47Enquiry]]
    conferences: dict[str, list[Conference]]
    cp_plans: dict[str, list[CpPlan]]
    care: dict[str, list[ClaEpisode]]
    care_of_placement: dict[str, list[ClaEpisode]]
    placements: dict[str, list[Placement]]
    involvements: dict[str, list[Involvement]]
    professionals: dict[str, list[Professional]]


def joined(rows: PersonRows) -> Joined:
    """Return the rows of a person by what they belong to; those that belong to nothing are in none of the groups."""
    return Joined(
        assessments=_grouped(rows.assessments, lambda row: row.referral_id),
        factors=_grouped(rows.factors, lambda row: row.assessment_id),
        cin_plans=_grouped(rows.cin_plans, lambda row: row.referral_id),
        s47_enquiries=_grouped(rows.s47_enquiries, lambda row: row.referral_id),
        conferences=_grouped(rows.conferences, lambda row: row.s47_enquiry_id),
        cp_plans=_grouped(rows.cp_plans, lambda row: row.referral_id),
        care=_grouped(rows.cla_episodes, lambda row: row.referral_id),
        care_of_placement=_grouped(rows.cla_episodes, lambda row: row.cla_placement_id),
        placements=_grouped(rows.placements, lambda row: row.cla_id),
        involvements=_grouped(rows.involvements, lambda row: row.referral_id),
        professionals=_grouped(rows.professionals, lambda row: row.professional_id),
    )


def _grouped(rows: Iterable[Row], owner: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = owner(row)
        if key is not None:
            groups.setdefault(id_key(key), []).append(row)
    return groups


def newest(rows: Sequence[Row], moment: Callable[[Row], datetime | None], key: Callable[[Row], str]) -> Row:
    """Return the row with the latest date, rows without one last; of equal ones that with the first key.

    There must be a row.
    """
    if len(rows) == 1:
        return rows[0]
    return max(sorted(rows, key=key), key=lambda row: moment(row) or _EARLIEST)


def by_start(start: datetime | None, key: str) -> tuple[datetime, str]:
    """Return what the elements of an array are sorted by: start, unknown ones last, then id."""
    return (start or _LATEST, key)
