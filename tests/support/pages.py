"""What a page of HTML holds: its tags, headings and words."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "wbr", "line", "rect"}


class Outline(HTMLParser):
    """The tags of a page, its headings, and its words; fails on a tag that is closed twice or never."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        if re.fullmatch("h[1-6]", self._open[-1] if self._open else ""):
            self.headings.append(f"{self._open[-1]} {data}")
        self.words += data

    @property
    def said(self) -> str:
        """Return the words with one blank between them."""
        return " ".join(self.words.split())


def is_readable_by_a_screen_reader(page: Outline) -> bool:
    """Return whether headings, tables and pictures say what they are."""
    levels = [int(heading[1]) for heading in page.headings]
    tables = sum(tag == "table" for tag, _ in page.tags)
    return (
        ("html", {"lang": "en-GB"}) in page.tags
        and levels[0] == 1
        and set(levels[1:]) == {2}
        and tables == sum(tag == "caption" for tag, _ in page.tags)
        and all("scope" in attributes for tag, attributes in page.tags if tag == "th")
        and all(attributes["role"] == "img" for tag, attributes in page.tags if tag == "svg")
    )
