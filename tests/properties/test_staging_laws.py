"""The laws of building a payload from SSD rows, whatever these hold."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_pipeline.payloads.reading import parse_payload
from api_pipeline.payloads.schema_check import Checker, code_list
from api_pipeline.payloads.shape import schema
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging.build import Built, Withheld, build_payload
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.issues import IssueRule
from api_pipeline.staging.meaning import meaning_hash, payload_text
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.tables import PERSON, SSD_TABLES, SsdColumn, SsdKind
from api_pipeline.staging.window import Window
from tests.support.effort import examples
from tests.support.ssd import DEFAULTS, RUN_DATE, WINDOW

many = settings(max_examples=examples(60, 600), deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)
CHECKER = Checker(RUN_DATE)

_CODES = [code for name in schema()["$defs"] if name.startswith("code_") for code in code_list(name)]
_TEXTS = [
    None,
    "",
    "  ",
    "null",
    "Some words",
    " rc1 - closed ",
    "X1 Episode ceases",
    "Unaccompanied asylum seeking child",
    "Former Unique Pupil Number",
    "A123456789012",
    "AB1 2CD",
    "AB12  3CDE",
    'Zoë "Q" O\'Neill \\ \u2028',
    "A\ud800",
    "0x41",
    "12",
    "12.5",
    "1e400",
    "99999999999999999999",
    "Y",
    "n",
    "CW",
    "SW1234567",
    '["1A","2B","21",20,null,{"a":1}]',
    '{"1A":"Yes","2B":"No"}',
    '{"CP_CONFERENCE_FLAG":"Y"}',
    '{"CP_CONFERENCE_FLAG":[1]}',
    "[" * 2000,
    "{",
]
_IDS = ["1", "2", "ab3", "AB3 ", "k-4"]
_ODD_IDS = ["x" * 37, "a b", "", "é"]
# Without these, next to no care worker would be sent, and most records would be held back for their numbers.
_LIKELY = {"invo_professional_role_id": "CW", "prof_social_worker_registration_no": "SW1234567"}
_MOMENTS = [
    WINDOW.start,
    WINDOW.end,
    *WINDOW.census_dates,
    datetime(1, 1, 1),  # noqa: DTZ001 - the SSD's dates have no zone
    datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001 - as above
]


def is_id(column: SsdColumn) -> bool:
    return column.name.endswith("_id") and "role" not in column.name


class Maker:
    """Makes rows with everything in them that a council's tables may hold; `odd` is how often an id is ill-formed."""

    def __init__(self, seed: int, odd: float = 0.0) -> None:
        self._random = Random(seed)
        self._odd = odd

    def person_rows(self) -> PersonRows:
        lists: dict[str, Any] = {}
        for table in SSD_TABLES:
            count = 1 if table is PERSON else self._random.randint(0, 4)
            make: Any = table.row_type
            rows = [make(*map(self._value, table.columns)) for _ in range(count)]
            # The reader gives no row twice, and rows with one key would not be told apart.
            keyed = {row[0].strip(" ").upper(): row for row in rows}
            lists[table.member] = [*keyed.values()]
        (lists["person"],) = lists["person"]
        return PersonRows(**lists)

    def _value(self, column: SsdColumn) -> Any:
        if column.kind is SsdKind.DATE:
            return self._moment()
        if column.kind is SsdKind.INTEGER:
            return self._random.choice([0, 7, 40, 2**31, None, "12", "x", ""])
        if is_id(column):
            is_odd = self._random.random() < self._odd
            return self._random.choice(_ODD_IDS if is_odd else ["1", "2"] if "pers_person" in column.name else _IDS)
        if column.name in _LIKELY and self._random.random() < 0.8:
            return _LIKELY[column.name]
        return self._random.choice(_CODES if self._random.random() < 0.5 else _TEXTS)

    def _moment(self) -> datetime | None:
        if self._random.random() < 0.2:
            return None
        if self._random.random() < 0.3:
            return self._random.choice(_MOMENTS)
        return WINDOW.start + timedelta(hours=self._random.randint(-20_000, 30_000))


def outcome(rows: PersonRows, settings: StagingSettings) -> tuple[Any, ...]:
    """Return all that comes of a person, in a form in which two can be compared."""
    return outcome_on(rows, WINDOW, settings)


def outcome_on(rows: PersonRows, window: Window, settings: StagingSettings) -> tuple[Any, ...]:
    """Return the same on another day."""
    decision = eligibility(rows, window, settings)
    result = build_payload(rows, window, settings)
    issues = Counter((*decision.issues, *result.issues))
    if isinstance(result, Withheld):
        return decision.is_in, None, issues, None
    return decision.is_in, payload_text(result.payload), issues, result.outside


@many
@given(seeds, st.booleans(), st.booleans())
def test_any_rows_give_a_valid_payload_or_a_record_held_back(seed: int, odd: bool, once: bool) -> None:
    rows = Maker(seed, 0.05 if odd else 0.0).person_rows()

    result = build_payload(rows, WINDOW, DEFAULTS._replace(one_block_per_child=once))

    fatal = {IssueRule.ID_ILL_FORMED, IssueRule.LA_CHILD_ID_ILL_FORMED}
    assert isinstance(result, Withheld) == any(issue.rule in fatal for issue in result.issues)
    if isinstance(result, Built):
        text = payload_text(result.payload)
        assert parse_payload(text).data == result.payload
        findings = CHECKER.check(result.payload, text.encode())
        assert not [one for one in findings if one.severity == "schema" or one.rule == "code_list"]


@many
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_in_which_rows_come_decides_nothing(seed: int, shuffler: Random) -> None:
    rows, shuffled = Maker(seed).person_rows(), Maker(seed).person_rows()
    for name in PersonRows.__slots__:
        if name != "person":
            shuffler.shuffle(getattr(shuffled, name))

    for chosen in (DEFAULTS, DEFAULTS._replace(one_block_per_child=True)):
        assert outcome(shuffled, chosen) == outcome(rows, chosen)


@many
@given(seeds)
def test_ids_that_are_renumbered_in_the_same_order_change_no_meaning(seed: int) -> None:
    rows, renumbered = Maker(seed).person_rows(), Maker(seed).person_rows()
    for table in SSD_TABLES:
        ids = [number for number, column in enumerate(table.columns) if is_id(column)]
        found = getattr(renumbered, table.member)
        changed = [_renumbered(row, ids) for row in ([found] if table is PERSON else found)]
        setattr(renumbered, table.member, changed[0] if table is PERSON else changed)

    first, second = (build_payload(of, WINDOW, DEFAULTS) for of in (rows, renumbered))

    assert isinstance(first, Built) == isinstance(second, Built)
    if isinstance(first, Built) and isinstance(second, Built):
        assert meaning_hash(second.payload) == meaning_hash(first.payload)
        assert second.payload["la_child_id"] != first.payload["la_child_id"]


def _renumbered(row: Any, ids: list[int]) -> Any:
    return type(row)(*("N" + value if number in ids and value else value for number, value in enumerate(row)))
