"""The help by purpose, and completion in a shell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from api_pipeline.cli import cli
from tests.support.commands import ROOT, clean_environment, invoke_cli, run_cli
from tests.support.databases import missing


def complete(words: str, tmp_path: Path) -> list[str]:
    """Return what the program proposes for the last of these words."""
    env = {
        "_D2I_CSC_API_COMPLETE": "bash_complete",
        "COMP_WORDS": f"d2i-csc-api {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }
    done = run_cli([], env, tmp_path)
    assert (done.code, done.err) == (0, "")
    return [line.partition(",")[2] for line in done.out.splitlines()]


def test_help_lists_every_command_once_under_a_heading(tmp_path: Path) -> None:
    text = invoke_cli(["--help"], {}, tmp_path).out
    headings = re.findall(r"^([A-Z][\w ]+):$", text, re.MULTILINE)
    assert headings == [
        "Options",
        "Set up",
        "Every night",
        "Find out",
        "Data",
        "Rehearse with the embedded receiver",
        "Other services",
    ]
    listed = re.findall(r"^  ([a-z][a-z-]+) {2,}", text.partition("Set up:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        ("sta", ["stage", "status"]),
        ("schedule --ki", ["--kind"]),
        ("schedule --kind cr", ["cron"]),
        ("config ", ["check", "show"]),
    ],
)
def test_shell_is_told_what_may_come_next(words: str, proposed: list[str], tmp_path: Path) -> None:
    assert complete(words, tmp_path) == proposed


def test_bash_completes_with_the_script_that_the_program_prints(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        missing("bash is not installed")
    program = tmp_path / "d2i-csc-api"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m api_pipeline "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    (page,) = re.findall(r"^eval .*bash_source.*$", (ROOT / "docs" / "install.md").read_text("utf-8"), re.MULTILINE)
    script = (
        f'{page}\nCOMP_WORDS=(d2i-csc-api req) COMP_CWORD=1\n_d2i_csc_api_completion d2i-csc-api\necho "$COMPREPLY"\n'
    )
    environment = clean_environment({})
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run([bash, "-c", script], env=environment, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("requeue", "")
