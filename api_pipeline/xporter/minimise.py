"""Land only what is about the council's own children, where the settings ask for that (KEEP_UNMATCHED=false). Pure.

The School Data API cannot filter by UPN in bulk: all rows pass through memory, and the rest are counted and dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from typing import Any

import orjson

from api_pipeline.xporter.catalogue import Column, Endpoint, Owner
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.match import pupil_keys
from api_pipeline.xporter.values import Row, lowered, member_of, text_of, texts_of

# Columns that list pupils: by the Ids that their rows have, and by Ids of other kinds, which say nothing more.
ID_LISTS = frozenset({"studentids", "studentsiblingids"})
_OTHER_LISTS = frozenset({"studentidaasids", "studentxids"})
_LISTS = ID_LISTS | _OTHER_LISTS
_PAIRS = "StudentSiblings"
_PERSON_TYPE = "persontype"
_PUPILS = ("student", "pupil")
_STUDENT_NAMES = ("studentid", "studentmis_id", "student_misid", "studentmisid", "student_id")


def matched_pupils(rows: Iterable[Row], cohort: Set[str]) -> list[Row]:
    """Return the pupils who are in the cohort: by UPN or former UPN, or, of children without one, by exact name and
    birth date (`match.cohort_marks`)."""
    return [row for row in rows if _is_ours(row, cohort)]


def _is_ours(row: Row, cohort: Set[str]) -> bool:
    if not cohort.isdisjoint({text_of(row, name).upper() for name in ("upn", "formerupn")} - {""}):
        return True
    return not cohort.isdisjoint(pupil_keys(lowered(row)))


def owned_rows(
    landing: Landing,
    rows: Iterable[Row],
    students: Set[str],
    in_answer: Mapping[str, Iterable[Row]],
    landed: Mapping[Column, Set[str]],
) -> list[Row]:
    """Return the rows that are about one of `students`; all of a table that is about nobody.

    `in_answer` has the other tables of the answer by their names in the catalogue, themselves not yet minimised;
    `landed` the values of columns of other endpoints.
    """
    owner = landing.table.owner
    if owner is None:
        return list(rows)
    allowed = _allowed(owner, students, in_answer, landed)
    names = _owner_names(landing, owner)
    has_others = may_be_of_others(landing)
    kept = []
    for row in rows:
        if has_others and text_of(row, _PERSON_TYPE).lower() not in _PUPILS:
            continue
        if _person(row, names) in allowed:
            kept.append(row)
    if landing.table.name == _PAIRS:
        return [row for row in kept if _names_siblings_among(row, students)]
    return kept


def _owner_names(landing: Landing, owner: Owner) -> tuple[str, ...]:
    """Return the members, in lower case, that may say whom a row is about; more where they are not published."""
    column = owner.column.lower()
    return (column,) if landing.table.is_published else (column, *_STUDENT_NAMES)


def _person(row: Row, names: Iterable[str]) -> str:
    """Return whom a row is about: the first of these members that it has. The others are numbers of another kind."""
    values = (member_of(row, name) for name in names)
    return str(next((value for value in values if value is not None), "")).strip()


def may_be_of_others(landing: Landing) -> bool:
    """Return whether the rows of a table may be about staff or contacts as well, whose Ids are numbers of their own."""
    owner = landing.table.owner
    return owner is not None and owner.column.lower() == "personid"


def may_name_pupil(landing: Landing, member: str) -> bool:
    """Return whether a member of a table with an owner may say whom a row is about."""
    lowered = member.lower()
    owner, is_pair = landing.table.owner, landing.table.name == _PAIRS
    if lowered == _PERSON_TYPE:
        return may_be_of_others(landing)
    return owner is not None and (lowered in _owner_names(landing, owner) or (is_pair and "sibling" in lowered))


def is_about(landing: Landing, row: Row, pupils: Set[str]) -> bool:
    """Return whether a row of a table with an owner is about one of `pupils`, as far as its members say so."""
    owner = landing.table.owner
    if owner is None:
        return False
    # A row that does not say what its person is may be about a pupil.
    if may_be_of_others(landing) and text_of(row, _PERSON_TYPE).lower() not in ("", *_PUPILS):
        return False
    about = {_person(row, _owner_names(landing, owner))}
    if landing.table.name == _PAIRS:
        about |= _siblings(row)
    return not pupils.isdisjoint(about)


def _names_siblings_among(row: Row, students: Set[str]) -> bool:
    """Return whether a row names siblings and all of them are `students`; its columns are not published."""
    siblings = _siblings(row)
    return bool(siblings) and siblings <= students


def _siblings(row: Row) -> set[str]:
    return texts_of([row], *(name.lower() for name in row if "sibling" in name.lower()))


def without_others(rows: list[Row], students: Set[str]) -> list[Row]:
    """Return the rows with lists of pupils that name `students` alone; a list by Ids of another kind is emptied."""
    have_lists = any(name.lower() in _LISTS for shape in {tuple(row) for row in rows} for name in shape)
    if not have_lists:
        return rows
    return [{name: _only(name.lower(), value, students) for name, value in row.items()} for row in rows]


def _only(lowered: str, value: Any, students: Set[str]) -> Any:
    if lowered in _OTHER_LISTS:
        return None
    if value is None or lowered not in ID_LISTS:
        return value
    return ",".join(key for key in ids_in(value) if key in students) or None


def ids_in(value: Any) -> list[str]:
    """Return the Ids of a list of pupils, which comes as an array, or its text, or with commas between."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(orjson.JSONDecodeError):
            value = orjson.loads(value)
    ids = value if isinstance(value, list) else str(value).split(",")
    return [text for one in ids if (text := str(one).strip())]


def _allowed(
    owner: Owner,
    students: Set[str],
    in_answer: Mapping[str, Iterable[Row]],
    landed: Mapping[Column, Set[str]],
) -> Set[str]:
    if not owner.table:
        return students
    if owner.endpoint:
        return landed.get(Column(owner.endpoint, owner.table, owner.there), frozenset())
    through = in_answer.get(owner.table, [])
    ours = (row for row in through if not students.isdisjoint(texts_of([row], *_STUDENT_NAMES)))
    return texts_of(ours, owner.there.lower())


def landed_sources(endpoint: Endpoint) -> set[Column]:
    """Return the columns of other endpoints that tie this endpoint's rows to pupils."""
    owners = (table.owner for table in endpoint.tables)
    return {Column(owner.endpoint, owner.table, owner.there) for owner in owners if owner and owner.endpoint}
