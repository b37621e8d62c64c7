"""The first page of a folder of reports: the last nights as a chart and a table, errors by rule over time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from api_pipeline.common.page_frame import Html, document, section, table, verdict
from api_pipeline.outbox.status import PastRun
from api_pipeline.reports.nights import NIGHTS, RULES_SHOWN, Failing, Nights, RuleHistory
from api_pipeline.reports.run_report import PEOPLE_SHOWN
from api_pipeline.reports.run_words import ABOUT, GOOD, WARN, day, ending, footer, moment, shown, took
from api_pipeline.reports.svg_chart import NAMES, chart, legend, sparkline

_COUNTS = ("due", "accepted", "refused", "undelivered", "not_tried")


def index_page(nights: Nights, pages: Mapping[str, str]) -> str:
    """Return the whole page as text, to be written as UTF-8; `pages` are the files of runs by the runs' ids."""
    parts = [
        _verdict(nights),
        _chart(nights),
        _rules(nights),
        _failing(nights),
        _table(nights, pages),
    ]
    return document(f"Runs on {nights.table}", ABOUT, parts, footer=footer(nights.made_at))


def _verdict(nights: Nights) -> str:
    if not nights.runs:
        return verdict(WARN, "No run is recorded", f"The journal has no run on {nights.table} yet.")
    last = nights.runs[0]
    tone, head, advice = ending(last)
    clean = sum(run.exit_code == 0 for run in nights.runs)
    ended = f"The last run began on {moment(last.started_at)} UTC ({last.mode})."
    streak = f"{clean} of the last {len(nights.runs)} runs ended with exit code 0." if len(nights.runs) > 1 else ""
    return verdict(tone, head, ended, advice, streak)


def _chart(nights: Nights) -> str:
    if not nights.runs:
        return ""
    drawn = chart(list(reversed(nights.runs)), NIGHTS, None)
    return section("The last nights", drawn, legend("! exit code other than 0", "? no end recorded", "paler: testing"))


def _rules(nights: Nights) -> str:
    if not nights.has_log:
        said = "The submission log is not in this database (d2i-csc-api deploy-schema makes it)."
        return section("Errors by rule over time", f"<p>{said}</p>")
    if not nights.rules:
        return section("Errors by rule over time", "<p>No record came back, and no row is in error.</p>")
    listed = table(
        ("Rule", "Nights, oldest first", "In all", "In error now", "Still failing since"),
        [_rule_row(rule) for rule in nights.rules[:RULES_SHOWN]],
        caption="Values are masked. A record that breaks several rules counts for each. What was refused before it was "
        "sent is not in the submission log, so that its nights are not known.",
        numbers=3,
    )
    rest = len(nights.rules) - RULES_SHOWN
    return section("Errors by rule over time", listed, f"<p>And {rest:,} rules more.</p>" if rest > 0 else "")


def _rule_row(rule: RuleHistory) -> tuple[object, ...]:
    since = day(rule.since) if rule.since else "not known" if rule.in_error else "no more"
    return rule.rule, Html(sparkline(rule.counts)), f"{sum(rule.counts):,}", f"{rule.in_error:,}", since


def _failing(nights: Nights) -> str:
    if not nights.failing:
        return ""
    listed = table(
        ("Person id", "Since", "Rules"),
        [_failing_row(one) for one in nights.failing[:PEOPLE_SHOWN]],
        caption="Whose record is in error now and has come back ever since, the longest first.",
    )
    rest = len(nights.failing) - PEOPLE_SHOWN
    return section("Failing the longest", listed, f"<p>And {rest:,} people more.</p>" if rest > 0 else "")


def _failing_row(one: Failing) -> tuple[object, ...]:
    return one.person, day(one.since), "; ".join(one.rules)


def _table(nights: Nights, pages: Mapping[str, str]) -> str:
    if not nights.runs:
        return ""
    titles = ("Began (UTC)", "Ended", *(("due" if name == "due" else NAMES[name]) for name in _COUNTS), "Took", "Exit")
    listed = table(
        titles,
        [_run_row(run, pages) for run in nights.runs],
        caption=f"The last {len(nights.runs)} runs, newest first. A date leads to the run's own page where this folder "
        "has one.",
        numbers=len(_COUNTS) + 2,
    )
    return section("Every run", f'<div class="scroll" tabindex="0" role="region" aria-label="Every run">{listed}</div>')


def _run_row(run: PastRun, pages: Mapping[str, str]) -> tuple[object, ...]:
    began = f"{run.started_at:%Y-%m-%d %H:%M}"
    page = pages.get(run.run_id)
    link = Html(f'<a href="{escape(quote(page))}">{began}</a>') if page else began
    tone, word = _word(run)
    mode = " (testing)" if run.mode == "testing" else ""
    ended = Html(f'<span class="tone-{tone} word">{escape(word + mode)}</span>')
    counts = (shown(getattr(run, name)) for name in _COUNTS)
    return link, ended, *counts, took(run), shown(run.exit_code)


def _word(run: PastRun) -> tuple[str, str]:
    tone, head, _ = ending(run)
    return tone, "Nothing to do" if tone == GOOD and not run.due else head
