"""The run report as one HTML page: no script, nothing from elsewhere, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from importlib.resources import files

from api_pipeline._version import __version__
from api_pipeline.outbox.status import PastRun, StateCount
from api_pipeline.reports.run_report import PEOPLE_SHOWN, RUNS_SHOWN, RuleErrors, RunReport
from api_pipeline.reports.svg_chart import NAMES, chart

_GOOD, _WARN, _BAD = "good", "warn", "bad"
_ENDINGS = {
    2: (_BAD, "The settings were wrong", "Correct them; nothing was sent."),
    3: (
        _BAD,
        "The database could not be used",
        "Run d2i-csc-api test-db-connection, and tell the database administrator.",
    ),
    4: (_BAD, "Authentication was refused", "Check credentials, supplier key, scope and LA code with DfE's portal."),
    5: (
        _BAD,
        "The receiver could not be reached or kept failing",
        "The next run tries again what was not delivered; d2i-csc-api test-endpoint shows the way to the receiver.",
    ),
    75: (_WARN, "Another run held the table", "Nothing was done; see that two schedules do not overlap."),
    130: (_WARN, "The run was stopped by a signal", "What was not tried goes with the next run."),
}
_NO_END = (
    _WARN,
    "This run has no end in the journal",
    "It is still at work, or it was killed; the next run finishes the job, and counts are known for ended runs only.",
)


def page(report: RunReport) -> str:
    """Return the whole page as text, to be written as UTF-8."""
    style = (files("api_pipeline") / "data" / "report.css").read_text(encoding="utf-8")
    title = f"Run of {_time(report.run.started_at)}" if report.run else f"Report on {report.table}"
    parts = [
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">',
        # Nothing may be fetched or run, whatever a text that was not foreseen might hold.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="robots" content="noindex">',
        f"<title>{escape(title)} - d2i-csc-api</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
        f"<header><p>{escape(title)} &middot; children's social care records to the Department for Education</p>",
        "</header>",
        _banner(report),
        _verdict(report),
        _outcome(report.run) if report.run else "",
        _facts(report),
        _errors(report),
        _history(report),
        _table_now(report.counts),
        _footer(report),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _banner(report: RunReport) -> str:
    if not report.is_testing:
        return ""
    return (
        '<p class="banner" role="note"><strong>TESTING.</strong> Nothing left the machine: the receiver\'s answers '
        "were simulated, and a live run will send the same rows.</p>"
    )


def _verdict(report: RunReport) -> str:
    if report.run is None:
        tone, head, text = _WARN, "No run is recorded", _why_no_run(report)
    else:
        tone, head, text = _ending(report.run)
        if not (report.run.exit_code or report.run.due or report.counts):
            text = "The table is empty."
    message = report.run.message if report.run else None
    told = f"<p>{escape(message)}</p>" if message else ""
    return f'<div class="verdict tone-{tone}"><h1>{escape(head)}</h1>{told}<p>{escape(text)}</p></div>'


def _why_no_run(report: RunReport) -> str:
    if not report.has_journal:
        return (
            "The journal (table ssd_api_runs) is not in this database, so past runs are not recorded; "
            "d2i-csc-api deploy-schema makes it. The state of the staging table follows."
        )
    return f"The journal knows no run on {report.table} yet. The state of the staging table follows."


def _ending(run: PastRun) -> tuple[str, str, str]:
    """Return tone, heading and advice for the way a run ended (contract 5)."""
    if run.exit_code is None:
        return _NO_END
    if run.exit_code == 1:
        failed = (run.refused or 0) + (run.undelivered or 0)
        if not failed and run.message:
            return (
                _WARN,
                "Rows stay behind that no run takes",
                "Correct them in the table; d2i-csc-api status shows them.",
            )
        if not failed:
            return (
                _BAD,
                "The run failed in a way that it does not know",
                "Run again with --verbose --log-file, and report it.",
            )
        head = f"{failed:,} {'record is' if failed == 1 else 'records are'} in error"
        rest = "" if run.not_tried else " All else that was due went through."
        return _WARN, head, f"The rules that they break are listed below, with the person ids.{rest}"
    if run.exit_code:
        return _ENDINGS.get(run.exit_code, (_BAD, f"The run ended with exit code {run.exit_code}", "See its log."))
    if not run.due:
        return _GOOD, "Nothing was due", "" if run.message else "Every row was sent before."
    if run.mode == "testing":
        return _GOOD, "Every due record passed in testing mode", "A live run sends them."
    return _GOOD, "Everything due was accepted", "Nothing needs to be done."


def _outcome(run: PastRun) -> str:
    tiles = [_tile("due", run.due, "")]
    for name in ("accepted", "unchanged", "refused", "undelivered", "not_tried"):
        tiles.append(_tile(NAMES[name], getattr(run, name), f' class="s-{name.replace("_", "-")}"'))
    deleted = f"<p>Of those accepted, {run.deleted:,} were deletions of a child.</p>" if run.deleted else ""
    return f'<section><h2>What became of what was due</h2><dl class="tiles">{"".join(tiles)}</dl>{deleted}</section>'


def _tile(name: str, count: int | None, attributes: str) -> str:
    shown = "unknown" if count is None else f"{count:,}"
    return f"<div{attributes}><dt>{escape(name)}</dt><dd>{shown}</dd></div>"


def _facts(report: RunReport) -> str:
    run = report.run
    facts = [("Staging table", report.table)]
    if run is not None:
        shard = f", shard {run.shard}" if run.shard else ""
        facts += [
            ("Began", f"{_time(run.started_at)} UTC"),
            ("Receiver", report.receiver or "not recorded"),
            ("Ended", f"{_time(run.finished_at)} UTC" if run.finished_at else "not recorded"),
            ("Mode", f"{run.mode}, {run.payloads} payloads{shard}"),
            ("Duration", _duration(run)),
            ("Run", run.run_id),
            ("Rate", _rate(run)),
            ("Exit code", "not recorded" if run.exit_code is None else str(run.exit_code)),
        ]
    listed = "".join(f"<dt>{name}</dt><dd>{_breakable(value)}</dd>" for name, value in facts)
    return f'<section><h2>The run</h2><dl class="facts">{listed}</dl></section>'


def _breakable(text: str) -> str:
    """Return an escaped text that may be broken behind the strokes of an address."""
    return escape(text).replace("/", "/<wbr>")


def _errors(report: RunReport) -> str:
    if not report.errors:
        text = "No row of the table is in error"
        text += ", and no record of this run came back." if report.has_log and report.run else "."
        return f"<section><h2>Errors by rule</h2><p>{text}{_about_log(report)}</p></section>"
    rows = "".join(_error_row(group) for group in report.errors)
    unread = report.rows_in_error - report.errors_read
    more = f"<p>Only the first {report.errors_read:,} of {report.rows_in_error:,} rows in error were read.</p>"
    return (
        '<section><h2>Errors by rule</h2><table class="errors"><caption>Values are masked. "In error now" counts rows '
        'of the table, "in this run" the records that were sent and came back; a row that breaks several rules counts '
        f"for each.{_about_log(report)}</caption>"
        '<thead><tr><th scope="col" class="rule">Rule</th><th scope="col" class="number">In error now</th>'
        '<th scope="col" class="number">In this run</th><th scope="col" class="people">Person ids</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{more if unread > 0 else ''}</section>"
    )


def _about_log(report: RunReport) -> str:
    if report.has_log:
        return " In testing mode nothing is logged of single records." if report.is_testing else ""
    return " The submission log is not in this database (d2i-csc-api deploy-schema makes it)."


def _error_row(group: RuleErrors) -> str:
    people = list(group.people)
    shown = ", ".join(escape(person) for person in people[:PEOPLE_SHOWN])
    rest = len(people) - PEOPLE_SHOWN
    more = f' <span class="soft">and {rest:,} more</span>' if rest > 0 else ""
    return (
        f'<tr><th scope="row" class="rule">{escape(group.rule)}</th>'
        f'<td class="number" data-label="In error now">{group.in_error:,}</td>'
        f'<td class="number" data-label="In this run">{group.in_run:,}</td>'
        f'<td class="people">{shown}{more}</td></tr>'
    )


def _history(report: RunReport) -> str:
    if not report.has_journal:
        text = "The journal (table ssd_api_runs) is not in this database; d2i-csc-api deploy-schema makes it."
        return f"<section><h2>The last runs</h2><p>{text}</p></section>"
    if not report.runs:
        return "<section><h2>The last runs</h2><p>No run on this table is recorded yet.</p></section>"
    reported = report.run.run_id if report.run else None
    legend = "".join(f'<li class="s-{key.replace("_", "-")}">{name}</li>' for key, name in NAMES.items())
    words = (
        '<li class="word">&#10003; exit code 0</li><li class="word">! another</li>'
        '<li class="word">? no end recorded</li><li class="word">paler: testing</li>'
    )
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
    return (
        f"<section><h2>{_last_runs(min(len(report.runs), RUNS_SHOWN))}</h2>"
        f"{chart(list(reversed(report.runs)), RUNS_SHOWN, reported)}"
        f'<ul class="legend">{legend}{words}</ul>'
        f"<table><caption>Runs on {escape(report.table)}, newest first.{marked}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _last_runs(count: int) -> str:
    return "The last run" if count == 1 else f"The last {count} runs"


def _history_row(run: PastRun, *, is_reported: bool) -> str:
    current = ' class="reported"' if is_reported else ""
    counts = "".join(
        _count_cell(count, classes)
        for count, classes in (
            (run.due, "number"),
            (run.accepted, "number"),
            (run.refused, "number fault"),
            (run.undelivered, "number fault wide"),
            (run.not_tried, "number fault wide"),
        )
    )
    # On a telephone the column of modes is left out, and what was a rehearsal is said beside the time.
    rehearsal = '<span class="narrow"> testing</span>' if run.mode == "testing" else ""
    duration = _duration(run) if run.finished_at else "?"
    return (
        f'<tr{current}><th scope="row"><span class="moment">{run.started_at:%Y-%m-%d}</span> '
        f'<span class="moment">{run.started_at:%H:%M}</span>{rehearsal}</th>'
        f'<td class="wide">{escape(run.mode)}</td>{counts}'
        f'<td class="number wide">{duration}</td>{_count_cell(run.exit_code, "number fault")}</tr>'
    )


def _count_cell(count: int | None, classes: str) -> str:
    shown = "?" if count is None else f"{count:,}"
    return f'<td class="{classes} {"some" if count else "none"}">{shown}</td>'


def _table_now(counts: Iterable[StateCount]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(count.row_state or "(none)")}</th>'
        f'<td>{escape(count.submission_status or "(none)")}</td><td class="number">{count.rows:,}</td></tr>'
        for count in counts
    )
    if not rows:
        return "<section><h2>The staging table now</h2><p>It has no rows.</p></section>"
    return (
        "<section><h2>The staging table now</h2><table><caption>Rows by row state and submission status when this page "
        'was made.</caption><thead><tr><th scope="col">Row state</th><th scope="col">Submission status</th>'
        f'<th scope="col" class="number">Rows</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _footer(report: RunReport) -> str:
    return (
        f"<footer><p>Made by d2i-csc-api {escape(__version__)} on {_time(report.made_at)} UTC. This page names "
        "children by their person id alone and holds nothing of their records; keep it as you keep such ids.</p>"
        "</footer>"
    )


def _time(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M:%S}"


def _duration(run: PastRun) -> str:
    if run.finished_at is None:
        return "not recorded"
    seconds = (run.finished_at - run.started_at).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _rate(run: PastRun) -> str:
    if run.finished_at is None or run.accepted is None:
        return "not recorded"
    seconds = (run.finished_at - run.started_at).total_seconds()
    decided = run.accepted + (run.unchanged or 0) + (run.refused or 0) + (run.undelivered or 0)
    if not decided or seconds <= 0:
        return "nothing to measure"
    return f"{decided / seconds:,.1f} records a second"
