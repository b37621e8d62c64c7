"""The frame of every HTML page that the program writes. Pure.

A page is one file without script, and fetches nothing from elsewhere. Each service fills the frame with its own
sections. Every text is escaped; `Html` marks a text that is markup already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from api_pipeline._version import __version__


class Html(str):
    """A text that is markup already and is not escaped again."""

    __slots__ = ()


def document(title: str, about: str, parts: Iterable[str], *, footer: str = "", lang: str = "en-GB") -> str:
    """Return a whole page as text, to be written as UTF-8. `parts` are its sections, as markup."""
    style = (files("api_pipeline") / "data" / "report.css").read_text(encoding="utf-8")
    told = f" {footer}" if footer else ""
    head = [
        f'<!DOCTYPE html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">',
        # Nothing may be fetched or run, whatever a text that was not foreseen might hold.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="robots" content="noindex">',
        f"<title>{escape(title)} - d2i-csc-api</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
        f"<header><p>{escape(title)} &middot; {escape(about)}</p></header>",
    ]
    end = [f"<footer><p>Made by d2i-csc-api {escape(__version__)}.{told}</p></footer>", "</main>\n</body>\n</html>\n"]
    return "\n".join([*head, *(part for part in parts if part), *end])


def verdict(tone: str, heading: str, *paragraphs: str) -> str:
    """Return the box at the head of a page; `tone` is good, warn or bad, and the heading says it in words."""
    told = "".join(f"<p>{_escaped(text)}</p>" for text in paragraphs if text)
    return f'<div class="verdict tone-{tone}"><h1>{escape(heading)}</h1>{told}</div>'


def section(heading: str, *parts: str) -> str:
    """Return a section of markup under a heading."""
    return f"<section><h2>{escape(heading)}</h2>{''.join(parts)}</section>"


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", numbers: int = 0) -> str:
    """Return a table. The last `numbers` columns are aligned as numbers; a cell of None is empty."""
    first = len(titles) - numbers
    marks = [' class="number"' if place >= first else "" for place in range(len(titles))]
    head = "".join(f'<th scope="col"{mark}>{escape(text)}</th>' for text, mark in zip(titles, marks, strict=True))
    body = "\n".join(_row(row, marks) for row in rows)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _row(cells: Sequence[object], marks: Sequence[str]) -> str:
    first = f'<th scope="row">{_escaped(cells[0])}</th>'
    rest = zip(cells[1:], marks[1:], strict=True)
    return f"<tr>{first}{''.join(f'<td{mark}>{_escaped(cell)}</td>' for cell, mark in rest)}</tr>"


def _escaped(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, Html) else escape(str(value))
