"""The ready files for shards: what they start is accepted by the program and leaves no row out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import pytest
import yaml

from tests.support.commands import ROOT, clean_environment, started_cli
from tests.support.world import World

MANIFEST = ROOT / "docs" / "schedules" / "csc-api-shards.yaml"
DAG = ROOT / "docs" / "schedules" / "csc_api_shards.py"
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")

Command = tuple[str, Mapping[str, str]]


def manifest() -> dict[str, Any]:
    (document,) = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def job() -> dict[str, Any]:
    found: dict[str, Any] = manifest()["spec"]["jobTemplate"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = job()["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


class Airflow:
    """Stands where Airflow would be when the DAG file is read, and notes what it is told."""

    def __init__(self) -> None:
        self.dag: dict[str, Any] = {}
        self.task: dict[str, Any] = {}
        self.mapped: dict[str, Any] = {}

    def partial(self, **arguments: Any) -> Airflow:
        self.task = arguments
        return self

    def expand(self, **arguments: Any) -> None:
        self.mapped = arguments

    def read(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        airflow = self

        class Dag:
            def __init__(self, **arguments: Any) -> None:
                airflow.dag = arguments

            def __enter__(self) -> None: ...

            def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...

        members: dict[str, dict[str, Any]] = {
            "airflow.sdk": {"DAG": Dag},
            "airflow.providers.standard.operators.bash": {"BashOperator": self},
            "pendulum": {"datetime": lambda *numbers, tz: (*numbers, tz)},
        }
        for name, content in members.items():
            module = ModuleType(name)
            vars(module).update(content)
            for place in range(name.count(".") + 1):
                parent = ".".join(name.split(".")[: place + 1])
                monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent, ModuleType(parent)))
            monkeypatch.setitem(sys.modules, name, module)
        exec(compile(file.read_text(encoding="utf-8"), file.name, "exec"), {"__name__": "dag"})


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow()
    airflow.read(DAG, monkeypatch)
    return airflow


def kubernetes_commands(_: Airflow) -> list[Command]:
    shell, option = container()["command"]
    (line,) = container()["args"]
    assert (shell, option) == ("/bin/sh", "-c")
    return [(line, {"JOB_COMPLETION_INDEX": str(index)}) for index in range(job()["completions"])]


def airflow_commands(airflow: Airflow) -> list[Command]:
    return [(line.replace("/opt/csc-api/bin/", ""), {}) for line in airflow.mapped["bash_command"]]


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a POSIX shell")
@pytest.mark.parametrize("commands", [kubernetes_commands, airflow_commands])
@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_commands_of_a_ready_file_started_together_send_the_whole_table(
    world: World, airflow: Airflow, commands: Callable[[Airflow], list[Command]]
) -> None:
    persons = world.stage(40)
    programs = world.folder / "bin"
    programs.mkdir()
    program = programs / "d2i-csc-api"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m api_pipeline "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = clean_environment(world.environment())
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    shell = shutil.which("sh")
    assert shell
    with ExitStack() as stack:
        runs = []
        for line, told in commands(airflow):
            words = shlex.split(line)
            if words[:2] == ["exec", program.name] and "$" not in line:
                # There is nothing for a shell to do.
                runs.append(stack.enter_context(started_cli(words[2:], world.environment(), world.folder)))
                continue
            run = subprocess.Popen([shell, "-c", line], env={**environment, **told}, cwd=world.folder, text=True)
            stack.callback(run.kill)
            runs.append(run)
        assert [run.wait(timeout=60) for run in runs] == [0] * 4
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == 40
    shards = world.database.rows("SELECT shard FROM ssd_api_runs ORDER BY shard")
    assert [row[0] for row in shards] == ["1/4", "2/4", "3/4", "4/4"]


def test_manifest_starts_one_pod_for_each_shard() -> None:
    assert (manifest()["apiVersion"], manifest()["kind"]) == ("batch/v1", "CronJob")
    assert job()["completionMode"] == "Indexed"
    assert job()["template"]["spec"]["restartPolicy"] == "Never", "a failure policy by exit codes takes no other"
    (shards,) = re.findall(r"--shard \"\$\(\(JOB_COMPLETION_INDEX \+ 1\)\)/(\d+)\"", container()["args"][0])
    assert int(shards) == job()["completions"] == job()["parallelism"]


def test_manifest_tries_again_what_may_pass_and_nothing_else() -> None:
    rules = {
        code: rule["action"] for rule in job()["podFailurePolicy"]["rules"] for code in rule["onExitCodes"]["values"]
    }
    assert rules == {1: "FailIndex", 2: "FailJob", 4: "FailJob"}
    assert job()["backoffLimitPerIndex"] > 0


def test_manifest_keeps_receipts_on_a_volume_that_outlives_the_pod() -> None:
    (mount,) = container()["volumeMounts"]
    (volume,) = job()["template"]["spec"]["volumes"]
    assert mount["mountPath"] == container()["workingDir"]
    assert mount["name"] == volume["name"]
    assert "persistentVolumeClaim" in volume


def test_dag_runs_one_night_at_a_time_in_the_working_folder(airflow: Airflow) -> None:
    assert (airflow.dag["max_active_runs"], airflow.dag["catchup"]) == (1, False)
    assert airflow.task == {"task_id": "send", "cwd": "/var/lib/csc-api"}


def test_page_shows_the_files_as_they_are() -> None:
    (dag_lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert dag_lines in re.sub(r"^    ", "", DAG.read_text(encoding="utf-8"), flags=re.M)
    (yaml_lines,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    assert yaml.safe_load(yaml_lines).items() <= job().items()
    (shell_lines,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    assert shell_lines.strip() == container()["args"][0]
    assert "(schedules/csc-api-shards.yaml)" in PAGE
    assert "(schedules/csc_api_shards.py)" in PAGE
