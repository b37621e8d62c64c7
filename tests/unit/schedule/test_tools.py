"""The schedulers' own programs, started for real: what they are given, and how their failure is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from api_pipeline.errors import PipelineError, SettingsError
from api_pipeline.schedule import tools

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a program made of text is not started there")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, text: str) -> str:
    """Make a program of these lines and return its name."""
    path = folder / "scheduler"
    path.write_text(f"#!{sys.executable} -S\nimport sys\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path.name


def test_program_gets_its_arguments_word_for_word_and_its_input(programs: Path) -> None:
    name = program(programs, "print(sys.argv[1:], sys.stdin.read())")
    done = tools.ask(name, ["-x", "a b; $HOME"], "one line\n")
    assert (done.code, done.out) == (0, "['-x', 'a b; $HOME'] one line\n\n")
    assert tools.ask(name, []).out == "[] \n"


def test_failure_of_a_query_is_a_value_and_of_an_order_an_error(programs: Path) -> None:
    name = program(programs, "print('out'); print('not\\n allowed', file=sys.stderr); sys.exit(7)")
    done = tools.ask(name, ["-l"])
    assert (done.code, done.said) == (7, "not allowed")
    with pytest.raises(PipelineError, match=r"scheduler -l ended with code 7: not allowed$"):
        tools.order(name, ["-l"])


def test_standard_output_is_quoted_in_part_if_there_is_no_error_text(programs: Path) -> None:
    assert tools.Done(1, " a\n b ", " \n").said == "a b"
    assert len(tools.Done(1, "", "x" * 5000).said) == 300
    name = program(programs, "sys.exit(1)")
    with pytest.raises(PipelineError, match="code 1: it said nothing"):
        tools.order(name, ["-r"])


def test_program_that_is_talked_to_insists_on_success(programs: Path) -> None:
    tools.converse(program(programs, ""), ["/create"])
    with pytest.raises(PipelineError, match=r"scheduler /create ended with code 3; what it printed says why"):
        tools.converse(program(programs, "sys.exit(3)"), ["/create"])


def test_program_that_is_not_there_is_named_with_the_way_out(programs: Path) -> None:
    for start in (tools.ask, tools.order, tools.converse):
        with pytest.raises(SettingsError, match=r"crontab was not found on this machine.*--kind"):
            start("crontab", ["-l"])


def test_program_of_the_system_is_taken_from_its_folder_alone(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows a search by name begins in the working folder."""
    (programs / program(programs, "")).rename(programs / "scheduler.exe")
    monkeypatch.chdir(programs)
    system = tmp_path / "system"
    system.mkdir()
    with pytest.raises(SettingsError, match=r"scheduler was not found on this machine"):
        tools.found("scheduler", system)
    (programs / "scheduler.exe").rename(system / "scheduler.exe")
    assert tools.found("scheduler", system) == str(system / "scheduler.exe")


def test_program_that_cannot_be_started_is_named(programs: Path) -> None:
    broken = programs / "scheduler"
    broken.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    broken.chmod(0o755)
    for start in (tools.ask, tools.order, tools.converse):
        with pytest.raises(PipelineError, match="scheduler could not be started"):
            start("scheduler", ["-l"])
