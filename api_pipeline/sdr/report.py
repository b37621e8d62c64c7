"""The results of a validation for people: lines for a console, a CSV file, an HTML page. Pure but for the writing.

Descriptions are masked on the console. The record's own text is in no output but the CSV of --with-record-text.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api_pipeline.common.page_frame import document, section, table, verdict
from api_pipeline.common.private_files import make_private_folder, replace_file
from api_pipeline.errors import PipelineError, reason_of
from api_pipeline.logs.masking import mask_values
from api_pipeline.logs.plain_text import harmless, safe_cells
from api_pipeline.run_summary import counted
from api_pipeline.sdr.nouns import State, TecFinding, errors_and_warnings
from api_pipeline.sdr.validation import hint

_IDS_SHOWN = 5
_BYTE_ORDER_MARK = "\ufeff"
_COLUMNS = (
    *("number", "type", "code", "collection", "local_id", "student_id", "course_code", "description"),
    "since_last_validation",
)
_FOUND = ("Type", "Code", "Collection", "Description", "First records", "Count")
_FIRST = "This is the first validation whose results are kept."
_VERDICTS = {
    State.PASSED: ("good", "Passed"),
    State.SUBMITTED: ("good", "Submitted"),
    State.FAILED: ("bad", "Rejected"),
    State.BROKEN: ("warn", "TEC's validation failed by itself"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one type, code and collection. Description and record are those of the first: personal data."""

    kind: str
    code: str
    collection: str
    description: str
    record_text: str = field(repr=False)
    count: int
    ids: Sequence[str]

    @property
    def is_error(self) -> bool:
        """Return whether these findings block the submission."""
        return self.kind.lower() == "error"


@dataclass(frozen=True, slots=True)
class ResultPage:
    """What the report of a validation is made of; `before` are the results of the one before it, None for none.

    `whole` are all findings where `findings` are those that an option asks for, else None.
    """

    period: str
    run: str
    state: State
    findings: Sequence[TecFinding]
    before: Sequence[TecFinding] | None
    history: Sequence[tuple[str, int, int]]
    whole: Sequence[TecFinding] | None = None

    @property
    def errors(self) -> int:
        """Return how many findings block the submission, shown or not."""
        return errors_and_warnings(self._all)[0]

    @property
    def warnings(self) -> int:
        """Return how many findings block nothing, shown or not."""
        return errors_and_warnings(self._all)[1]

    @property
    def counts(self) -> str:
        """Return how many errors and warnings there are, and how many of them are shown, in words."""
        shown = "; " + counted(len(self.findings), "of them {is|are} shown", ",") if self.whole is not None else ""
        errors = counted(self.errors, "{error|errors}", ",")
        return f"{errors}, {counted(self.warnings, '{warning|warnings}', ',')}{shown}."

    @property
    def advice(self) -> str:
        """Return what a person should know about the end of the validation, "" for nothing."""
        return hint(self.state, self._all)

    @property
    def _all(self) -> Sequence[TecFinding]:
        return self.findings if self.whole is None else self.whole


def groups(findings: Iterable[TecFinding]) -> list[Group]:
    """Return the findings by type, code and collection, errors first, the most frequent first."""
    found: dict[tuple[str, str, str], list[TecFinding]] = {}
    for one in findings:
        key = (one.kind, one.code, one.collection.value if one.collection else "not tied to a collection")
        found.setdefault(key, []).append(one)
    made = [
        Group(kind, code, collection, ones[0].description, ones[0].record_text, len(ones), _first_ids(ones))
        for (kind, code, collection), ones in found.items()
    ]
    return sorted(made, key=lambda one: (not one.is_error, -one.count, one.code))


def _first_ids(findings: Sequence[TecFinding]) -> list[str]:
    return list(dict.fromkeys(one.local_id for one in findings if one.local_id))[:_IDS_SHOWN]


def since(findings: Sequence[TecFinding], before: Sequence[TecFinding] | None) -> dict[str, int]:
    """Return how many findings are new, still there and gone since the validation before."""
    now, then = Counter(map(_identity, findings)), Counter(map(_identity, before or ()))
    return {
        "new": sum((now - then).values()),
        "still": sum((now & then).values()),
        "gone": sum((then - now).values()),
    }


