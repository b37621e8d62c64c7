"""The pictures of commands in the documents show what the commands print now."""

from __future__ import annotations

import re
from html import unescape

import pytest

from scripts import make_pictures

pytestmark = pytest.mark.xdist_group("pictures")


def same(lines: list[str]) -> list[str]:
    """Return lines without what differs from run to run: ids, times, figures, and the room that they take."""
    return [" ".join(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d[\d.,:]*", "#", line).split()) for line in lines]


@pytest.mark.parametrize("name", ["demo", "smoke", "status"])
def test_picture_shows_what_the_command_prints(name: str) -> None:
    shown = re.findall(
        r"<text [^>]*textLength[^>]*>([^<]*)</text>", (make_pictures.IMAGES / f"{name}.svg").read_text("utf-8")
    )
    drawn = [unescape(line).replace("\N{NO-BREAK SPACE}", " ") for line in shown]

    with make_pictures.alone(), make_pictures.surroundings(name) as settings:
        lines = make_pictures.lines_of(f"d2i-csc-api {name}", make_pictures.printed(name, settings))

    assert same(drawn) == same([line for line in lines if line.strip()]), "scripts/make-pictures draws it anew"
    assert name != "demo" or len(drawn) <= 30, "the first picture tells the story at a glance"
