"""The pictures of commands in the documents show what the commands print now."""

from __future__ import annotations

import re
from html import unescape

from scripts import make_pictures


def same(lines: list[str]) -> list[str]:
    """Return lines without what differs from run to run: ids, times, figures, and the room that they take."""
    return [" ".join(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d[\d.,:]*", "#", line).split()) for line in lines]


def test_pictures_show_what_the_commands_print() -> None:
    # The demo comes first: the others are run on the database that it leaves.
    with make_pictures.alone():
        for name in ("demo", "smoke", "status"):
            drawn = drawn_lines(name)
            with make_pictures.surroundings(name) as settings:
                lines = make_pictures.lines_of(f"d2i-csc-api {name}", make_pictures.printed(name, settings))

            assert same(drawn) == same([line for line in lines if line.strip()]), "scripts/make-pictures draws it anew"
            assert name != "demo" or len(drawn) <= 30, "the first picture tells the story at a glance"


def drawn_lines(name: str) -> list[str]:
    """Return the lines of a picture."""
    text = (make_pictures.IMAGES / f"{name}.svg").read_text("utf-8")
    shown = re.findall(r"<text [^>]*textLength[^>]*>([^<]*)</text>", text)
    return [unescape(line).replace("\N{NO-BREAK SPACE}", " ") for line in shown]
