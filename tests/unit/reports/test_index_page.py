"""What the first page of a folder of reports says, and that nothing in it can be read as anything but text."""

from __future__ import annotations

from typing import Any

from api_pipeline.reports.index_page import index_page
from api_pipeline.reports.nights import RuleHistory
from api_pipeline.reports.run_report import PEOPLE_SHOWN
from tests.support.pages import Outline, is_readable_by_a_screen_reader
from tests.support.reports import BEGAN, nights, past_run

PAGES = {past_run(3).run_id: "csc-api-run-3.html"}


def outline(**changes: Any) -> Outline:
    return Outline(index_page(nights(**changes), PAGES))


def words(**changes: Any) -> str:
    return outline(**changes).said


def test_last_run_is_told_in_words_and_the_nights_are_counted() -> None:
    said = words()
    assert "45 records are in error" in said
    assert "87 of the last 90 runs ended with exit code 0." in said


def test_a_run_leads_to_its_page_where_the_folder_has_one() -> None:
    links = [attributes.get("href") for tag, attributes in outline().tags if tag == "a"]
    assert links == ["csc-api-run-3.html"]


def test_each_run_has_a_word_beside_its_colour() -> None:
    said = words()
    for word in (
        "Everything due was accepted",
        "The receiver could not be reached or kept failing",
        "This run has no end in the journal",
        "(testing)",
    ):
        assert word in said


def test_rule_says_since_when_it_fails_and_in_which_nights() -> None:
    page = outline()
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg" and "aria-label" in attributes]
    assert labels == [
        "in 29 of 90 runs, at most 29; 29 in the last",
        "in 40 of 90 runs, at most 4; 0 in the last",
    ]
    assert "43529" + "21 Oct 2026" in page.said, "435 in all, 29 in error now, and since when"
    assert "1600no more" in page.said
    assert "04not known" in page.said


def test_people_who_fail_the_longest_are_named_and_the_rest_counted() -> None:
    page = outline(failing=[nights().failing[0]] * (PEOPLE_SHOWN + 5))
    assert "10200" in words()
    assert "And 5 people more." in page.said
    assert sum(tag == "tr" for tag, _ in page.tags) == 3 + len(nights().rules) + PEOPLE_SHOWN + len(nights().runs)


def test_first_page_is_readable_by_a_screen_reader() -> None:
    page = outline()
    assert is_readable_by_a_screen_reader(page)
    assert sum(tag == "table" for tag, _ in page.tags) == 3


def test_nothing_in_the_first_page_is_markup_that_was_not_written_for_it() -> None:
    hostile = "<script>alert(1)</script>"
    rules = [RuleHistory(hostile, [1], 1, BEGAN)]
    page = outline(table=hostile, rules=rules, runs=[past_run(0, mode=hostile, message=hostile)])
    assert "script" not in {tag for tag, _ in page.tags}
    assert hostile in page.words


def test_a_folder_without_a_run_says_so() -> None:
    said = words(runs=[], rules=[], failing=[])
    assert "No run is recorded" in said
    assert "No record came back" in said


def test_without_the_log_the_page_says_what_is_missing() -> None:
    assert "The submission log is not in this database" in words(has_log=False, rules=[], failing=[])
