"""What can be seen of the staged records before anything is sent: `sdr check`, and the first step of `submit`.

The keys of courses, learners and enrolments are kept in memory, in few bytes each; the rest streams.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Protocol

from api_pipeline.logs.plain_text import harmless
from api_pipeline.run_summary import counted
from api_pipeline.sdr.difference import NotSendable, record_of
from api_pipeline.sdr.nouns import INDICATIVE, Collection, ReturnPeriod
from api_pipeline.sdr.outcome import Options
from api_pipeline.settings.definition import CheckLevel

_LONGEST_ID = 100
_PIECES = 256
_DATE_NAME = re.compile(r"(Date|OfBirth)$")
_MIDNIGHT_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T00:00(:00(\.0+)?)?(Z|[+-]00:?00)\Z", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T", re.ASCII)
_STUDENT = "studentIdentificationCode"
_COURSE = "courseCode"
_UNSENDABLE = "unsendable"

# Checks a record of a collection against TEC's own schema, where the user has it; returns the rules that are broken.
SchemaCheck = Callable[[Collection, dict[str, Any]], "list[str]"]


class Staged(Protocol):
    """Where staged records are read."""

    def staged(self, collection: Collection) -> Iterator[tuple[str, str]]:
        """Yield id and payload of each staged record of a collection."""

    def repeated(self, collection: Collection) -> frozenset[str]:
        """Return the ids that are staged more than once in a collection."""

    def count_staged(self) -> dict[str, int]:
        """Return how many records are staged of each collection."""


@dataclass(frozen=True, slots=True)
class CheckError:
    """What is wrong with a record. `rule` is a short word (unsendable: it never travels), `text` quotes no value."""

    collection: Collection
    local_id: str
    rule: str
    text: str


class Keys:
    """Many keys in eight bytes each: of a million, a set of texts would take a hundred megabytes.

    Two keys may share their hash; then, once in some ten million runs, a missing reference is not seen here.
    """

    def __init__(self) -> None:
        # Sorted piece by piece: as one list of numbers they would take five times their room for a moment.
        self._pieces = [array("Q") for _ in range(_PIECES)]

    def add(self, *parts: str) -> None:
        """Take in a key."""
        number = _hash(parts)
        self._pieces[number % _PIECES].append(number)

    def freeze(self) -> None:
        """Make the keys ready to be looked up: all of them are there."""
        self._pieces = [array("Q", sorted(piece)) for piece in self._pieces]

    def has(self, *parts: str) -> bool:
        """Return whether a key is there, once they are frozen."""
        number = _hash(parts)
        piece = self._pieces[number % _PIECES]
        place = bisect_left(piece, number)
        return place < len(piece) and piece[place] == number


def _hash(parts: tuple[str, ...]) -> int:
    return int.from_bytes(blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


@dataclass(slots=True)
class Known:
    """The keys that references are looked up in."""

    courses: set[str] = field(default_factory=set)
    learners: Keys = field(default_factory=Keys)
    enrolments: Keys = field(default_factory=Keys)


def misplaced(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many staged records stand under a word that is none of the five collections, by the word."""
    known = {one.value for one in Collection}
    return {name: count for name, count in counts.items() if name not in known}


def misplaced_text(words: Mapping[str, int]) -> str:
    """Return the sentence about records under other words."""
    return (
        f"{sum(words.values()):,} staged records are in no collection of a return and are not sent; expected "
        f"{', '.join(one.value for one in Collection)}"
    )


def id_error(local_id: str, repeated: Set[str] = frozenset()) -> str:
    """Return why an id cannot be used, "" where it can; `repeated` are those that stand there more than once."""
    if not local_id.strip():
        return "local_id is empty"
    if local_id != local_id.strip():
        return "local_id begins or ends with a blank, which SQL Server does not tell from the id without it"
    if len(local_id) > _LONGEST_ID:
        return f"local_id has more than {_LONGEST_ID} characters"
    if local_id in repeated:
        return "local_id stands in the staging table more than once, and TEC would keep the last of these records alone"
    return ""


