"""The run report as one HTML page: no script, nothing from elsewhere, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from api_pipeline.common.page_frame import document, section, verdict
from api_pipeline.outbox.status import PastRun, StateCount
from api_pipeline.reports.run_report import PEOPLE_SHOWN, RUNS_SHOWN, RuleErrors, RunReport
from api_pipeline.reports.run_words import ABOUT, WARN, duration, ending, footer, moment, shown, took
from api_pipeline.reports.svg_chart import NAMES, chart, legend, series_class


def page(report: RunReport) -> str:
    """Return the whole page as text, to be written as UTF-8."""
    title = f"Run of {moment(report.run.started_at)}" if report.run else f"Report on {report.table}"
    parts = [
        _banner(report),
        _verdict(report),
        _outcome(report.run) if report.run else "",
        _facts(report),
        _errors(report),
        _history(report),
        _table_now(report.counts),
    ]
    return document(title, ABOUT, parts, footer=footer(report.made_at))


def _banner(report: RunReport) -> str:
    if not report.is_testing:
        return ""
    return (
        '<p class="banner" role="note"><strong>TESTING.</strong> Nothing left the machine: the receiver\'s answers '
        "were simulated, and a live run will send the same rows.</p>"
    )


def _verdict(report: RunReport) -> str:
    if report.run is None:
        tone, head, text = WARN, "No run is recorded", _why_no_run(report)
    else:
        tone, head, text = ending(report.run)
        if not (report.run.exit_code or report.run.due or report.counts):
            text = "The table is empty."
    message = report.run.message if report.run else None
    return verdict(tone, head, message or "", text)


def _why_no_run(report: RunReport) -> str:
    if not report.has_journal:
        return (
            "The journal (table ssd_api_runs) is not in this database, so past runs are not recorded; "
            "d2i-csc-api deploy-schema makes it. The state of the staging table follows."
        )
    return f"The journal has no run on {report.table} yet. The state of the staging table follows."


def _outcome(run: PastRun) -> str:
    tiles = [_tile("due", run.due, "")]
    tiles += [_tile(label, getattr(run, name), f' class="{series_class(name)}"') for name, label in NAMES.items()]
    deleted = f"<p>Of those accepted, {run.deleted:,} were deletions of a child.</p>" if run.deleted else ""
    return section("What became of what was due", f'<dl class="tiles">{"".join(tiles)}</dl>', deleted)


def _tile(name: str, count: int | None, attributes: str) -> str:
    value = "unknown" if count is None else f"{count:,}"
    return f"<div{attributes}><dt>{escape(name)}</dt><dd>{value}</dd></div>"


def _facts(report: RunReport) -> str:
    run = report.run
    facts = [("Staging table", report.table)]
    if run is not None:
        shard = f", shard {run.shard}" if run.shard else ""
        facts += [
            ("Began", f"{moment(run.started_at)} UTC"),
            ("Receiver", report.receiver or "not recorded"),
            ("Ended", f"{moment(run.finished_at)} UTC" if run.finished_at else "not recorded"),
            ("Mode", f"{run.mode}, {'deltas' if run.payloads == 'deltas' else 'full payloads'}{shard}"),
            ("Duration", duration(run)),
            ("Run", run.run_id),
            ("Rate", _rate(run)),
            ("Exit code", "not recorded" if run.exit_code is None else str(run.exit_code)),
        ]
    listed = "".join(f"<dt>{name}</dt><dd>{_breakable(value)}</dd>" for name, value in facts)
    return section("The run", f'<dl class="facts">{listed}</dl>')


def _breakable(text: str) -> str:
    """Return an escaped text that may be broken behind the strokes of an address."""
    return escape(text).replace("/", "/<wbr>")


def _errors(report: RunReport) -> str:
    if not report.errors:
        text = "No row of the table is in error"
        text += ", and no record of this run came back." if report.has_log and report.run else "."
        return section("Errors by rule", f"<p>{text}{_about_log(report)}</p>")
    rows = "".join(_error_row(group) for group in report.errors)
    unread = report.rows_in_error - report.errors_read
    more = f"<p>Only the first {report.errors_read:,} of {report.rows_in_error:,} rows in error were read.</p>"
    return section(
        "Errors by rule",
        '<table class="errors"><caption>Values are masked. "In error now" counts rows of the table, "in this run" the '
        f"records that were sent and came back; a row that breaks several rules counts for each.{_about_log(report)}"
        "</caption>"
        '<thead><tr><th scope="col" class="rule">Rule</th><th scope="col" class="number">In error now</th>'
        '<th scope="col" class="number">In this run</th><th scope="col" class="people">Person ids</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>",
        more if unread > 0 else "",
    )


def _about_log(report: RunReport) -> str:
    if report.has_log:
        return " In testing mode nothing is logged of single records." if report.is_testing else ""
    return " The submission log is not in this database (d2i-csc-api deploy-schema makes it)."


def _error_row(group: RuleErrors) -> str:
    people = list(group.people)
    named = ", ".join(escape(person) for person in people[:PEOPLE_SHOWN])
    rest = len(people) - PEOPLE_SHOWN
    more = f' <span class="soft">and {rest:,} more</span>' if rest > 0 else ""
    return (
        f'<tr><th scope="row" class="rule">{escape(group.rule)}</th>'
        f'<td class="number" data-label="In error now">{group.in_error:,}</td>'
        f'<td class="number" data-label="In this run">{group.in_run:,}</td>'
        f'<td class="people">{named}{more}</td></tr>'
    )


def _history(report: RunReport) -> str:
    if not report.has_journal:
        text = "The journal (table ssd_api_runs) is not in this database; d2i-csc-api deploy-schema makes it."
        return section("The last runs", f"<p>{text}</p>")
    if not report.runs:
        return section("The last runs", "<p>No run on this table is recorded yet.</p>")
    reported = report.run.run_id if report.run else None
    rows = "".join(_history_row(run, is_reported=run.run_id == reported) for run in report.runs)
    marked = " The run of this report is shaded." if reported in {run.run_id for run in report.runs} else ""
    head = "".join(
        f'<th scope="col"{attributes}>{name}</th>'
        for name, attributes in (
            ("Began (UTC)", ""),
            ("Mode", ' class="wide"'),
            ("Due", ' class="number"'),
            ("Accepted", ' class="number"'),
            ("Refused", ' class="number"'),
            ("Not delivered", ' class="number wide"'),
            ("Not tried", ' class="number wide"'),
            ("Duration", ' class="number wide"'),
            ("Exit", ' class="number"'),
        )
    )
    return section(
        "The last run" if len(report.runs) == 1 else f"The last {len(report.runs)} runs",
        chart(list(reversed(report.runs)), RUNS_SHOWN, reported),
        legend("&#10003; exit code 0", "! another", "? no end recorded", "paler: testing"),
        f"<table><caption>Runs on {escape(report.table)}, newest first.{marked}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>",
    )


def _history_row(run: PastRun, *, is_reported: bool) -> str:
    current = ' class="reported"' if is_reported else ""
    counts = "".join(
        _count_cell(count, classes)
        for count, classes in (
            (run.due, "number"),
            (run.accepted, "number"),
            (run.refused, "number failed"),
            (run.undelivered, "number failed wide"),
            (run.not_tried, "number failed wide"),
        )
    )
    # On a telephone the column of modes is left out, and what was a rehearsal is said beside the time.
    rehearsal = '<span class="narrow"> testing</span>' if run.mode == "testing" else ""
    return (
        f'<tr{current}><th scope="row"><span class="moment">{run.started_at:%Y-%m-%d}</span> '
        f'<span class="moment">{run.started_at:%H:%M}</span>{rehearsal}</th>'
        f'<td class="wide">{escape(run.mode)}</td>{counts}'
        f'<td class="number wide">{took(run)}</td>{_count_cell(run.exit_code, "number failed")}</tr>'
    )


def _count_cell(count: int | None, classes: str) -> str:
    return f'<td class="{classes} {"some" if count else "none"}">{shown(count)}</td>'


def _table_now(counts: Iterable[StateCount]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(count.row_state or "(none)")}</th>'
        f'<td>{escape(count.submission_status or "(none)")}</td><td class="number">{count.rows:,}</td></tr>'
        for count in counts
    )
    if not rows:
        return section("The staging table now", "<p>It has no rows.</p>")
    return section(
        "The staging table now",
        "<table><caption>Rows by row state and submission status when this page was made.</caption>"
        '<thead><tr><th scope="col">Row state</th><th scope="col">Submission status</th>'
        f'<th scope="col" class="number">Rows</th></tr></thead><tbody>{rows}</tbody></table>',
    )


def _rate(run: PastRun) -> str:
    if run.finished_at is None or run.accepted is None:
        return "not recorded"
    seconds = (run.finished_at - run.started_at).total_seconds()
    # Not the refused: the journal counts those that were never sent among them.
    if not run.accepted or seconds <= 0:
        return "nothing to measure"
    return f"{run.accepted / seconds:,.1f} accepted records a second"
