"""The words of the house: pages, docstrings, comments and SQL remarks say a thing once, in plain words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.commands import ROOT

_PACKAGE = ROOT / "api_pipeline"
# What is not said, and what is said instead.
_INSTEAD = {
    r"\btold\b": "say who gets what; keep apart",
    r"\b(?:un)?believ\w+": "take for true, use",
    r"\bremember\w*": "keep, record",
    r"\bmend(?:s|ed|ing)?\b": "correct",
    r"\blapse[sd]?\b": "expire",
    r"\bgarbage\b(?! collect)": "text that cannot be read",
    r"\bpatience\b": "wait",
    r"\btwins?\b": "the other",
    r"\bcompanions?\b": "control tables",
    r"(?<!stop )\bgates?\b(?! on)": "check",
    r"\bseveral rows\b": "more than one row",
    r"\bthe first night\b": "the first run",
    r"\bwanted is\b": "expected",
    r"\blets? (?:us|it|them) in\b": "accept",
    r"\b(?:takes?|took|taken) over\b": "adopt, replace",
    r"\bleft window\b": "left the time window",
    r"\bnobody knows\b": "it is not known",
    r"\b(?:be|is|are|was) had\b": "be available",
    r"\bwould else\b": "would otherwise",
    r"\bthe very \w+": "the",
}


# A count before a plural, in what the two wings say; a constant is written in capitals, and is never one.
_PLURALS = (
    "children|columns|courses|days|endpoints|entries|errors|learners|pages|people|pupils|records|requests|returns|"
    "rounds|rows|schools|sets|statements|tables|warnings"
)
_ALWAYS_PLURAL = re.compile(
    rf"(?:%d|{{(?!_[A-Z])[^{{}}]*(?:{{[^{{}}]*}}[^{{}}]*)*}}) (?:landing |landed )?(?:{_PLURALS})\b"
)
# All begin at a word's edge: said once, so that other places in a text are passed over at once.
_ANY = re.compile(rf"\b(?:{'|'.join(_INSTEAD)})", re.IGNORECASE)


def unplain(text: str) -> list[str]:
    """Return the words of a text that the house does not use, each with what it says instead."""
    return [f"{word} ({_instead_of(word)})" for word in (match[0] for match in _ANY.finditer(text))]


def _instead_of(word: str) -> str:
    # A word that another must follow or must not precede is found again without its neighbours.
    return next(instead for pattern, instead in _INSTEAD.items() if re.match(pattern, word, re.IGNORECASE))


def pages() -> Iterator[tuple[str, str]]:
    """Yield each page that a person reads, with its name."""
    names = ["README.md", "CHANGELOG.md", ".env.example", ".github/CONTRIBUTING.md", ".github/SECURITY.md"]
    for path in [*(ROOT / name for name in names), *sorted((ROOT / "docs").rglob("*.md"))]:
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def remarks(path: Path) -> str:
    """Return the docstrings and the comments of a module."""
    text = path.read_text(encoding="utf-8")
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return "\n".join([*docstrings, *re.findall(r"(?:^|\s)# .*", text)])


def test_pages_use_the_words_of_the_house() -> None:
    assert [(name, found) for name, text in pages() if (found := unplain(text))] == []


def test_docstrings_and_comments_use_the_words_of_the_house() -> None:
    modules = sorted(_PACKAGE.rglob("*.py"))
    assert len(modules) > 300
    # Few modules have such a word at all, as a name perhaps: the others need not be parsed.
    suspects = [path for path in modules if unplain(path.read_text(encoding="utf-8"))]
    assert [(str(path.relative_to(ROOT)), words) for path in suspects if (words := unplain(remarks(path)))] == []


def test_remarks_of_sql_use_the_words_of_the_house() -> None:
    scripts = sorted((_PACKAGE / "data").rglob("*.sql"))
    assert scripts
    found = [(path.name, words) for path in scripts if (words := unplain(path.read_text(encoding="utf-8")))]
    assert found == []


def test_counts_of_the_wings_are_in_the_singular_where_they_are_one() -> None:
    folders = ("xporter", "sdr", "commands/xporter", "commands/sdr")
    paths = [path for folder in folders for path in sorted((_PACKAGE / folder).rglob("*.py"))]
    paths += [_PACKAGE / name for name in ("demos/xporter.py", "demos/sdr.py", "diagnostics/tec.py")]
    found = [
        f"{path.name}: {match[0]}"
        for path in paths
        for match in _ALWAYS_PLURAL.finditer(path.read_text(encoding="utf-8"))
        if "counted(" not in match[0]
    ]
    assert not found, "use counted() of run_summary"


def test_word_that_the_house_does_not_use_is_found_with_what_to_say_instead() -> None:
    assert unplain("The sender is told. A table of several rows.") == [
        "told (say who gets what; keep apart)",
        "several rows (more than one row)",
    ]
    assert unplain("A stop gate, the garbage collector, and control tables.") == []
