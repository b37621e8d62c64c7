"""Steps, reports and their one exit code."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from api_pipeline.diagnostics.steps import (
    Report,
    Status,
    Step,
    StepFailed,
    StepWalk,
    exit_code_of,
    report_lines,
    summary_table,
)
from api_pipeline.documents import diagnosed
from api_pipeline.errors import DatabaseError


def clock() -> Iterator[float]:
    return (second / 4 for second in count())


def walk() -> StepWalk:
    ticks = clock()
    return StepWalk("test-x", clock=lambda: next(ticks))


def report(code: int, test: str = "test-x") -> Report:
    return Report(test, (Step("only", Status.FAILED if code else Status.OK, "what was found", 0.5),), code)


def test_steps_are_recorded_with_result_and_time() -> None:
    taken = walk()
    with taken.step("first") as finding:
        finding.detail = "found"
    taken.add("second", Status.SKIPPED, "not wanted")

    assert taken.report() == Report(
        "test-x",
        (Step("first", Status.OK, "found", 0.25), Step("second", Status.SKIPPED, "not wanted")),
        0,
    )


def test_error_ends_the_steps_with_its_exit_code() -> None:
    taken = walk()
    with pytest.raises(StepFailed, match="gone"), taken.step("first"):
        raise DatabaseError("gone")

    found = taken.report()
    assert (found.exit_code, found.is_ok) == (3, False)
    assert found.steps == (Step("first", Status.FAILED, "gone", 0.25),)


def test_internal_error_is_not_reported_as_an_external_one() -> None:
    taken = walk()
    with pytest.raises(ZeroDivisionError), taken.step("first"):
        _ = 1 / 0

    assert taken.report().steps == ()


@pytest.mark.parametrize(
    ("codes", "code"), [((0, 0, 0), 0), ((0, 1, 0), 1), ((0, 5, 3), 3), ((4, 5, 0), 4), ((2, 3, 5), 2), ((7,), 1)]
)
def test_several_tests_have_one_exit_code(codes: tuple[int, ...], code: int) -> None:
    assert exit_code_of([report(each) for each in codes]) == code


def test_report_is_plain_lines_with_advice_below() -> None:
    steps = (
        Step("DNS", Status.OK, "found", 0.001),
        Step("TLS", Status.REMARK, "two\nlines", 1.5, "look at it."),
        Step("longer name", Status.SKIPPED, "not wanted"),
    )

    assert report_lines(Report("test-x", steps, 0)) == [
        "test-x",
        "  DNS          ok         0.00 s  found",
        "  TLS          remark     1.50 s  two",
        "                                  lines",
        "                                  What to do: look at it.",
        "  longer name  skipped            not wanted",
        "test-x: passed, with 1 remark",
    ]


def test_summary_has_a_line_for_each_test_and_one_for_all() -> None:
    assert summary_table([report(0, "test-schema"), report(4)]) == [
        "Summary",
        "  test-schema  ok         0.50 s  passed",
        "  test-x       FAILED     0.50 s  failed at only (exit code 4)",
        "smoke: exit code 4",
    ]
    assert summary_table([report(0)])[-1] == "smoke: all passed"


def test_json_document_equals_the_text() -> None:
    assert diagnosed(report(5)) == {
        "test": "test-x",
        "ok": False,
        "exit_code": 5,
        "steps": [{"name": "only", "status": "failed", "detail": "what was found", "seconds": 0.5, "advice": ""}],
    }


def test_same_advice_of_several_steps_is_said_once() -> None:
    steps = [Step(f"column {number}", Status.FAILED, "too short", 0, "widen it") for number in range(3)]
    other = Step("id", Status.FAILED, "no integer", 0, "ask somebody")
    lines = report_lines(Report("test-schema", (*steps, other, steps[0]), 3))
    advice = [line.strip() for line in lines if "What to do" in line]
    assert advice == ["What to do: widen it", "What to do: ask somebody", "What to do: widen it"]
