"""Deal the rows of a chunk of people out to the people they belong to (the joins that `rows.PersonRows` promises).

Pure. Ids are compared as they are written, and where nothing is written so, as SQL Server compares them: without
regard to case and outer spaces. Two ids that differ in case alone are never mixed up where both exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

from api_pipeline.staging import tables
from api_pipeline.staging.rows import Person, PersonRows, Professional, id_key
from api_pipeline.staging.tables import SsdTable

Rows: TypeAlias = "Mapping[str, Sequence[Any]]"
OF_OTHERS = "ssd_cin_episodes_of_others"

# By which column the rows of a table belong to a person directly.
_BY_PERSON = (
    tables.DISABILITY,
    tables.ADDRESS,
    tables.LINKED_IDENTIFIER,
    tables.IMMIGRATION_STATUS,
    tables.SDQ_SCORE,
    tables.CIN_EPISODE,
    tables.CARE_LEAVER,
)
# What is dealt out to people, besides the professionals, who are shared.
_LISTS = [table.member for table in tables.SSD_TABLES if table not in (tables.PERSON, tables.PROFESSIONAL)]
_PERSON, _REFERRAL = attrgetter("person_id"), attrgetter("referral_id")


class Index:
    """Find the people that an id belongs to."""

    def __init__(self) -> None:
        self._exact: dict[str, list[PersonRows]] = {}
        self._folded: dict[str, list[str]] | None = None

    def add(self, identifier: str | None, person: PersonRows) -> None:
        """Record that an id belongs to a person."""
        if not identifier:
            return
        owners = self._exact.get(identifier)
        if owners is None:
            self._exact[identifier] = [person]
            self._folded = None
        elif not any(owner is person for owner in owners):
            owners.append(person)

    def of(self, identifier: str | None) -> Sequence[PersonRows]:
        """Return the people that an id belongs to; none where nobody is known, or more than one id may be meant."""
        if not identifier:
            return ()
        if identifier in self._exact:
            return self._exact[identifier]
        candidates = self._by_key().get(id_key(identifier), ())
        return self._exact[candidates[0]] if len(candidates) == 1 else ()

    def _by_key(self) -> dict[str, list[str]]:
        # Made when it is first asked for: nearly every id is found as it is written.
        if self._folded is None:
            self._folded = {}
            for identifier in self._exact:
                self._folded.setdefault(id_key(identifier), []).append(identifier)
        return self._folded


def joined(rows: Rows, professionals: dict[str, Professional]) -> list[PersonRows]:
    """Return everything about each person of a chunk, in the order of the people's rows.

    `rows` are the rows by the name of their statement; a table that was not read is taken as empty. `professionals`
    are all professionals by `id_key` of their id.
    """
    rows = {name: _once(found) for name, found in rows.items()}
    everybody = _people(rows.get(tables.PERSON.name, ()))
    people, referrals, enquiries, assessments, periods = Index(), Index(), Index(), Index(), Index()
    for person in everybody:
        people.add(person.person.person_id, person)
    for table in _BY_PERSON:
        _deal_by(rows, table, people, _PERSON)
    for person in everybody:
        for episode in person.cin_episodes:
            referrals.add(episode.referral_id, person)

    def of_person_or_referral(row: Any) -> Iterable[PersonRows]:
        return _without_repeats(people.of(row.person_id), referrals.of(row.referral_id))

    for table in (tables.ASSESSMENT, tables.S47_ENQUIRY, tables.INVOLVEMENT):
        _deal_by(rows, table, referrals, _REFERRAL)
    for table in (tables.CIN_PLAN, tables.CP_PLAN, tables.CLA_EPISODE):
        _deal(rows, table, of_person_or_referral)
    for person in everybody:
        _note(assessments, person, (row.assessment_id for row in person.assessments))
        _note(enquiries, person, (row.s47_enquiry_id for row in person.s47_enquiries))
        _note(periods, person, (row.cla_id for row in person.cla_episodes))
    _deal_by(rows, tables.ASSESSMENT_FACTORS, assessments, attrgetter("assessment_id"))
    _deal_by(rows, tables.CONFERENCE, enquiries, attrgetter("s47_enquiry_id"))
    _deal_by(rows, tables.PLACEMENT, periods, attrgetter("cla_id"))
    _deal(rows, tables.PERMANENCE, lambda row: _without_repeats(people.of(row.person_id), periods.of(row.cla_id)))
    _deal_referrals_of_others(rows, everybody)
    for person in everybody:
        person.professionals = _professionals(person, professionals)
    return everybody


def _once(rows: Sequence[Any]) -> Sequence[Any]:
    """Return each row once: a view in place of a table may repeat rows."""
    return rows if len({row[0] for row in rows}) == len(rows) else list(dict.fromkeys(rows))


def _people(rows: Sequence[Person]) -> list[PersonRows]:
    """Return an empty record for each person; of two rows with one id, whichever comes first in the order of texts."""
    chosen: dict[str, Person] = {}
    for row in rows:
        other = chosen.get(row.person_id)
        chosen[row.person_id] = row if other is None else min(row, other, key=repr)
    return [PersonRows(person, **{name: [] for name in _LISTS}) for person in chosen.values()]


def _deal(rows: Rows, table: SsdTable, owners: Callable[[Any], Iterable[PersonRows]]) -> None:
    rows_of = attrgetter(table.member)
    for row in rows.get(table.name, ()):
        for person in owners(row):
            rows_of(person).append(row)


def _deal_by(rows: Rows, table: SsdTable, index: Index, key_of: Callable[[Any], str | None]) -> None:
    """Deal out rows that belong to whom one of their ids belongs to."""
    rows_of = attrgetter(table.member)
    found = rows.get(table.name, ())
    for row, identifier in zip(found, map(key_of, found), strict=True):
        for person in index.of(identifier):
            rows_of(person).append(row)


def _note(index: Index, person: PersonRows, identifiers: Iterable[str | None]) -> None:
    for identifier in identifiers:
        index.add(identifier, person)


def _deal_referrals_of_others(rows: Rows, everybody: Iterable[PersonRows]) -> None:
    others = rows.get(OF_OTHERS)
    if not others:
        return
    referrals = Index()
    for person in everybody:
        _note(referrals, person, (episode.referral_id for episode in person.cla_episodes))
    found: dict[int, list[Any]] = {}
    for row in others:
        for person in referrals.of(row.referral_id):
            found.setdefault(id(person), []).append(row)
    for person in everybody:
        person.referrals_of_others = found.get(id(person), ())


def _without_repeats(first: Sequence[PersonRows], second: Sequence[PersonRows]) -> Iterable[PersonRows]:
    if not first or not second:
        return first or second
    if len(first) == len(second) == 1 and first[0] is second[0]:
        return first
    return [*first, *(person for person in second if not any(person is other for other in first))]


def _professionals(person: PersonRows, professionals: dict[str, Professional]) -> Sequence[Professional]:
    keys = {id_key(found) for found in {row.professional_id for row in person.involvements} if found}
    return [professionals[key] for key in sorted(keys) if key in professionals]
