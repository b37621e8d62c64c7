"""The notebook does what it shows, from top to bottom, on a machine that has nothing but the package."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from api_pipeline import make_trial_database
from tests.support.commands import clean_environment
from tests.support.documents import DOCS, blocks

NOTEBOOK = DOCS / "notebooks" / "rehearsal.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
# Runs the cells in one namespace, as a kernel does, and shows the value of a cell's last line.
RUNNER = """
import ast, json, sys
shown = []
space = {"__name__": "__main__"}
for number, source in enumerate(json.load(sys.stdin)):
    print(f"--- cell {number}")
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), space)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), space)
        if value is not None:
            print(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
"""


def sources() -> list[str]:
    return ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def execute(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(sources()),
        cwd=folder,
        env=clean_environment({}),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_cell_runs_again_and_again_and_the_rehearsal_sends_nothing(tmp_path: Path) -> None:
    out = execute(tmp_path)
    assert "testing mode: True" in out
    assert "0 steps failed" in out
    assert "records are in error" in out
    assert "<td>testing</td>" in out
    assert "<td>live</td>" not in out
    assert "0 steps failed" in execute(tmp_path), "in the same folder"


def test_it_takes_the_settings_file_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_CONNECTION_STRING=sqlite:///nowhere.db\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(sources()),
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert not (tmp_path / "trial.db").exists()
    assert "nowhere.db" in done.stdout + done.stderr


def test_python_example_does_what_the_page_shows(tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks(DOCS / "reference/python.md") if "import" in block.text]
    make_trial_database(tmp_path / "trial.db", 5)
    (tmp_path / ".env").write_text("DB_CONNECTION_STRING=sqlite:///trial.db\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "every due record passed in testing mode" in done.stdout


def test_it_is_committed_without_results_and_needs_no_pandas() -> None:
    for cell in CELLS:
        assert cell["cell_type"] in ("code", "markdown")
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    imported = {
        name
        for source in sources()
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"api_pipeline", "pathlib"}
