"""The rooms: no module imports, over whatever way, one that imports it; the picture and the page name what is there."""

import ast
import re
from pathlib import Path

import grimp
import pytest

from scripts import draw_rooms
from tests.support.commands import ROOT as CHECKOUT

ROOT = "api_pipeline"


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return each set of modules that reach each other, in the order of their names."""
    modules = {module for module in graph.modules if module.split(".")[0] == ROOT}
    # A module that no other imports, or that imports no other, is in no circle; nor is one that only these make so.
    while ends := {
        module
        for module in modules
        if not (graph.find_modules_directly_imported_by(module) & modules)
        or not (graph.find_modules_that_directly_import(module) & modules)
    }:
        modules -= ends
    return sorted(sorted(_both_ways(graph, module, modules)) for module in modules)


def _both_ways(graph: grimp.ImportGraph, module: str, among: set[str]) -> set[str]:
    return {module, *(graph.find_upstream_modules(module) & graph.find_downstream_modules(module) & among)}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph(ROOT, cache_dir=None)  # also what is imported for types alone
    assert circles(graph) == []


def test_a_circle_over_three_modules_is_found() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")):
        graph.add_import(importer=f"{ROOT}.{importer}", imported=f"{ROOT}.{imported}")
    assert circles(graph) == [[f"{ROOT}.{name}" for name in "abc"]] * 3


def test_the_picture_of_the_rooms_shows_the_imports_of_today() -> None:
    assert draw_rooms.PICTURE.read_text(encoding="utf-8") == draw_rooms.picture(), "run scripts/make-docs"


def test_an_arrow_that_follows_from_two_others_is_not_drawn() -> None:
    uses = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset[str]()}
    assert draw_rooms.without_what_follows(uses) == {**uses, "a": frozenset("b")}
    assert draw_rooms.ranks(uses) == {"a": 0, "b": 1, "c": 2}


def test_every_module_that_the_page_for_developers_names_is_there() -> None:
    text = (CHECKOUT / "docs" / "developers.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)*(?:[a-z_]+\.py|[a-z_]+/))`", text)) - {"dist/"}
    assert len(named) > 20
    gone = {name for name in named if not any((CHECKOUT / top / name).exists() for top in (ROOT, "."))}
    assert gone == set()
    # "`is_due` in `outbox/staged_rows.py`": the name stands there.
    places = re.findall(r"`(\w+)`(?: \(\w+\))? (?:in|of) `((?:\w+/)+\w+\.(?:py|sql))`", text)
    assert len(places) > 3
    assert [name for name, file in places if name not in (CHECKOUT / ROOT / file).read_text(encoding="utf-8")] == []


def test_every_script_is_on_the_page_for_developers() -> None:
    text = (CHECKOUT / "docs" / "developers.md").read_text(encoding="utf-8")
    scripts = [path.name for path in (CHECKOUT / "scripts").iterdir() if path.is_file() and not path.suffix]
    assert len(scripts) > 15
    assert [name for name in scripts if not re.search(rf"`scripts/{name}\b(?!-)", text)] == []


@pytest.mark.parametrize("room", sorted((CHECKOUT / ROOT).glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_room_says_what_it_may_use_and_where_to_start_reading(room: Path) -> None:
    text = " ".join((ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))) or "").split())

    assert re.search(r"\b[Uu]ses?\b", text)
    start = re.search(r"Start reading at `([\w./]+)`", text)
    assert start
    first = start[1].removesuffix(".py").removesuffix("/").split(".")[0]
    there = any((room.parent / name).exists() for name in (first, f"{first}.py"))
    assert there or f"def {first}(" in room.read_text(encoding="utf-8")


def test_every_path_that_the_guide_for_contributors_names_is_there() -> None:
    text = (CHECKOUT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:api_pipeline|docs|tests|scripts)/[\w./*-]+)`", text))
    assert len(named) > 15
    assert {name for name in named if not list(CHECKOUT.glob(name.rstrip("/")))} == set()
    places = re.findall(r"`(api_pipeline/[\w/]+\.(?:py|sql))` \(`(\w+)`\)", text)
    assert len(places) >= 3
    assert [name for file, name in places if name not in (CHECKOUT / file).read_text(encoding="utf-8")] == []


def test_every_line_of_codeowners_is_a_path_that_is_there() -> None:
    lines = (CHECKOUT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    paths = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert len(paths) > 20
    # The first line is for every file; a later line that fits beats it.
    assert paths[0] == "*"
    assert {path for path in paths if not list(CHECKOUT.glob(path.strip("/")))} == set()
