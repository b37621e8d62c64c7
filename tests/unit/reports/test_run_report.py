"""What the report page says, and that nothing in it can be read as anything but text."""

import re
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.logs.masking import mask_values
from api_pipeline.outbox.status import PastRun, StateCount
from api_pipeline.reports.html_page import page
from api_pipeline.reports.run_report import PEOPLE_SHOWN, RuleErrors, group_by_rule
from api_pipeline.reports.svg_chart import chart
from api_pipeline.sql.statements import Statement, load
from tests.support.colours import contrast
from tests.support.pages import Outline, is_readable_by_a_screen_reader
from tests.support.reports import BEGAN, killed_run, past_run, people, report


def words_of(**changes: object) -> str:
    return Outline(page(report(**changes))).said


def test_the_page_says_what_was_due_and_what_became_of_it() -> None:
    words = words_of()
    for said in ("due1,048", "accepted1,003", "nothing to send18", "refused27", "not delivered0", "not tried0"):
        assert said in words
    assert "Duration1 min 40 s" in words
    assert "Rate10.0 accepted records a second" in words


def test_the_rate_counts_accepted_records_alone() -> None:
    assert "Ratenothing to measure" in words_of(run=past_run(accepted=0, unchanged=500, refused=300, undelivered=100))
    assert "Rate0.1 accepted records a second" in words_of(run=past_run(accepted=10, unchanged=500, refused=390))


def test_errors_stand_by_rule_with_the_person_ids() -> None:
    words = words_of()
    assert "child_details.date_of_birth: String '***' is not a valid date" in words
    assert "20417, 20424, 20431" in words


def test_a_rule_that_stops_thousands_names_some_and_counts_the_rest() -> None:
    words = words_of(errors=[RuleErrors("HTTP 400: rule", 5000, 5000, people(1, 5000))])
    assert f"and {5000 - PEOPLE_SHOWN:,} more" in words
    assert str(1 + 7 * (PEOPLE_SHOWN - 1)) in words
    assert str(1 + 7 * PEOPLE_SHOWN) not in words


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({}, "Everything due was accepted"),
        ({"due": 0, "accepted": 0}, "Nothing was due"),
        ({"mode": "testing"}, "Every due record passed in testing mode"),
        ({"exit_code": 1, "refused": 1}, "1 record is in error"),
        ({"exit_code": 1, "refused": 2, "undelivered": 3}, "5 records are in error"),
        ({"exit_code": 1}, "The run failed unexpectedly"),
        ({"exit_code": 3}, "The database could not be used"),
        ({"exit_code": 4}, "Authentication was refused"),
        ({"exit_code": 5, "undelivered": 9}, "The receiver could not be reached or kept failing"),
        ({"exit_code": 130, "not_tried": 9}, "The run was stopped by a signal"),
        ({"exit_code": None}, "This run has no end in the journal"),
    ],
)
def test_the_heading_tells_how_the_run_ended(changes: dict[str, object], heading: str) -> None:
    assert Outline(page(report(run=past_run(0, **changes)))).headings[0] == f"h1 {heading}"


def test_the_sentence_a_run_ended_with_is_shown() -> None:
    run = past_run(0, exit_code=4, message="The token service refused the client; check CLIENT_SECRET.")
    assert "The token service refused the client; check CLIENT_SECRET." in words_of(run=run)


def test_a_run_that_is_at_work_or_was_killed_has_unknown_counts() -> None:
    words = words_of(run=killed_run(0))
    assert "This run has no end in the journal" in words
    assert "dueunknown" in words


def test_testing_mode_is_said_in_capitals_and_live_mode_is_not() -> None:
    assert "TESTING. Nothing left the machine" in words_of(run=past_run(0, mode="testing"))
    assert "TESTING" not in words_of()


def test_without_a_journal_the_page_says_so_and_shows_the_table() -> None:
    words = words_of(run=None, receiver=None, has_journal=False, runs=[])
    assert "The journal (table ssd_api_runs) is not in this database" in words
    assert "d2i-csc-api deploy-schema makes it" in words
    assert "unchangedsent9,120" in words


def test_without_a_submission_log_the_page_says_so() -> None:
    assert "The submission log is not in this database" in words_of(has_log=False)
    assert "submission log" not in words_of()


def test_with_no_error_at_all_the_page_says_so() -> None:
    words = words_of(errors=[], counts=[], errors_read=0)
    assert "No row of the table is in error, and no record of this run came back." in words
    assert "It has no rows." in words


def test_page_says_when_more_rows_are_in_error_than_are_read() -> None:
    counts = [StateCount("new", "error", 250_000)]
    assert "Only the first 10,000 of 250,000 rows in error were read." in words_of(counts=counts, errors_read=10_000)


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    tags = Outline(page(report())).tags
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & {tag for tag, _ in tags}
    assert not [
        name for _, attributes in tags for name in attributes if name.startswith("on") or name in ("src", "href")
    ]
    assert not re.search(r"url\(|@import", page(report()))
    policies = [attributes["content"] for _, attributes in tags if attributes.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


_TEXTS = st.text(st.sampled_from("<>&\"'/`={}abc\u00e9\u2028 "), min_size=1, max_size=12).filter(str.strip)


@given(hostile=_TEXTS)
def test_whatever_a_text_holds_it_stays_text(hostile: str) -> None:
    run = past_run(0, run_id=hostile, message=hostile, mode=hostile, payloads=hostile, shard=hostile)
    shown = report(
        run=run,
        table=hostile,
        receiver=hostile,
        errors=[RuleErrors(hostile, 1, 1, {hostile: None})],
        counts=[StateCount(hostile, hostile, 1)],
        runs=[run],
    )
    plain = report(
        run=replace(run, run_id="x", message="x", mode="x", payloads="x", shard="x"),
        table="x",
        receiver="x",
        errors=[RuleErrors("x", 1, 1, {"x": None})],
        counts=[StateCount("x", "x", 1)],
        runs=[replace(run, run_id="x", mode="x")],
    )

    def shape(text: str) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in Outline(text).tags if tag != "wbr"]

    assert shape(page(shown)) == shape(page(plain))


