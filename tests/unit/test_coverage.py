"""The floor of coverage names every module of plain logic: it reaches no file, thread, network or database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import grimp

from tests.support.commands import ROOT as CHECKOUT

ROOT = "api_pipeline"
# What a module of plain logic imports neither itself nor by way of another module.
OUTSIDE = frozenset(
    {
        *("click", "concurrent", "ctypes", "dotenv", "http", "keyring", "os", "pyodbc"),
        *("queue", "requests", "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl"),
        *("subprocess", "tempfile", "threading", "time", "truststore", "urllib3"),
    }
)
# Judged by other tests than those that `scripts/test --coverage` runs, and why.
ELSEWHERE = {
    "anonymise/": "laws of whole records (tests/properties/test_anonymise_laws.py) and whole tables",
    "commands/": "the commands are run (tests/acceptance)",
    "db/": "the pieces of SQL run on real databases (tests/integration)",
    "documents/": "what the commands print follows its schema (tests/acceptance/test_machine_output.py)",
    "explain/page.py": "the story of a child is shown (tests/integration/test_explain.py)",
    "sandbox/": "stands in for others; the tests of the program are its tests",
    "sdr/": "a wing: tests/unit/sdr, tests/integration/sdr and its laws",
    "setup/": "the questions are asked (tests/integration/test_init.py)",
    "staging/outcome.py": "counts that a staging prints (tests/integration/staging)",
    "staging/sources.py": "a hash of what a payload came from, a law (tests/properties/test_staging_shortcut_law.py)",
    "xporter/": "a wing: tests/unit/xporter, tests/integration and its laws",
}


def measured() -> list[str]:
    """Return the patterns of the modules that are measured."""
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[tool.coverage.run]")[2].partition("\n[")[0]
    return re.findall(rf'^    "{ROOT}/(.+)",$', section, re.MULTILINE)


def plain_modules() -> Iterator[str]:
    """Yield the file of each module that reaches nothing outside, from the root of the package."""
    graph = grimp.build_graph(ROOT, cache_dir=None, include_external_packages=True, exclude_type_checking_imports=True)
    package = {name for name in graph.modules if name.split(".")[0] == ROOT}
    reaching = {
        name
        for name in package
        if {used.split(".")[0] for used in graph.find_modules_directly_imported_by(name)} & OUTSIDE
    }
    for name in sorted(package - reaching):
        path = Path(CHECKOUT, *name.split("."))
        if not graph.find_upstream_modules(name) & reaching and not path.is_dir():
            yield f"{path.relative_to(CHECKOUT / ROOT).as_posix()}.py"


def test_every_module_of_plain_logic_is_measured_or_judged_elsewhere() -> None:
    patterns = measured()
    modules = set(plain_modules())
    unnamed = {name for name in modules if not any(fnmatchcase(name, pattern) for pattern in patterns)}

    assert len(modules) > 100
    assert {name for name in unnamed if not name.startswith(tuple(ELSEWHERE))} == {"_version.py"}


def test_every_pattern_and_every_exception_names_an_existing_module() -> None:
    files = [path.relative_to(CHECKOUT / ROOT).as_posix() for path in (CHECKOUT / ROOT).rglob("*.py")]

    assert [pattern for pattern in measured() if not any(fnmatchcase(name, pattern) for name in files)] == []
    assert [start for start in ELSEWHERE if not any(name.startswith(start) for name in files)] == []
