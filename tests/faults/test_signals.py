"""Signals, kills and a second run, each on a real program in mid-run (contract 3 and 5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from tests.support.commands import started_cli
from tests.support.killed import wait_until_lock_is_free
from tests.support.world import World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in the manner of POSIX")

MANY = 60
# Longer than any test lasts: what is held up so long is answered when the test says so, by `simulator.interrupt`.
HELD_UP_S = 50.0


def wait_for_requests(world: World, count: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 20
    while world.requests() < count and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it was to be stopped"
    assert world.requests() >= count, "the requests did not come"


def wait_for_word(process: subprocess.Popen[str], word: str) -> None:
    """Read what the run says until a line has the word in it."""
    assert process.stderr is not None
    # A run that never says it is ended, so that the test fails instead of waiting for ever.
    bound = threading.Timer(20, process.kill)
    bound.start()
    try:
        assert any(word in line for line in process.stderr), f"the run never said {word!r}"
    finally:
        bound.cancel()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_signal_lets_no_request_start_and_writes_back_what_is_in_flight(
    world: World, number: signal.Signals, in_flight: int
) -> None:
    persons = world.stage(MANY)
    # A window's worth is answered at once, and the next is in flight until the run has said that it heard the signal.
    world.server.simulator.add_fault(Fault(FaultKind.SLOW, first=in_flight + 1, delay_s=HELD_UP_S))
    with world.started(BATCH_SIZE=2, MAX_IN_FLIGHT=in_flight) as process:
        wait_for_requests(world, 2 * in_flight, process)
        process.send_signal(number)
        wait_for_word(process, "stopping:")
        requests = world.requests()
        world.server.simulator.interrupt()
        assert process.wait(timeout=20) == 130
        assert process.stdout is not None
        assert "not tried" in process.stdout.read()
    assert world.requests() == requests
    words = world.words()
    world.check(words)
    assert list(words.values()).count("sent") == 2 * requests == world.server.simulator.stats().records_accepted
    assert set(words.values()) == {"sent", "untouched"}
    finish(world, persons)


def test_second_signal_stops_at_once(world: World) -> None:
    persons = world.stage(MANY)
    world.server.simulator.add_fault(Fault(FaultKind.HANG, times=None))
    with world.started(READ_TIMEOUT_S=30) as process:
        wait_for_requests(world, 1, process)
        process.send_signal(signal.SIGINT)
        wait_for_word(process, "stopping:")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    world.check(dict.fromkeys(persons, "untouched"))
    finish(world, persons)


def test_signal_during_a_backoff_ends_the_wait(world: World) -> None:
    persons = world.stage(4)
    world.server.simulator.add_fault(Fault(status=503, times=None, retry_after_s=60))
    with world.started() as process:
        wait_for_requests(world, 1, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 130
    world.check(dict.fromkeys(persons, "untouched"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_command_that_nothing_waits_for_ends_with_130_too(world: World, name: str) -> None:
    world.server.simulator.add_fault(Fault(FaultKind.SLOW, delay_s=HELD_UP_S))
    with started_cli(["test-endpoint"], world.environment(READ_TIMEOUT_S=30), world.folder) as process:
        wait_for_requests(world, 1, process)
        process.send_signal(getattr(signal, name))
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_signal_in_a_callback_whose_errors_python_drops_ends_the_program() -> None:
    program = """
import os, signal, weakref
from api_pipeline.commands.stopping import end_on_signals
end_on_signals()
class Something:
    pass
def on_end(_reference):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass
something = Something()
reference = weakref.ref(something, on_end)
del something
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (130, b"")


