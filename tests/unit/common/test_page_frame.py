"""The frame of every page: nothing from elsewhere, and every text is shown as it is."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from api_pipeline import __version__
from api_pipeline.common.page_frame import Html, document, section, table, verdict

SIGNS = "<script>alert('&\"')</script>"


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements with their attributes, and the text outside the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._is_style = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._is_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._is_style = False

    def handle_data(self, data: str) -> None:
        if not self._is_style and data.strip():
            self.texts.append(data.strip())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def test_page_holds_its_parts_in_order_and_blank_ones_leave_nothing() -> None:
    page = document("Run", "a table", [section("One"), "", section("Two")], footer="Kept for you.", lang="cy")
    read = Reader(page)
    assert page.startswith("<!DOCTYPE html>\n")
    assert "\n\n<section>" not in page
    assert read.attributes("html") == [{"lang": "cy"}]
    assert read.texts == [
        "Run - d2i-csc-api",
        "Run \u00b7 a table",
        "One",
        "Two",
        f"Made by d2i-csc-api {__version__}. Kept for you.",
    ]


def test_page_runs_nothing_and_fetches_nothing() -> None:
    read = Reader(document("Run", "a table", []))
    policy = next(of for of in read.attributes("meta") if of.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert {tag for tag, _ in read.elements}.isdisjoint({"script", "link", "img", "iframe"})


@pytest.mark.parametrize(
    "page",
    [
        document(SIGNS, "about", []),
        document("title", SIGNS, []),
        verdict("good", SIGNS),
        verdict("good", "heading", SIGNS),
        section(SIGNS),
        table([SIGNS], []),
        table(["a"], [[SIGNS]]),
        table(["a", "b"], [["x", SIGNS]]),
        table(["a"], [], caption=SIGNS),
    ],
)
def test_text_is_shown_and_never_becomes_markup(page: str) -> None:
    read = Reader(page)
    assert any(SIGNS in text for text in read.texts)
    assert read.attributes("script") == []


def test_markup_that_is_marked_as_such_stays_markup() -> None:
    assert Reader(verdict("bad", "heading", Html("<b>x</b>"))).attributes("b") == [{}]
    assert Reader(table(["a"], [[Html("<b>x</b>")]])).attributes("b") == [{}]


def test_verdict_has_its_tone_and_no_empty_paragraph() -> None:
    read = Reader(verdict("warn", "Look here", "", "Because."))
    assert read.attributes("div") == [{"class": "verdict tone-warn"}]
    assert len(read.attributes("p")) == 1
    assert read.texts == ["Look here", "Because."]


def test_last_columns_of_a_table_are_numbers_and_the_first_heads_its_row() -> None:
    read = Reader(table(["kind", "note", "count"], [["x", None, 0], ["y", "z", 7]], caption="All", numbers=1))
    assert read.attributes("th") == [
        {"scope": "col"},
        {"scope": "col"},
        {"scope": "col", "class": "number"},
        {"scope": "row"},
        {"scope": "row"},
    ]
    assert read.attributes("td") == [{}, {"class": "number"}] * 2
    assert read.texts == ["All", "kind", "note", "count", "x", "0", "y", "z", "7"]


def test_row_with_a_cell_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["x"]])
