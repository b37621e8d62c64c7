"""The documentation as tests see it: its pages, their code blocks, and the commands that are shown."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import ROOT

DOCS = ROOT / "docs"
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = ("d2i-csc-api", "csc-api-pipeline", "csc_api_pipeline", "csc_api_pipeline.exe", "csc-api-pipeline.exe")
# Names every command, but calls none.
_REFERENCE = "docs/reference/cli.md"
_INLINE = re.compile(r"`(d2i-csc-api [^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, what else stands on its first line, its text, and the line of prose before it."""

    language: str
    info: str
    text: str
    lead: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A command that a page shows: the words behind the program's name."""

    page: str
    line: str
    words: tuple[str, ...]


def pages() -> list[Path]:
    """Return every page, and README.md, which readers meet first."""
    return [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, _, info = match["info"].strip().partition(" ")
        before = text[: match.start()].rstrip().rpartition("\n")[2].strip()
        found.append(Block(language, info, textwrap.dedent(match["text"]), before))
    return found


def prose(path: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def shown_commands() -> list[Shown]:
    """Return every call of the program that a page shows, in blocks and within lines."""
    found = []
    for path in pages():
        name = path.relative_to(ROOT).as_posix()
        if name == _REFERENCE:
            continue
        lines = [
            (line, block.language == "bat")
            for block in blocks(path)
            if block.language in ("sh", "bat")
            for line in block.text.splitlines()
        ]
        lines += [(line, False) for line in _INLINE.findall(prose(path).replace("\n", " "))]
        for line, is_windows in lines:
            words = _words(line.strip(), is_windows=is_windows)
            if words and re.split(r"[\\/]", words[0])[-1] in _PROGRAMS:
                found.append(Shown(name, line.strip(), tuple(words[1:])))
    return found


def _words(line: str, *, is_windows: bool) -> list[str]:
    if not is_windows:
        return shlex.split(line, comments=True)
    return [word.strip('"') for word in shlex.split(line, posix=False)]