def test_page_is_readable_by_a_screen_reader() -> None:
    outline = Outline(page(report()))
    assert is_readable_by_a_screen_reader(outline)
    tags = outline.tags
    assert sum(tag == "table" for tag, _ in tags) == 3
    (svg,) = [attributes for tag, attributes in tags if tag == "svg"]
    ids = {attributes.get("id") for tag, attributes in tags if tag in ("title", "desc")}
    assert set(str(svg["aria-labelledby"]).split()) <= ids


def test_the_chart_keeps_a_lone_refusal_visible_among_thousands() -> None:
    svg = chart([past_run(0, accepted=100_000, refused=1)], 30, None)
    (height,) = re.findall(r'class="s-refused"[^>]*height="([\d.]+)"', svg)
    assert float(height) >= 2


@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 5), max_size=30))
def test_no_bar_leaves_the_chart(counts: list[tuple[int, ...]]) -> None:
    runs = [
        past_run(number, accepted=a, unchanged=b, refused=c, undelivered=d, not_tried=e)
        for number, (a, b, c, d, e) in enumerate(counts)
    ]
    svg = chart(runs, 30, runs[-1].run_id if runs else None)
    for x, y, width, height in re.findall(r'x="([\d.-]+)%" y="([\d.-]+)" width="([\d.]+)%" height="([\d.]+)"', svg):
        assert float(x) >= 0
        assert float(x) + float(width) <= 100.01
        assert float(y) >= 8, "no bar reaches the letters above it by more than the least heights"
        assert float(height) >= 0


def test_chart_marks_the_end_of_each_run_by_shape_and_colour() -> None:
    runs: list[PastRun] = [past_run(2), past_run(1, exit_code=5), killed_run(0)]
    assert re.findall(r'class="sign [^>]*>(.)<', chart(runs, 30, None)) == ["\u2713", "!", "?"]


def test_answers_are_grouped_by_rule_and_not_by_record_or_value() -> None:
    failing = [
        ("HTTP 400: [3].child_details.postcode: 'AB1 2CD' is not a postcode", "1"),
        ("HTTP 400: [97].child_details.postcode: 'ZE3 9XY' is not a postcode", "2"),
        ("HTTP 400: [4].child_details.postcode: 'AB1 2CD' is not a postcode; [4].la_child_id: is required", "3"),
        (None, "4"),
    ]
    logged = [("HTTP 400: [3].child_details.postcode: '***' is not a postcode", "1")]
    groups = group_by_rule(failing, logged, mask_values)
    assert [(group.rule, group.in_error, group.in_run, list(group.people)) for group in groups] == [
        ("HTTP 400: [].child_details.postcode: '***' is not a postcode", 3, 1, ["1", "2", "3"]),
        ("(no answer stored)", 1, 0, ["4"]),
        ("HTTP 400: [].la_child_id: is required", 1, 0, ["3"]),
    ]


def test_end_of_a_long_list_of_findings_is_not_a_rule() -> None:
    text = "Payload refused before sending: $.a: required: is missing; and 3 more"
    assert [group.rule for group in group_by_rule([(text, "1")], [], mask_values)] == [
        "Payload refused before sending: $.a: required: is missing"
    ]


def test_long_runs_are_told_in_hours_and_short_ones_in_seconds() -> None:
    assert "Duration2 h 5 min" in words_of(run=past_run(0, finished_at=BEGAN + timedelta(hours=2, minutes=5)))
    assert "Duration0.4 s" in words_of(run=past_run(0, finished_at=BEGAN + timedelta(seconds=0.4)))


@pytest.mark.parametrize("statement", load("report_queries.sql").values(), ids=lambda statement: statement.name)
def test_the_statements_only_read_and_are_t_sql_too(statement: Statement) -> None:
    names = {name: f"[dbo].[ssd_api_{name}]" for name in ("table", "log", "runs")}
    parts = {"exact": " COLLATE Latin1_General_BIN2", "spellings": "IN (?)"}
    sql = statement.sql.format(**names, **parts, page="OFFSET 0 ROWS FETCH NEXT 100 ROWS ONLY").replace("?", "@value")
    (parsed,) = sqlglot.parse(sql, dialect="tsql")
    assert isinstance(parsed, sqlglot.exp.Select)
    assert statement.purpose


def _palettes() -> list[tuple[str, dict[str, str]]]:
    css = (files("api_pipeline") / "data" / "report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    found = [dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    return list(zip(("light", "dark", "print"), found, strict=True))


@pytest.mark.parametrize(("name", "palette"), _palettes())
def test_letters_and_bars_stand_out_from_what_is_behind_them(name: str, palette: dict[str, str]) -> None:
    behind = {"--card": "ink soft good warn bad", "--page": "ink soft", "--mark": "ink soft bad good", "--banner": ""}
    for ground, inks in behind.items():
        for ink in inks.split():
            assert contrast(palette[f"--{ink}"], palette[ground]) >= 4.5, (name, ink, ground)
    assert contrast(palette["--banner-ink"], palette["--banner"]) >= 4.5
    for series in ("accepted", "unchanged", "refused", "undelivered", "not-tried"):
        # 3 to 1 is what WCAG 2.2 asks of the parts of a chart.
        assert contrast(palette[f"--{series}"], palette["--card"]) >= 3, (name, series)
