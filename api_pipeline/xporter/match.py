"""Propose UPNs: children of the SSD beside the landed pupils, by exact matches alone. Pure.

A proposal is for a worker to look at and to accept in the case system; it is never written to the SSD or a payload.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from api_pipeline.common.upn import LETTERS, check_letter

MISSING = "missing"
CHANGED = "changed"
ON_NO_ROLL = "on no roll"
IN_CARE_AT_SCHOOL = "in care at school"
IN_CARE_HERE = "in care here"
KINDS = {
    MISSING: "a child without a UPN has the name and birth date of exactly one pupil",
    CHANGED: "the SSD's UPN is the former one of a pupil",
    ON_NO_ROLL: "the SSD's UPN is at none of the schools, not even as a former one",
    IN_CARE_AT_SCHOOL: "the school has the child in care, the SSD does not",
    IN_CARE_HERE: "the SSD has the child in care, the school does not",
}
_UPN = re.compile(f"[{LETTERS}][0-9]{{11}}[0-9{LETTERS}]")
_UNKNOWN_FROM = ("UN4", "UN5")


@dataclass(frozen=True, slots=True)
class Person:
    """A child of the SSD."""

    person_id: str
    upn: str
    upn_unknown: str
    name: str
    sex: str
    is_in_care: bool

    @property
    def needs_upn(self) -> bool:
        """Return whether a UPN is missing."""
        return not self.upn or self.upn_unknown in _UNKNOWN_FROM


@dataclass(frozen=True, slots=True)
class Pupil:
    """A landed pupil; `names` are the keys of legal and used name. `is_in_care` None: the school does not say."""

    estab: str
    student_id: str
    upn: str
    former_upn: str
    names: frozenset[str]
    sex: str
    is_in_care: bool | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """One line for a worker."""

    person_id: str
    kind: str
    estab: str
    student_id: str
    upn: str | None
    former_upn: str | None
    is_valid_upn: bool


def proposals(people: Iterable[Person], pupils: Iterable[Pupil]) -> list[Proposal]:
    """Return what the two lists say of each other; where two candidates remain, nothing."""
    everybody = list(people)
    roll = list(pupils)
    by_name: dict[str, list[Pupil]] = defaultdict(list)
    by_upn: dict[str, list[Pupil]] = defaultdict(list)
    by_former: dict[str, list[Pupil]] = defaultdict(list)
    for pupil in roll:
        for name in pupil.names:
            by_name[name].append(pupil)
        if pupil.upn:
            by_upn[pupil.upn].append(pupil)
        if pupil.former_upn:
            by_former[pupil.former_upn].append(pupil)
    namesakes: dict[str, int] = defaultdict(int)
    for person in everybody:
        namesakes[person.name] += 1
    found: list[Proposal] = []
    for person in everybody:
        if person.needs_upn:
            if person.name and namesakes[person.name] == 1:
                found.extend(_only(person, MISSING, by_name.get(person.name, [])))
            continue
        if person.upn not in by_upn:
            # Whoever had that UPN is the same pupil, also at a school that has none of this pupil now.
            found.extend(_only(person, CHANGED, [pupil for pupil in by_former.get(person.upn, []) if pupil.upn]))
            if roll and person.upn not in by_former:
                found.append(Proposal(person.person_id, ON_NO_ROLL, "", "", None, None, is_valid_upn(person.upn)))
        found.extend(_care(person, by_upn.get(person.upn, [])))
    return found


def _only(person: Person, kind: str, candidates: list[Pupil]) -> list[Proposal]:
    """Return the one candidate that remains, with the sex as a tie-break; one UPN in two schools is one candidate.

    A pupil without a UPN may be the child as well as another, so nobody else is proposed beside such a pupil.
    """
    left = candidates
    if len(_identities(left)) > 1 and person.sex:
        left = [pupil for pupil in left if pupil.sex == person.sex]
    pupil = min(left, key=lambda pupil: (pupil.estab, pupil.student_id), default=None)
    if pupil is None or not pupil.upn or len(_identities(left)) > 1:
        return []
    return [_proposal(person, kind, pupil)]


def _identities(candidates: Iterable[Pupil]) -> set[str]:
    return {pupil.upn or f"{pupil.estab}/{pupil.student_id}" for pupil in candidates}


def _care(person: Person, pupils: list[Pupil]) -> list[Proposal]:
    said = {pupil.is_in_care for pupil in pupils} - {None}
    if len(said) != 1 or said == {person.is_in_care}:
        return []
    kind = IN_CARE_HERE if person.is_in_care else IN_CARE_AT_SCHOOL
    return [_proposal(person, kind, min(pupils, key=lambda pupil: (pupil.estab, pupil.student_id)))]


def _proposal(person: Person, kind: str, pupil: Pupil) -> Proposal:
    upn, former = pupil.upn or None, pupil.former_upn or None
    return Proposal(person.person_id, kind, pupil.estab, pupil.student_id, upn, former, is_valid_upn(pupil.upn))


def is_valid_upn(upn: str) -> bool:
    """Return whether a UPN has its form and the right check letter. A temporary one (a letter at its end) too."""
    return _UPN.fullmatch(upn) is not None and upn[0] == check_letter(upn[1:])


def name_key(surname: object, forename: object, born: object) -> str:
    """Return a key that is equal for equal names and birth dates, "" where a part is missing.

    Case, accents, blanks and signs make no difference; nothing else is forgiven.
    """
    day = str(born or "")[:10]
    parts = (_folded(surname), _folded(forename))
    return f"{parts[0]}/{parts[1]}/{day}" if all(parts) and len(day) == 10 else ""


def _folded(value: object) -> str:
    text = unicodedata.normalize("NFKD", str(value or "")).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def pupil_keys(row: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of a pupil's used and legal name; `row` has its members in lower case."""
    born = row.get("dateofbirth")
    used = name_key(row.get("surname"), row.get("forename"), born)
    legal = name_key(row.get("legalsurname"), row.get("legalforename"), born)
    return frozenset(key for key in (used, legal) if key)


def cohort_marks(people: Iterable[Person]) -> Set[str]:
    """Return by what a pupil is known as one of ours: UPNs, and, of children without one, their names' keys."""
    marks: set[str] = set()
    for person in people:
        if person.upn:
            marks.add(person.upn)
        if person.needs_upn and person.name:
            marks.add(person.name)
    return frozenset(marks)
