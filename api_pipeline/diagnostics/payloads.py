"""`validate`: check every pending payload against the schema, the code lists and the returns' rules; send nothing."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from api_pipeline.common.private_files import private_opener
from api_pipeline.diagnostics.columns import check_staging_table
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.logs.plain_text import safe_cells
from api_pipeline.model import StagedRow
from api_pipeline.outbox.adoption import known_of
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import survey
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.plan import deletion_of
from api_pipeline.payloads.reading import Payload, PayloadError, payload_of, read_payload
from api_pipeline.payloads.schema_check import Checker, identity_findings
from api_pipeline.settings.model import Settings

_EXAMPLES = 5
_READABLE = "readable"
_GRAVEST_FIRST = ("schema", "firewall", "code", "cross_field")


@dataclass(slots=True)
class RuleCount:
    """How often one rule was broken, by how many children, and a few of their person ids."""

    severity: str
    rule: str
    place: str
    message: str
    findings: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, person_id: str) -> None:
        """Count one more finding."""
        self.findings += 1
        if len(self.examples) < _EXAMPLES and person_id not in self.examples:
            self.examples.append(person_id)


@dataclass(slots=True)
class Validation:
    """What was found: rows checked, rows that would not be sent, null members that would be taken out, rules broken."""

    rows: int = 0
    refused_rows: int = 0
    nulls: int = 0
    is_table_empty: bool = False
    rules: dict[tuple[str, ...], RuleCount] = field(default_factory=dict)

    def ordered_rules(self) -> list[RuleCount]:
        """Return the rules that were broken: the gravest first, and of these the most frequent."""
        return sorted(self.rules.values(), key=lambda rule: (_GRAVEST_FIRST.index(rule.severity), -rule.findings))


def validate(store: StagingTable, settings: Settings, csv_path: Path | None, *, every_row: bool) -> Validation:
    """Check the rows that a run would take (or every row) and return the findings by rule.

    `csv_path` gets one line a finding: person id, class, path, rule, message, code list; never a value.
    Errors: DatabaseError, SettingsError (the CSV file cannot be written).
    """
    check_staging_table(store, settings.table_name)
    words = survey(store)
    selection = Selection(every_row=every_row, odd_statuses=words.odd_statuses, odd_states=words.odd_states)
    checker, result = Checker(), Validation()
    deletions = _Deletions(store, settings.receiver, checker)
    with _findings_file(csv_path) as write:
        for row in _rows(store, selection):
            found = deletions.check(row) if row.is_deleted else None
            findings = _check(result, row, checker) if found is None else found
            _count(result, row, findings, settings)
            for finding in findings:
                write(row.person_id, finding)
    result.is_table_empty = not result.rows and store.is_empty()
    return result


@contextmanager
def _findings_file(path: Path | None) -> Iterator[Callable[[str, Finding], None]]:
    """Return what writes a finding as a line of a CSV file, or does nothing without a path. Errors: SettingsError."""
    if path is None:
        yield lambda _person, _finding: None
        return
    try:
        # A spreadsheet on Windows takes a file with this mark as UTF-8.
        with open(path, "w", encoding="utf-8-sig", newline="", opener=private_opener) as file:
            lines = csv.writer(file)
            lines.writerow(["person_id", "class", "path", "rule", "message", "code_list"])

            def write(person: str, found: Finding) -> None:
                cells = (person, found.severity, found.path, found.rule, found.message, found.code_list)
                lines.writerow(safe_cells(cells))

            yield write
    except OSError as error:
        raise SettingsError(
            f"The file {path} cannot be written ({reason_of(error)}); name another with --csv."
        ) from None


def _rows(store: StagingTable, selection: Selection) -> Iterator[StagedRow]:
    for page in store.pages(selection):
        # A deletion is due where something was sent.
        yield from (row for row in page if not row.is_blank and (row.has_previous or not row.is_deleted))


class _Deletions:
    """Check deletions as a run does: where the receiver holds the child under its id, that id is not checked."""

    def __init__(self, store: StagingTable, receiver: str, checker: Checker) -> None:
        self._store, self._receiver, self._checker = store, receiver, checker

    @cached_property
    def _has_control_tables(self) -> bool:
        return self._store.has_control_tables()

    def check(self, row: StagedRow) -> list[Finding] | None:
        """Return the findings in a deletion; None where neither payload names a child. Errors: DatabaseError."""
        own = None if row.unreadable else payload_of(row.json_payload)
        if own is not None and self._may_be_sent(row, own):
            return []
        previous = {} if "person_id" in row.unreadable else self._store.previous_payloads([row.id])
        earlier = payload_of(previous[row.id]) if row.id in previous else None
        if earlier is not None and self._may_be_sent(row, earlier):
            return []
        named = earlier or own
        return None if named is None else self._checker.check_deletion(deletion_of(named))

    def _may_be_sent(self, row: StagedRow, payload: Payload) -> bool:
        child = payload.la_child_id
        return self._checker.may_be_child(child) or (
            self._has_control_tables and not known_of(self._store, self._receiver, row, child).is_empty
        )


def _check(result: Validation, row: StagedRow, checker: Checker) -> list[Finding]:
    try:
        payload = read_payload(row)
    except PayloadError as error:
        return [Finding(severity="schema", path="$", rule=_READABLE, message=str(error), code_list=None)]
    result.nulls += payload.nulls_removed
    return checker.check(payload.data, payload.encoded) + identity_findings(row.person_id, payload.la_child_id)


def _count(result: Validation, row: StagedRow, findings: Sequence[Finding], settings: Settings) -> None:
    result.rows += 1
    result.refused_rows += any(_is_refused(finding, settings) for finding in findings)
    for finding in findings:
        place = _without_positions(finding.path)
        # What cannot be read has many causes: one sentence would not be true of all.
        key = (finding.severity, finding.rule, place, _without_numbers(finding.message))
        count = result.rules.setdefault(key, RuleCount(finding.severity, finding.rule, place, finding.message))
        count.add(row.person_id)


def _is_refused(finding: Finding, settings: Settings) -> bool:
    """Return whether a record with this finding is not sent; what cannot be read never is."""
    if finding.rule == _READABLE:
        return True
    levels = {"schema": settings.schema_check, "code": settings.schema_codes}
    return levels.get(finding.severity) == "reject"


def _without_positions(path: str) -> str:
    """Return a path without the positions in arrays, so that findings of one rule count together."""
    parts = path.split("[")
    return parts[0] + "".join("[]" + part.split("]", 1)[-1] for part in parts[1:])


def _without_numbers(message: str) -> str:
    """Return a message without the numbers in it, such as a line, so that findings of one cause count together."""
    return "".join(character for character in message if not character.isdigit())
