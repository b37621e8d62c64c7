"""The rows that the Python interface returns, and how a notebook or a console shows them as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import Any

from api_pipeline.diagnostics.payloads import Validation
from api_pipeline.diagnostics.steps import Report
from api_pipeline.logs.redaction import Redactor
from api_pipeline.reports.console import result_line
from api_pipeline.run_summary import LABELS, RunSummary


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One step of a test. `status` is ok, remark, failed or skipped; `seconds` is how long the step took."""

    test: str
    step: str
    status: str
    detail: str
    advice: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """One rule that payloads break: how often, where, and person ids as examples; never a value.

    `severity` is schema, code, cross_field or firewall.
    """

    severity: str
    rule: str
    place: str
    message: str
    findings: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What a check of the payloads found: rows checked, rows that would not be sent, null members, rules broken."""

    rows: int
    refused_rows: int
    nulls: int
    rules: tuple[RuleFinding, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """One line of a run's summary."""

    what: str
    rows: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did. `due` is the sum of all outcomes; `result` is one sentence; `exit_code` is the command's."""

    run_id: str
    table: str
    is_testing: bool
    due: int
    accepted: int
    deleted: int
    unchanged: int
    rejected: int
    refused: int
    undelivered: int
    not_tried: int
    requests: int
    seconds: float
    exit_code: int
    result: str

    @property
    def counts(self) -> tuple[Count, ...]:
        """Return the counts as rows, in the summary's words."""
        return tuple(Count(label.strip(), getattr(self, name)) for name, label in LABELS.items() if name != "requests")


class Table:
    """Rows as a table: in HTML where a notebook shows it, as plain text where it is printed."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.columns = tuple(columns)
        self.rows = tuple(tuple(row) for row in rows)

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[number]) for line in lines) for number in range(len(self.columns))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(column)}</th>" for column in self.columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def as_table(rows: Iterable[Any]) -> Table:
    """Return rows (dataclasses of one kind) as a table with a column for each field. No rows, no columns."""
    found = list(rows)
    if not found:
        return Table((), ())
    names = [field.name for field in fields(found[0])]
    return Table(
        [name.replace("_", " ") for name in names],
        [[_cell(getattr(row, name)) for name in names] for row in found],
    )


def diagnoses(reports: Sequence[Report], redactor: Redactor) -> tuple[Diagnosis, ...]:
    """Return the steps of several tests as rows, without secrets."""
    return tuple(
        Diagnosis(
            report.test,
            step.name,
            step.status.value.lower(),
            redactor(step.detail),
            redactor(step.advice),
            round(step.seconds, 3),
        )
        for report in reports
        for step in report.steps
    )


def validation_result(validation: Validation) -> ValidationResult:
    """Return the result of a check, the gravest rules first."""
    rules = tuple(
        RuleFinding(rule.severity, rule.rule, rule.place, rule.message, rule.findings, tuple(rule.examples))
        for rule in validation.ordered_rules()
    )
    return ValidationResult(validation.rows, validation.refused_rows, validation.nulls, rules)


def run_result(summary: RunSummary) -> RunResult:
    """Return the summary of a run that has ended."""
    seen = {one.name: getattr(summary, one.name) for one in fields(RunResult) if one.name != "result"}
    return RunResult(**seen, result=result_line(summary))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
