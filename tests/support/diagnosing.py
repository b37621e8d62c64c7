"""What a test of the surroundings found, as its own `--json` tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.commands import invoke_cli
from tests.support.world import live_settings

NETWORK_TEAM = "the council's network team"


@dataclass(frozen=True, slots=True)
class Found:
    """One test: exit code, and by step its status, detail and advice."""

    code: int
    steps: Mapping[str, Mapping[str, str]]
    err: str = ""

    @property
    def failed(self) -> str:
        """The name of the step that failed, "" for none; no step may come after it."""
        names = [name for name, step in self.steps.items() if step["status"] == "failed"]
        assert len(names) < 2
        assert not names or list(self.steps)[-1] == names[0], "a step was taken after one that failed"
        return names[0] if names else ""

    @property
    def sentence(self) -> str:
        """What the step that failed says."""
        return self.steps[self.failed]["detail"]

    @property
    def advice(self) -> str:
        """What is to be done about it."""
        return self.steps[self.failed]["advice"]


def diagnose(command: str, settings: Mapping[str, str], folder: Path, *args: str) -> Found:
    """Run one of the tests for machines; what it prints must agree with its exit code."""
    done = invoke_cli([command, *args, "--json"], settings, folder)
    document = json.loads(done.out)
    assert document["exit_code"] == done.code, done.text
    assert document["ok"] == (done.code == 0)
    return Found(done.code, {step["name"]: step for step in document["steps"]}, done.err)


def walk(server: SimulatorServer, folder: Path, *args: str, **settings: object) -> Found:
    """Run `test-endpoint` towards a simulator."""
    chosen = {name: str(value) for name, value in settings.items()}
    return diagnose("test-endpoint", {**live_settings(server), **chosen}, folder, *args)
