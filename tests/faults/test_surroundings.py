"""What happens to the program's surroundings while it runs: terminal, output, home and folder go away (contract 5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from tests.faults.test_signals import HELD_UP_S, wait_for_requests, wait_for_word
from tests.support.commands import clean_environment
from tests.support.world import World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and closed files in the manner of POSIX")
PROGRAM = [sys.executable, "-m", "api_pipeline"]


def in_shell(world: World, script: str, environment: Mapping[str, str] | None = None) -> int:
    """Run a line of shell with the program as "$@"; return its exit code."""
    env = clean_environment({**world.environment(BATCH_SIZE=1), **(environment or {})})
    done = subprocess.run(
        ["bash", "-c", script, "bash", *PROGRAM, "run"],
        env=env,
        cwd=world.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )
    return done.returncode


def test_terminal_that_goes_away_stops_the_run_after_what_is_in_flight(world: World) -> None:
    persons = world.stage(6)
    world.server.simulator.add_fault(Fault(FaultKind.SLOW, first=3, delay_s=HELD_UP_S))
    with world.started(BATCH_SIZE=1) as process:
        wait_for_requests(world, 3, process)
        process.send_signal(signal.SIGHUP)
        wait_for_word(process, "stopping:")
        world.server.simulator.interrupt()
        assert process.wait(timeout=20) == 130
    assert list(world.words().values()).count("sent") == world.server.simulator.stats().records_accepted
    world.server.simulator.clear_faults()
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))


def test_hangup_that_is_ignored_stops_nothing(world: World) -> None:
    persons = world.stage(3)
    assert in_shell(world, 'trap "" HUP; "$@" & sleep 0.1; kill -HUP $!; wait $!') == 0
    world.check(dict.fromkeys(persons, "sent"))


@pytest.mark.parametrize(
    "script",
    [
        '"$@" 2>&1 | head -1 >/dev/null; exit ${PIPESTATUS[0]}',
        '"$@" >&- 2>&-',
        '"$@" 2>&- </dev/null',
        '"$@" >/dev/full 2>/dev/full',
        '"$@" --verbose 2>&1 | true; exit ${PIPESTATUS[0]}',
    ],
    ids=["reader leaves", "both closed", "no standard error", "disk full", "no reader at all"],
)
def test_exit_code_is_that_of_the_run_whatever_becomes_of_the_output(world: World, script: str) -> None:
    persons = world.stage(3)
    world.server.simulator.add_fault(Fault(status=422, first=2, last=2))
    assert in_shell(world, script) == 1
    world.check({**dict.fromkeys(persons, "sent"), persons[1]: "error: ^HTTP 422"})


@pytest.mark.parametrize("command", ["secrets set CLIENT_SECRET", "init --kind sqlite --file x.db --no-make-tables"])
def test_closed_standard_input_is_an_empty_one(world: World, command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$@" {command} <&-', "bash", *PROGRAM],
        env=clean_environment({}),
        cwd=world.folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode in (2, 3), done.stderr
    assert "unexpectedly" not in done.stderr


def test_account_without_a_home_runs_as_ever(world: World) -> None:
    persons = world.stage(2)
    assert in_shell(world, 'unset HOME USER LOGNAME; exec "$@"') == 0
    world.check(dict.fromkeys(persons, "sent"))


def test_home_that_cannot_be_used_is_no_obstacle(world: World, tmp_path: Path) -> None:
    persons = world.stage(2)
    assert in_shell(world, 'exec "$@"', {"HOME": "/proc/1/nowhere"}) == 0
    world.check(dict.fromkeys(persons, "sent"))


def test_working_folder_that_is_gone_is_named_with_exit_code_2(world: World) -> None:
    world.stage(1)
    script = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    assert in_shell(world, script) == 2
    assert world.requests() == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become a nameless account")
def test_account_that_passwd_does_not_know_runs_as_ever(world: World) -> None:
    persons = world.stage(2)
    for path in (world.folder, *world.folder.iterdir()):
        path.chmod(0o777)
    for parent in world.folder.parents:
        if parent.stat().st_mode & 0o005 != 0o005 and parent != Path("/tmp"):
            pytest.skip("the folder of the tests is not open to other accounts")
    assert in_shell(world, 'unset HOME; exec setpriv --reuid 54321 --regid 54321 --clear-groups "$@"') == 0
    world.check(dict.fromkeys(persons, "sent"))
