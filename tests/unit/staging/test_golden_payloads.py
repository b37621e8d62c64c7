"""People whose payloads were worked out by hand from the mapping, one file a person in `golden`.

A file holds the person's rows as they stand in the SSD (columns that are not named are null), the day of the run, and
what must come of them: a payload, a record held back, or nobody in the cohort; and every issue that is listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.payloads.schema_check import Checker
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging.build import Built, Withheld, build_payload
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.issues import Issue
from api_pipeline.staging.meaning import payload_text
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.tables import CIN_EPISODE, TABLES_BY_NAME, SsdKind, SsdTable
from api_pipeline.staging.window import Window, window_for
from tests.support.ssd import DEFAULTS, at

FILES = sorted((Path(__file__).parent / "golden").glob("*.json"))


def person_rows(ssd: dict[str, list[dict[str, Any]]]) -> PersonRows:
    """Return the rows of a golden file as the reader would give them."""
    lists: dict[str, Any] = {}
    for name, found in ssd.items():
        table = TABLES_BY_NAME.get(name, CIN_EPISODE)
        lists[table.member if name in TABLES_BY_NAME else name] = [_row(table, row) for row in found]
    (lists["person"],) = lists["person"]
    return PersonRows(**lists)


def _row(table: SsdTable, named: dict[str, Any]) -> Any:
    assert set(named) <= set(table.column_names), set(named) - set(table.column_names)
    values = (
        at(named.get(column.name)) if column.kind is SsdKind.DATE else named.get(column.name)
        for column in table.columns
    )
    row_type: Any = table.row_type
    return row_type(*values)


def options_of(golden: dict[str, Any]) -> StagingSettings:
    """Return the options of a golden file."""
    chosen = dict(golden.get("options", {}))
    if "uasc_values" in chosen:
        chosen["uasc_values"] = tuple(chosen["uasc_values"])
    return DEFAULTS._replace(**chosen)


def window_of(golden: dict[str, Any]) -> Window:
    """Return the window of a golden file."""
    return window_for(date.fromisoformat(golden["as_of"]), **golden.get("window", {}))


def _listed(issues: Iterator[Issue] | tuple[Issue, ...]) -> list[list[str]]:
    return [[issue.rule.value, issue.field, issue.where] for issue in issues]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_payload_is_the_one_that_was_worked_out_by_hand(file: Path) -> None:
    golden = json.loads(file.read_text(encoding="utf-8"))
    rows, window, options = person_rows(golden["ssd"]), window_of(golden), options_of(golden)

    decision = eligibility(rows, window, options)
    assert decision.is_in is golden.get("in_cohort", True)
    if not decision.is_in:
        assert _listed(decision.issues) == golden.get("issues", [])
        return
    result = build_payload(rows, window, options)
    assert _listed((*decision.issues, *result.issues)) == golden.get("issues", [])
    if golden.get("held_back"):
        assert isinstance(result, Withheld)
        return
    assert isinstance(result, Built)
    assert payload_text(result.payload) == payload_text(golden["payload"])


@pytest.mark.parametrize("file", [file for file in FILES if '"payload"' in file.read_text(encoding="utf-8")], ids=str)
def test_a_payload_worked_out_by_hand_passes_the_schema_and_the_code_lists(file: Path) -> None:
    golden = json.loads(file.read_text(encoding="utf-8"))

    findings = Checker(window_of(golden).run_date).check(golden["payload"])
    assert [one for one in findings if one.severity == "schema" or one.rule == "code_list"] == []


def test_at_least_25_people_have_a_payload_that_was_worked_out_by_hand() -> None:
    assert sum('"payload"' in file.read_text(encoding="utf-8") for file in FILES) >= 25
