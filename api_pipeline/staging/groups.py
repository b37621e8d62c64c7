"""The rows of one person by the ids they are joined by, and the order in which rows are taken (mapping 3, 10). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

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
_Owned = TypeVar("_Owned", Assessment, CinPlan, S47Enquiry, CpPlan)
_Keyed = TypeVar("_Keyed", bound="tuple[Any, ...]")

_ASSESSMENT_ID = attrgetter("assessment_id")
_CLA_ID = attrgetter("cla_id")
_CLA_PLACEMENT_ID = attrgetter("cla_placement_id")
_PROFESSIONAL_ID = attrgetter("professional_id")
_REFERRAL_ID = attrgetter("referral_id")
_S47_ENQUIRY_ID = attrgetter("s47_enquiry_id")
OWN_ID: Callable[[Any], str] = itemgetter(0)
_EARLIEST = datetime.min  # noqa: DTZ901 - the SSD's dates have no zone
_LATEST = datetime.max  # noqa: DTZ901 - as above


@dataclass(slots=True)
class Groups:
    """A person's rows, grouped by the `rows.id_key` of what each belongs to.

    By referral: assessments, cin_plans, s47_enquiries, cp_plans, care, involvements; each id of the first four once,
    the person's own row before that of another who shares the referral. By assessment: factors. By enquiry:
    conferences. By period of care: placements. By placement: care_of_placement, of the person alone where that has
    rows. By id: professionals. `own_periods` are the person's periods of care.
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
    own_periods: frozenset[str]


def grouped(rows: PersonRows) -> Groups:
    """Return the rows of a person by what they belong to; those that belong to nothing are in none of the groups."""
    own = id_key(rows.person.person_id)
    own_care = [row for row in rows.cla_episodes if _is_of(row, own)]
    return Groups(
        assessments=_each_once(_grouped(rows.assessments, _REFERRAL_ID), own),
        factors=_grouped(rows.factors, _ASSESSMENT_ID),
        cin_plans=_each_once(_grouped(rows.cin_plans, _REFERRAL_ID), own),
        s47_enquiries=_each_once(_grouped(rows.s47_enquiries, _REFERRAL_ID), own),
        conferences=_grouped(rows.conferences, _S47_ENQUIRY_ID),
        cp_plans=_each_once(_grouped(rows.cp_plans, _REFERRAL_ID), own),
        care=_grouped(rows.cla_episodes, _REFERRAL_ID),
        care_of_placement={**_grouped(rows.cla_episodes, _CLA_PLACEMENT_ID), **_grouped(own_care, _CLA_PLACEMENT_ID)},
        placements=_grouped(rows.placements, _CLA_ID),
        involvements=_grouped(rows.involvements, _REFERRAL_ID),
        professionals=_grouped(rows.professionals, _PROFESSIONAL_ID),
        own_periods=frozenset(id_key(row.cla_id) for row in own_care if row.cla_id is not None),
    )


def _grouped(rows: Iterable[Row], owner: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = owner(row)
        if key is None:
            continue
        key = id_key(key)
        if key in groups:
            groups[key].append(row)
        else:
            groups[key] = [row]
    return groups


def _each_once(groups: dict[str, list[_Owned]], own: str) -> dict[str, list[_Owned]]:
    for key, rows in groups.items():
        if len(rows) > 1:
            groups[key] = each_once(rows, lambda row: _is_of(row, own))
    return groups


def _is_of(row: _Owned | ClaEpisode, own: str) -> bool:
    return row.person_id is not None and id_key(row.person_id) == own


def each_once(rows: Sequence[_Keyed], is_own: Callable[[_Keyed], bool]) -> list[_Keyed]:
    """Return rows in which no id stands twice: the person's own, else whichever comes first in the order of texts.

    Case systems give children of one family the same ids, and the receiver knows the parts of an episode by them alone.
    """
    if len({row[0].strip(" ") for row in rows}) == len(rows):
        return list(rows)
    chosen: dict[str, _Keyed] = {}
    for row in sorted(rows, key=lambda one: (not is_own(one), repr(one))):
        chosen.setdefault(row[0].strip(" "), row)
    return list(chosen.values())


def in_order(rows: Sequence[Row], start: Callable[[Row], datetime | None]) -> Sequence[Row]:
    """Return rows as the elements of an array are sorted: by start, unknown ones last, then by their own id."""
    return rows if len(rows) < 2 else sorted(rows, key=lambda row: by_start(start(row), OWN_ID(row)))


def newest(rows: Sequence[Row], moment: Callable[[Row], datetime | None]) -> Row:
    """Return the row with the latest date, rows without one last; of equal ones that with the first id of its own.

    There must be a row.
    """
    if len(rows) == 1:
        return rows[0]
    # A date of year 1 is a database's default; it is known all the same.
    return max(sorted(rows, key=OWN_ID), key=lambda row: (moment(row) is not None, moment(row) or _EARLIEST))


def by_start(start: datetime | None, key: str) -> tuple[datetime, str]:
    """Return what the elements of an array are sorted by: start, unknown ones last, then id."""
    return (start or _LATEST, key)