def check_all(
    staged: Staged, collections: Iterable[Collection], *, indicative: bool = False, schema: SchemaCheck | None = None
) -> Iterator[CheckError]:
    """Yield every error of the staged records, collection by collection."""
    known = Known()
    wanted = set(collections)
    for collection in Collection:
        if collection in wanted or collection in INDICATIVE:
            yield from _check(staged, collection, known, schema, is_wanted=collection in wanted)
        if collection is Collection.LEARNERS:
            known.learners.freeze()
        elif collection is Collection.COURSE_ENROLMENTS:
            known.enrolments.freeze()
    if indicative:
        counts = staged.count_staged()
        for collection in Collection:
            if collection not in INDICATIVE and collection in wanted and counts.get(collection.value, 0):
                staged_now = counted(counts[collection.value], "{record is|records are}", ",")
                text = f"{staged_now} staged, which an indicative return does not take"
                yield CheckError(collection, "", "indicative", text)


def _check(
    staged: Staged, collection: Collection, known: Known, schema: SchemaCheck | None, *, is_wanted: bool
) -> Iterator[CheckError]:
    repeated = staged.repeated(collection)
    for local_id, payload in staged.staged(collection):
        reason = id_error(local_id, repeated)
        record: dict[str, Any] = {}
        try:
            _, record = record_of(local_id, payload)
        except NotSendable as error:
            reason = reason or str(error)
        if reason:
            if is_wanted:
                yield CheckError(collection, local_id, _UNSENDABLE, reason)
            continue
        found = list(_of_record(collection, record, known))
        if schema is not None:
            found += [("schema", rule) for rule in schema(collection, record)]
        if is_wanted:
            for rule, text in found:
                yield CheckError(collection, local_id, rule, text)


def _of_record(collection: Collection, record: dict[str, Any], known: Known) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, str) and _is_date(name) and not _is_midnight(value):
            if _DATE_TIME.match(value) and _is_day(value[:10]):
                yield "date", f"{name} is not midnight UTC (...T00:00:00Z), so TEC may store the day before or after"
            else:
                yield "date", f"{name} is not a day with a time; write it as midnight UTC (2001-11-30T00:00:00Z)"
    student, course = str(record.get(_STUDENT) or ""), str(record.get(_COURSE) or "")
    match collection:
        case Collection.COURSES:
            if course and course in known.courses:
                yield (
                    "course",
                    "courseCode stands in the register twice; every course of the enrolments stands there once",
                )
            known.courses.add(course)
        case Collection.LEARNERS:
            known.learners.add(student)
        case Collection.COURSE_ENROLMENTS:
            known.enrolments.add(student, course)
            if course not in known.courses:
                yield "course", "courseCode is not among the staged courses"
            if not known.learners.has(student):
                yield "learner", "studentIdentificationCode is not among the staged learners"
        case Collection.COURSE_COMPLETIONS:
            if not known.enrolments.has(student, course):
                yield "enrolment", "no staged enrolment has this studentIdentificationCode and courseCode"
        case Collection.QUALIFICATION_COMPLETIONS:
            if not known.learners.has(student):
                yield "learner", "studentIdentificationCode is not among the staged learners"


@lru_cache(4096)
def _is_date(name: str) -> bool:
    # Every record of a collection has the same names.
    return _DATE_NAME.search(name) is not None


def _is_midnight(value: str) -> bool:
    return _MIDNIGHT_UTC.match(value) is not None and _is_day(value[:10])


@lru_cache(4096)
def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Examined:
    """What the checks found, and the options of the submission after it.

    `errors` counts by collection, rule and text; `misplaced` are the staged records that are in no collection.
    """

    options: Options
    errors: Mapping[tuple[str, str, str], int]
    misplaced: int

    @property
    def withholds(self) -> bool:
        """Return whether a staged record is known not to be sent."""
        return bool(self.options.withheld) or any(rule == _UNSENDABLE for _, rule, _ in self.errors)


def examine(
    staged: Staged, period: ReturnPeriod, options: Options, level: CheckLevel, schema: SchemaCheck | None
) -> Examined:
    """Return the options with the collections that the return takes, and without the records that the checks reject."""
    # Without a sentence nobody would miss records under a word that is no collection.
    words = misplaced(staged.count_staged())
    errors = {(harmless(word), "collection", misplaced_text({word: count})): count for word, count in words.items()}
    withheld: set[tuple[Collection, str]] = set()
    if level != "off":
        for error in check_all(staged, options.collections, indicative=period.is_indicative, schema=schema):
            key = (error.collection.value, error.rule, error.text)
            errors[key] = errors.get(key, 0) + 1
            if level == "reject" and error.local_id:
                withheld.add((error.collection, error.local_id))
    taken = tuple(one for one in options.collections if one in INDICATIVE or not period.is_indicative)
    return Examined(
        replace(options, collections=taken, withheld=frozenset(withheld)), errors, misplaced=sum(words.values())
    )