def _identity(one: TecFinding) -> tuple[object, ...]:
    return one.kind, one.code, one.collection, one.local_id, one.student_id, one.course_code


def lines(page: ResultPage) -> list[str]:
    """Return the results for a console: a verdict, one line a group, and what a person should know."""
    verdict = _VERDICTS.get(page.state, ("", page.state.value))[1]
    shown = [f"Return {page.period}: {verdict}, {page.counts}"]
    for group in groups(page.findings):
        ids = f" (first: {', '.join(group.ids)})" if group.ids else ""
        text = mask_values(group.description, group.record_text or None)
        shown.append(f"  {group.kind:7} {group.code:10} {group.collection:25} {group.count:7,}  {text}{ids}")
    if page.before is not None:
        counts = since(page.findings, page.before)
        shown.append(f"Since the validation before: {_in_words(counts)}.")
    return [*shown, page.advice] if page.advice else shown


def as_csv(page: ResultPage, *, with_record_text: bool) -> str:
    """Return the results as CSV, one line each; a cell that a spreadsheet would calculate is made harmless."""
    known = Counter(map(_identity, page.before or ()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, *(["record_text"] if with_record_text else [])])
    for one in page.findings:
        identity = _identity(one)
        word = "" if page.before is None else "still" if known[identity] > 0 else "new"
        known[identity] -= 1
        row = [
            str(one.number),
            one.kind,
            one.code,
            one.collection.value if one.collection else "",
            one.local_id or "",
            one.student_id,
            one.course_code,
            one.description,
            word,
            *([one.record_text] if with_record_text else []),
        ]
        writer.writerow(safe_cells(row))
    return text.getvalue()


def as_html(page: ResultPage) -> str:
    """Return the whole page: no script, nothing from elsewhere, every text escaped, no record's text."""
    tone, word = _VERDICTS.get(page.state, ("warn", page.state.value))
    counts = since(page.findings, page.before)
    since_then = f"{_in_words(counts)}." if page.before is not None else _FIRST
    found = [
        (one.kind, one.code, one.collection, one.description, ", ".join(one.ids), f"{one.count:,}")
        for one in groups(page.findings)
    ]
    runs = [(run, f"{errors:,}", f"{warnings:,}") for run, errors, warnings in reversed(page.history)]
    parts = [
        verdict(tone, word, f"{page.counts} Validated {page.run}.", page.advice),
        section("Since the validation before", f"<p>{since_then}</p>"),
        section("What was found", _table(_FOUND, found, 1)),
        section("Validations of this return", _table(("Validation", "Errors", "Warnings"), runs, 2)),
    ]
    return document(f"Validation of the return {page.period}", "Single Data Return to TEC", parts, lang="en-NZ")


def _in_words(counts: dict[str, int]) -> str:
    return f"{counts['new']:,} new, {counts['still']:,} still, {counts['gone']:,} gone"


def _table(titles: Sequence[str], rows: Sequence[Sequence[object]], numbers: int) -> str:
    return table(titles, rows, numbers=numbers) if rows else "<p>Nothing.</p>"


def write(folder: Path, page: ResultPage, *, with_record_text: bool = False) -> tuple[Path, Path]:
    """Write the page and the CSV into a folder and return their paths. Errors: PipelineError where that fails."""
    stamp = "".join(letter for letter in page.run if letter.isdigit())[:14] or "last"
    name = f"sdr-validation-{page.period.partition(',')[0]}-{stamp}"
    html, sheet = folder / f"{name}.html", folder / f"{name}.csv"
    try:
        # They name students, and the CSV may have their records.
        make_private_folder(folder)
        replace_file(html, harmless(as_html(page)))
        # Excel takes a CSV without the mark for the machine's own encoding.
        replace_file(sheet, f"{_BYTE_ORDER_MARK}{as_csv(page, with_record_text=with_record_text)}")
    except OSError as error:
        raise PipelineError(
            f"The report could not be written to {folder} ({reason_of(error)}); name another folder with --report."
        ) from None
    return html, sheet
