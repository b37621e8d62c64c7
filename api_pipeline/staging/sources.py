"""What a payload was built from, as one hash: while that hash and the days that count are the same, so is the payload.

A payload is a function of the person's rows, the window and the options (`build.build_payload`). So a hash of all of
them, kept from one staging to the next, tells that it need not be built again. Days are kept beside the hash: the
window's end moves every night, and what it decides changes only when it passes one of the person's dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from operator import attrgetter, itemgetter
from pathlib import Path

import orjson

from api_pipeline._version import __version__
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import tables
from api_pipeline.staging.issues import Issue, IssueRule
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.window import Window, years_after

_PACKAGE = Path(__file__).parents[1]
# At which ages the cohort asks whether a birthday lies before the window's end (cohort.is_care_leaver) or its start.
_AGES = (16, 26)
_LATEST_BIRTH = 9900
_lists_of = attrgetter(*(name for name in PersonRows.__slots__ if name != "person"))
_OWN_ID = itemgetter(0)


def _places(table: tables.SsdTable) -> tuple[int, ...]:
    return tuple(n for n, column in enumerate(table.columns) if column.kind is tables.SsdKind.DATE)


_DATES = {table.member: _places(table) for table in tables.SSD_TABLES if table is not tables.PERSON}
_DATES["referrals_of_others"] = _DATES["cin_episodes"]
_dated_lists_of = attrgetter(*(name for name, places in _DATES.items() if places))
_PLACES = tuple(places for places in _DATES.values() if places)


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a person: from which sources the staged payload was built, and on which days it stays the same.

    `first_day` and `last_day` are both included. `issues` is a JSON list of what was decided about values.
    """

    source_hash: str
    first_day: date
    last_day: date
    issues: str | None

    def holds(self, source_hash: str, day: date) -> bool:
        """Return whether a payload built from these sources on this day is the one that is staged."""
        return source_hash == self.source_hash and self.first_day <= day <= self.last_day


def context_hash(window: Window, settings: StagingSettings, program: bytes, table: str) -> bytes:
    """Return the hash of what decides about every payload of a staging, but for the day and the person's rows.

    `program` stands for the rules and code lists, `table` is the staging table. A setting that decides about no payload
    is hashed as well: when it changes, payloads are built once more.
    """
    parts = (program.hex(), table, window.start, window.census_dates, tuple(settings))
    return sha256(orjson.dumps(parts)).digest()


def program_hash() -> bytes:
    """Return the hash of the program's version, the code that builds payloads, and the specification.

    The stand-alone executable carries no code that can be read; there the version stands for it.
    """
    digest = sha256(__version__.encode())
    files = [_PACKAGE / "data/csc_payload.schema.json", *(_PACKAGE / "staging").rglob("*.py")]
    for path in sorted([*files, *(_PACKAGE / "payloads").rglob("*.py")]):
        if path.is_file():
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.digest()


def rows_hash(context: bytes, rows: PersonRows) -> bytes | None:
    """Return the hash of a context and a person's rows, in whatever order they come; None for text that is not Unicode.

    Rows are sorted by their own id alone: where two share it, another order only means that a payload is built again.
    """
    lists = [sorted(found, key=_OWN_ID) if len(found) > 1 else found for found in _lists_of(rows)]
    try:
        # A named tuple is none of the types that are written by themselves; as a tuple it is.
        return sha256(context + orjson.dumps([rows.person, lists], default=tuple)).digest()
    except TypeError:
        return None


def source_hash(rows: bytes, retained: str | None, payload: bytes) -> str:
    """Return the hash of all that decides that a staged payload stays.

    `rows` is its `rows_hash`, `retained` what is recorded as retained, `payload` the hash of the staged payload.
    """
    return sha256(rows + payload + (retained or "").encode("utf-8", "surrogatepass")).hexdigest()


def last_day_alike(rows: PersonRows, window: Window) -> date:
    """Return the last day on which a person's rows give the same payload as on the window's run date.

    Until then the window has the same start and census dates (they are in `context_hash`), and none of the person's
    dates lies between the run date and the end of that day's window.
    """
    today = datetime.combine(window.run_date, time())
    ahead = min(_moments_from(today, rows), default=None)
    if ahead is None:
        return date.max
    # The window ends at midnight after the run date; the next date must lie behind that.
    last = (ahead - timedelta(microseconds=1)).date() - timedelta(days=1)
    return max(last, window.run_date)


def issues_text(issues: Sequence[Issue]) -> str | None:
    """Return issues as they are stored: a JSON list of rule, field and place; None for none. They hold no value."""
    if not issues:
        return None
    return orjson.dumps([(issue.rule, issue.field, issue.where) for issue in issues]).decode()


def read_issues(text: str | None, person_id: str) -> tuple[Issue, ...]:
    """Return the issues that `issues_text` wrote."""
    found = orjson.loads(text) if text else ()
    return tuple(Issue(IssueRule(rule), person_id, field, where) for rule, field, where in found)


def _moments_from(today: datetime, rows: PersonRows) -> list[datetime]:
    """Return the dates of a person, and the birthdays that count, that are not over."""
    person = rows.person
    found = [person.dob, person.expected_dob]
    if person.dob is not None and person.dob.year < _LATEST_BIRTH:
        found += [years_after(person.dob, age) for age in _AGES if person.dob.year + age >= today.year]
    for dated, places in zip(_dated_lists_of(rows), _PLACES, strict=True):
        for row in dated:
            for place in places:
                moment = row[place]
                if moment is not None and moment >= today:
                    found.append(moment)
    return [moment for moment in found if moment is not None and moment >= today]