def test_signal_to_a_program_that_has_ended_does_not_change_its_code() -> None:
    program = """
import os, signal, sys
from api_pipeline.commands.stopping import end_on_signals
end_on_signals()
class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGTERM):
        kill(me, number)
last = Last()
sys.exit(5)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (5, b"")


@pytest.mark.parametrize(("is_importing", "code"), [(True, 130), (False, 7)])
def test_interrupt_raises_nothing_in_a_module_that_is_being_imported(
    tmp_path: Path, is_importing: bool, code: int
) -> None:
    # A compiled module makes a crash of an error that is raised in it; this one makes another exit code of it.
    (tmp_path / "compiled.py").write_text(
        "import os, signal, sys\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    for _ in range(1000): pass\n"
        "except SystemExit as error:\n"
        "    sys.exit(7 if error.code == 130 else 8)\n"
    )
    use = "import compiled" if is_importing else "exec(open('compiled.py').read())"
    program = f"from api_pipeline.commands.stopping import end_on_signals\nend_on_signals()\n{use}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_the_program_is_still_loading_ends_it_with_130(number: signal.Signals) -> None:
    # The module that has the commands is replaced by one that waits, as a slow disk would make it.
    slow = "import sys, time; print('loading', flush=True); time.sleep(30)"
    program = f"""
import importlib.abc, importlib.machinery, sys
class Slow(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "api_pipeline.cli" else None
    def get_source(self, name):
        return {slow!r}
sys.meta_path.insert(0, Slow())
from api_pipeline.entry_point import main
main()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().strip() == b"loading"
        process.send_signal(number)
        assert process.wait(timeout=10) == 130
        assert process.stderr.read() == b""


@pytest.mark.parametrize("requests", [1, 4, 11])
def test_run_that_is_killed_outright_is_finished_by_the_next(world: World, requests: int) -> None:
    check_kill(world, requests)


def test_run_that_is_killed_outright_on_postgresql_is_finished_by_the_next(postgres_world: World) -> None:
    check_kill(postgres_world, 6)


def check_kill(world: World, requests: int) -> None:
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)
    # However late the kill comes, the run is not over by then.
    world.server.simulator.add_fault(Fault(FaultKind.SLOW, first=requests + 8, delay_s=HELD_UP_S))
    with world.started(BATCH_SIZE=2, MAX_IN_FLIGHT=4) as process:
        wait_for_requests(world, requests, process)
        process.kill()
        process.wait(timeout=10)
    # What the server was still at has come to its end by then.
    wait_until_lock_is_free(world.database)
    words = world.words()
    # Every row that is called sent has a receipt that the receiver gave, and is held in that version.
    world.check(words)
    assert set(words.values()) <= {"sent", "untouched"}
    assert list(words.values()).count("sent") <= world.server.simulator.stats().records_accepted
    finish(world, persons)


def finish(world: World, persons: list[str]) -> None:
    """See that the lock is free, and that the next run sends what is left."""
    world.server.simulator.clear_faults()
    world.server.simulator.change(latency_s=0.0)
    done = world.run()
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))


def test_second_run_on_the_same_table_ends_with_75_and_disturbs_nothing(world: World) -> None:
    check_second_run(world)


def test_second_run_on_the_same_postgresql_table_ends_with_75(postgres_world: World) -> None:
    check_second_run(postgres_world)


def check_second_run(world: World) -> None:
    persons = world.stage(20)
    world.server.simulator.add_fault(Fault(FaultKind.SLOW, delay_s=HELD_UP_S))
    with world.started(BATCH_SIZE=2) as process:
        wait_for_requests(world, 1, process)
        second = world.run()
        assert second.code == 75, second.text
        assert "Another run" in second.text
        world.server.simulator.interrupt()
        assert process.wait(timeout=20) == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == len(persons)


# Reads in C, as a database driver does: no code of Python's repeats a read that a signal interrupts.
_READS_AS_A_DRIVER = """
import ctypes, os, signal, threading, time
from api_pipeline.commands.stopping import stop_on_signals

stop = stop_on_signals()
reading, writing = os.pipe()


def strike_and_answer():
    time.sleep(0.3)
    signal.pthread_kill(threading.main_thread().ident, signal.{name})
    time.sleep(0.3)
    os.write(writing, b"x")


threading.Thread(target=strike_and_answer).start()
print(ctypes.CDLL(None).read(reading, ctypes.create_string_buffer(1), 1), stop.is_set())
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_does_not_interrupt_what_a_driver_reads(name: str) -> None:
    """Microsoft's driver calls the connection lost then, and a command that is stopped would end as with a fault."""
    script = _READS_AS_A_DRIVER.format(name=name)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["1", "True"], done.stderr
