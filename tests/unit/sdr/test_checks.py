"""What the local checks see of staged records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.sdr.checks import Keys, check_all
from api_pipeline.sdr.nouns import Collection

_GOOD: dict[Collection, dict[str, dict[str, object]]] = {
    Collection.COURSES: {"c1": {"courseCode": "c1"}},
    Collection.LEARNERS: {"s1": {"studentIdentificationCode": "s1", "dateOfBirth": "1999-03-12T00:00:00Z"}},
    Collection.COURSE_ENROLMENTS: {"e1": {"studentIdentificationCode": "s1", "courseCode": "c1"}},
    Collection.COURSE_COMPLETIONS: {"e1": {"studentIdentificationCode": "s1", "courseCode": "c1"}},
    Collection.QUALIFICATION_COMPLETIONS: {"q1": {"studentIdentificationCode": "s1"}},
}


@dataclass
class Staging:
    """Staged records in memory."""

    rows: dict[Collection, dict[str, str]] = field(default_factory=dict)
    again: tuple[str, ...] = ()

    def staged(self, collection: Collection) -> Iterator[tuple[str, str]]:
        """Yield id and payload."""
        yield from self.rows.get(collection, {}).items()

    def repeated(self, collection: Collection) -> frozenset[str]:
        """Return the ids of `again`."""
        return frozenset(self.again) if collection is Collection.LEARNERS else frozenset()

    def count_staged(self) -> dict[str, int]:
        """Return the counts."""
        return {one.value: len(rows) for one, rows in self.rows.items()}


def _found(
    collection: Collection | None = None, local_id: str = "x", record: object = None, *, indicative: bool = False
) -> list[tuple[str, str]]:
    rows = {one: {key: orjson.dumps(value).decode() for key, value in group.items()} for one, group in _GOOD.items()}
    if collection is not None:
        rows[collection][local_id] = record if isinstance(record, str) else orjson.dumps(record).decode()
    return [(one.local_id, one.rule) for one in check_all(Staging(rows), tuple(Collection), indicative=indicative)]


def test_good_records_are_found_good() -> None:
    assert _found() == []


def test_ids_that_stand_there_twice_cannot_be_sent() -> None:
    rows = {Collection.LEARNERS: {"s1": "{}", "s2": "{}"}}
    found = [(one.local_id, one.rule) for one in check_all(Staging(rows, ("s2",)), Collection)]
    assert found == [("s2", "unsendable")]


def test_each_rule_finds_its_record() -> None:
    learner = {"studentIdentificationCode": "s2", "dateOfBirth": "1999-03-12T00:00:00+13:00"}
    assert _found(Collection.LEARNERS, "x", learner) == [("x", "date")]
    assert _found(Collection.COURSES, "x", {"courseCode": "c1"}) == [("x", "course")]
    enrolment = {"studentIdentificationCode": "s9", "courseCode": "c9"}
    assert _found(Collection.COURSE_ENROLMENTS, "x", enrolment) == [("x", "course"), ("x", "learner")]
    assert _found(Collection.COURSE_COMPLETIONS, "x", enrolment) == [("x", "enrolment")]
    assert _found(Collection.QUALIFICATION_COMPLETIONS, "x", {"studentIdentificationCode": "s9"}) == [("x", "learner")]
    assert _found(Collection.LEARNERS, "x ", {}) == [("x ", "unsendable")]
    assert _found(Collection.LEARNERS, "x", "[]") == [("x", "unsendable")]
    assert _found(Collection.LEARNERS, "x" * 101, {}) == [("x" * 101, "unsendable")]


@pytest.mark.parametrize(
    ("day", "is_found"),
    [
        ("1999-03-12T00:00:00.000+00:00", False),
        ("1999-03-12", True),
        ("12/03/1999", True),
        ("1999-03-12T00:00:00", True),
        ("1999-02-30T00:00:00Z", True),
    ],
)
def test_only_a_day_at_midnight_utc_passes_for_a_date(day: str, is_found: bool) -> None:
    record = {"studentIdentificationCode": "s2", "enrolmentDate": day, "sinceDate": None, "updated": day}
    assert _found(Collection.LEARNERS, "x", record) == [("x", "date")] * is_found


def test_completions_do_not_go_into_an_indicative_return() -> None:
    assert _found(indicative=True) == [("", "indicative"), ("", "indicative")]


@given(st.sets(st.text()), st.sets(st.text()))
def test_keys_know_what_was_added(added: set[str], others: set[str]) -> None:
    keys = Keys()
    for key in added:
        keys.add(key)
    keys.freeze()
    assert all(keys.has(key) for key in added)
    assert not any(keys.has(key) for key in others - added)
