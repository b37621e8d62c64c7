"""A receiver that means harm, over real sockets: bounded memory, bounded time, and no row that is `sent` untruly."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.commands import clean_environment
from tests.support.effort import IS_LONG
from tests.support.hostile_answers import FAST, SLOW, TOKENS, receipts_twice, saying
from tests.support.hostile_receiver import HostileReceiver, Talk, honest
from tests.support.staging import staged
from tests.support.world import World

MOST_MB = 150
# What the clock of the test sees on a busy machine beside the wait itself.
_SLACK_S = 1.5
# Runs the program, and leaves behind how much memory it had at most (the mark of its own memory, not its parent's).
_MEASURED = """
import atexit, pathlib, re, sys
def leave():
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path("most_kb").write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
atexit.register(leave)
from api_pipeline.cli import main
main()
"""


@dataclass(frozen=True)
class Measured:
    """What a program left behind; `most_mb` is the most memory it had at any time."""

    code: int
    text: str
    most_mb: float


def measured(args: list[str], env: Mapping[str, str], folder: Path) -> Measured:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *args],
        env=clean_environment(env),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )
    return Measured(done.returncode, done.stdout + done.stderr, int((folder / "most_kb").read_text()) / 1024)


def pace(receiver: HostileReceiver) -> dict[str, Any]:
    """Return the settings of a run that tries everything once, record by record."""
    once = {"MAX_ATTEMPTS": 1, "BATCH_SIZE": 1, "GIVE_UP_AFTER_FAILED_BATCHES": 1000, "CONNECT_TIMEOUT_S": 5}
    return {**once, **receiver.settings}


def run(world: World, receiver: HostileReceiver, command: str = "run", **settings: object) -> Measured:
    return measured(["--verbose", command], world.environment(**{**pace(receiver), **settings}), world.folder)


on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@on_linux
def test_no_answer_takes_much_memory_or_makes_a_row_sent_untruly(embedded_world: World) -> None:
    names = dict(zip((f"P{number:03d}" for number in range(len(FAST))), FAST, strict=True))
    embedded_world.fill([staged(person) for person in names])
    with HostileReceiver({person: FAST[name][1] for person, name in names.items()}) as receiver:
        done = run(embedded_world, receiver, READ_TIMEOUT_S=3)

    rows = embedded_world.rows()
    wrong = [what for person, name in names.items() if (what := _wrong(name, rows[person], receiver, person))]
    assert wrong == []
    assert (done.code, "Traceback" in done.text) == (5, False), done.text[-2000:]
    assert done.most_mb < MOST_MB
    late = {names[post.children[0]]: post.took_s for post in receiver.posts if post.took_s > 2 * 3 + _SLACK_S}
    assert late == {}
    assert not [post for post in receiver.heard if "cookie" in post.headers], "no cookie is kept"
    steering = re.sub(r"[\x20-\x7e\n\u00a0-\u00ac\u00ae-\u05ff]", "", done.text)
    assert steering == "", "signs that steer a terminal were printed"


def _wrong(name: str, row: Mapping[str, Any], receiver: HostileReceiver, person: str) -> str:
    """Return what is wrong with a row after the answer of this name, "" for nothing."""
    expected, status, said = FAST[name][0], row["submission_status"], str(row["api_response"])
    if expected == "sent":
        is_right = status == "sent" and any(said in receipt for receipt in receiver.receipts[person])
    else:
        is_right = status == "error" and re.search(expected, said) is not None
    return "" if is_right else f"{name}: {status}, {said[:100]}"


def test_nobody_is_waited_for_longer_than_twice_the_read_timeout(embedded_world: World) -> None:
    names = dict(zip((f"P{number:03d}" for number in range(len(SLOW))), SLOW, strict=True))
    embedded_world.fill([staged(person) for person in names])
    with HostileReceiver({person: SLOW[name] for person, name in names.items()}) as receiver:
        done = embedded_world.run(**pace(receiver), READ_TIMEOUT_S=0.5, MAX_IN_FLIGHT=len(SLOW))

    assert done.code == 5, done.text
    assert {names[post.children[0]] for post in receiver.posts} == set(SLOW)
    assert {names[post.children[0]]: post.took_s for post in receiver.posts if post.took_s > 2 * 0.5 + _SLACK_S} == {}
    # The head of an error says enough; that of a success does not.
    said = {"dripping error": "error: HTTP 500 without a text"}
    embedded_world.check({person: said.get(name, "error: network error") for person, name in names.items()})


@pytest.mark.parametrize("name", TOKENS)
def test_token_answer_is_bounded_and_read_or_refused(embedded_world: World, name: str) -> None:
    code, reply = TOKENS[name]
    (person,) = embedded_world.stage(1)
    with HostileReceiver(token=reply) as receiver:
        done = embedded_world.run(**pace(receiver), READ_TIMEOUT_S=0.5)

    assert done.code == code, done.text
    assert "Traceback" not in done.text
    assert [heard.took_s for heard in receiver.token_requests if heard.took_s > 2 * 0.5 + _SLACK_S] == []
    assert embedded_world.words() == {person: "untouched" if code else "sent"}
    assert bool(receiver.receipts) == bool(receiver.posts) == (code == 0), "no record is sent with what is not a token"


@on_linux
@pytest.mark.parametrize("command", ["run", *(["test-endpoint"] if IS_LONG else [])])
def test_token_answer_of_a_gigabyte_takes_little_memory(embedded_world: World, command: str) -> None:
    embedded_world.stage(1)
    with HostileReceiver(token=TOKENS["gigabyte"][1]) as receiver:
        done = run(embedded_world, receiver, command)
    assert done.code == 5, done.text
    assert done.most_mb < MOST_MB


def test_receipt_that_comes_twice_in_one_answer_is_no_receipt(embedded_world: World) -> None:
    persons = embedded_world.stage(2)
    with HostileReceiver({persons[0]: receipts_twice}) as receiver:
        done = embedded_world.run(**{**pace(receiver), "BATCH_SIZE": 2})
    assert done.code == 1, done.text
    embedded_world.check(
        dict.fromkeys(persons, "error: one receipt came for several records, so the outcome is unknown")
    )


def test_answer_that_comes_again_is_not_taken_for_that_to_the_next_request(embedded_world: World) -> None:
    persons = embedded_world.stage(8)
    answers: list[bytes] = []

    def first(talk: Talk) -> None:
        answers.append(json.dumps(talk.new_receipts()).encode())
        talk.answer(answers[0])

    def second(talk: Talk) -> None:
        talk.answer(answers[0])
        # The answer to this request arrives while the next one waits.
        time.sleep(0.3)
        honest(talk)

    with HostileReceiver({persons[0]: first, persons[2]: second}) as receiver:
        done = embedded_world.run(**{**pace(receiver), "BATCH_SIZE": 2})

    assert done.code == 1, done.text
    rows = embedded_world.rows()
    unknown = "HTTP 200: the receipts of an earlier answer came again, so the outcome is unknown"
    for person in persons:
        said = rows[person]["api_response"]
        assert said == unknown if person in persons[2:4] else said in receiver.receipts[person]


def test_receiver_may_give_one_receipt_to_all_batches(embedded_world: World) -> None:
    persons = embedded_world.stage(4)
    receipt = f'"{uuid4()}"'.encode()

    with HostileReceiver(dict.fromkeys(persons, lambda talk: talk.answer(receipt))) as receiver:
        done = embedded_world.run(**{**pace(receiver), "BATCH_SIZE": 2})

    assert done.code == 0, done.text
    assert {row["api_response"] for row in embedded_world.rows().values()} == {receipt.decode().strip('"')}


def test_401_about_the_key_names_the_setting_and_fetches_no_other_token(embedded_world: World) -> None:
    (person,) = embedded_world.stage(1)
    with HostileReceiver(
        {person: saying('{"message": "Access denied due to invalid subscription key."}', 401)}
    ) as receiver:
        done = embedded_world.run(**pace(receiver))
    assert done.code == 4
    assert "check SUPPLIER_KEY" in done.text
    assert (len(receiver.token_requests), len(receiver.posts)) == (1, 1)
    embedded_world.check({person: "untouched"})


def test_waits_of_more_than_an_hour_in_all_end_the_run(embedded_world: World) -> None:
    persons = embedded_world.stage(3)
    # Never waited for: each alone is too long.
    with HostileReceiver({person: saying(b"", 429, "Retry-After: 3601\r\n") for person in persons}) as receiver:
        done = embedded_world.run(**pace(receiver))
    assert done.code == 5, done.text
    assert "asks to wait 1.0 hours (HTTP 429), longer than a run waits" in done.text
    assert len(receiver.posts) == 1
    embedded_world.check(dict.fromkeys(persons, "untouched"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in the manner of POSIX")
def test_signal_ends_a_run_whose_receiver_drips_after_its_grace(embedded_world: World) -> None:
    (person,) = embedded_world.stage(1)
    with HostileReceiver({person: SLOW["dripping body"]}) as receiver:
        settings = {**pace(receiver), "READ_TIMEOUT_S": 60, "STOP_GRACE_S": 1}
        with embedded_world.started(**settings) as process:
            until = time.monotonic() + 20
            while not receiver.posts and time.monotonic() < until:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            stopped_at = time.monotonic()
            assert process.wait(timeout=15) == 130
            took_s = time.monotonic() - stopped_at
    assert 0.9 < took_s < 8, "the grace of a second, and the end of the program"
    assert embedded_world.words()[person] in (
        "untouched",
        "error: ^network\\ error:\\ no\\ answer\\ within\\ READ_TIMEOUT_S$",
    )
