"""The rooms: no module imports, over whatever way, one that imports it."""

import grimp

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
