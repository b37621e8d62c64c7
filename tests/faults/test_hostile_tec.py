"""A TEC that means harm, over real sockets: bounded memory, one sentence, and no record that is `sent` untruly."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db import connect
from api_pipeline.sdr import schema
from tests.support.commands import clean_environment, invoke_cli
from tests.support.effort import IS_LONG
from tests.support.hostile_answers import FAST, SLOW, saying
from tests.support.hostile_receiver import HostileReceiver, Reply, Talk

MOST_MB = 150
_SLACK_S = 1.5
# Runs a command for each of TEC's answers in one process; it leaves behind the codes, the seconds of work, the most
# memory it ever had, and what was sent by then.
_MEASURED = """
import json, os, pathlib, re, sqlite3, sys, time
from api_pipeline.cli import main
origin, calls = sys.argv[1], json.loads(sys.argv[2])
left = {}
# Loads what all of them need.
os.environ["SDR_API_ENDPOINT"] = f"{origin}/r0"
try:
    main(["sdr", "submit", "202608", "--dry-run"])
except SystemExit:
    pass
for name, args in calls.items():
    os.environ["SDR_API_ENDPOINT"] = f"{origin}/{name}"
    began = time.process_time()
    print("===", name, flush=True)
    print("===", name, file=sys.stderr, flush=True)
    try:
        main(args)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    worked_s = time.process_time() - began
    status = pathlib.Path("/proc/self/status").read_text()
    most_mb = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
    with sqlite3.connect(os.environ["DB_CONNECTION_STRING"].removeprefix("sqlite:///")) as table:
        sent, = table.execute("SELECT COUNT(*) FROM sdr_staging WHERE submission_status = 'sent'").fetchone()
    left[name] = [code, worked_s, most_mb, sent]
pathlib.Path("left.json").write_text(json.dumps(left))
"""
_PERIOD = 202608
_SUBMIT, _VALIDATE = ("sdr", "submit", str(_PERIOD)), ("sdr", "validate", str(_PERIOD))
_LIST: dict[str, Any] = {
    "results": [{"returnId": _PERIOD, "returnYear": 2026, "returnMonth": 8, "returnStatus": "Accumulate"}],
    "totalCount": 1,
}
_TOKEN = {"submissionToken": "an-invented-token", "maxBatchSize": 100}
_OVER = {"status": "Rejected", "dateReceived": "2026-08-20T03:00:00Z", "errorCount": 1, "warningCount": 0}
_CALLS = {
    "returns": "/returns?includeIndicative=true",
    "token": f"/token/{_PERIOD}",
    "records": "/learners",
    "validate": "/validate/an-invented-token",
    "status": "/validation/an-invented-token",
    "results": "/validation/an-invented-token/results",
}
_HONEST: dict[str, Any] = {
    "returns": _LIST,
    "token": _TOKEN,
    "records": {"content": []},
    "validate": {"status": "Queued"},
    "status": _OVER,
    "results": {"results": []},
}
on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@dataclass(frozen=True)
class Case:
    """An answer that TEC gives to one of its calls, the command that meets it, and the exit codes that are right."""

    call: str
    name: str
    reply: Reply
    codes: Set[int]
    args: tuple[str, ...] = _SUBMIT


@dataclass(frozen=True)
class Left:
    """What a command left behind: exit code, seconds of work and waiting, most memory so far in MB, records sent."""

    code: int
    worked_s: float
    most_mb: float
    sent: int
    waited_s: float

    def is_bounded(self, timeout_s: float = 3.0) -> bool:
        """Return whether neither memory nor time was taken beyond what they are bounded to."""
        return max(self.worked_s, self.waited_s) <= 2 * timeout_s + _SLACK_S and self.most_mb <= MOST_MB


@contextmanager
def tec(folder: Path, cases: Sequence[Case], **settings: object) -> Iterator[tuple[HostileReceiver, dict[str, str]]]:
    """Yield a TEC that answers the cases below an address each, and the settings that lead to the first of them."""
    path = folder / "sdr.db"
    with closing(connect(f"sqlite:///{path}", create=True)) as connection:
        schema.apply(connection.execute, connection.dialect, "sdr_staging")
        sql = "INSERT INTO sdr_staging (collection, local_id, json_payload) VALUES ('learners', ?, ?)"
        for number in range(3):
            connection.execute(sql, [f"s{number}", '{"gender":"F"}'])
    with HostileReceiver() as receiver:
        for number, case in enumerate(cases):
            for one, tail in _CALLS.items():
                honest = saying(json.dumps(_HONEST[one]))
                receiver.pages[f"/r{number}/submissions/v1.0{tail}"] = case.reply if one == case.call else honest
        token = receiver.settings["TOKEN_ENDPOINT"]
        yield (
            receiver,
            {
                "DB_CONNECTION_STRING": f"sqlite:///{path}",
                "SDR_API_ENDPOINT": token.replace("/token", "/r0"),
                "TESTING_MODE": "false",
                "SDR_EID": "9999",
                "SDR_TOKEN_ENDPOINT": token,
                "SDR_CLIENT_ID": "invented",
                "SDR_CLIENT_SECRET": "an-invented-secret",
                "SDR_SCOPE": "invented",
                "MAX_ATTEMPTS": "1",
                "RETRY_MAX_WAIT_S": "0",
                "READ_TIMEOUT_S": "3",
                "SDR_WAIT_BLOCKED_S": "0",
                "SDR_POLL_S": "0.01",
                "SDR_VALIDATION_TIMEOUT_S": "1",
                **{name: str(value) for name, value in settings.items()},
            },
        )


def run_all(folder: Path, cases: Sequence[Case]) -> tuple[list[Left], str]:
    """Run the commands of all cases in one program; return what each left behind, and all that was printed."""
    calls = {f"r{number}": case.args for number, case in enumerate(cases)}
    with tec(folder, cases) as (receiver, env):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, env["SDR_API_ENDPOINT"].removesuffix("/r0"), json.dumps(calls)],
            env=clean_environment(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=300,
        )
    text = done.stdout + done.stderr
    assert (folder / "left.json").exists(), text[-3000:]
    left = json.loads((folder / "left.json").read_text())
    return [Left(*[*left[name], waited_s(receiver, name)]) for name in calls], text


def waited_s(receiver: HostileReceiver, name: str) -> float:
    """Return how long one of the cases waited for its slowest answer."""
    asked = [heard for heard in receiver.heard if heard.path.startswith(f"/{name}/")]
    until = time.monotonic() + 10
    # A server notices with its next byte that nobody reads any more.
    while not all(heard.ended for heard in asked) and time.monotonic() < until:
        time.sleep(0.01)
    assert all(heard.ended for heard in asked), name
    return max((heard.took_s for heard in asked), default=0.0)


def _objects(make: Callable[[int], str], count: int) -> Reply:
    return saying('{"results":[' + ",".join(make(number) for number in range(count)) + "]}")


def _deep(text: bytes) -> bytes:
    return b'{"errors":{"content":' + b'{"a":' * 900 + text + b"}" * 900 + b"}}"


def _values() -> dict[str, Reply]:
    """Return what stands in an answer, at whatever call it comes; it is large, and made for the test alone."""
    return {
        "wide objects": _objects(lambda n: f'{{"{n}":{n}}}', 500_000),
        "empty lists": saying(b'{"results":[' + b"[]," * 2_700_000 + b"[]]}"),
        "small numbers": saying(b'{"results":[' + b"1.5," * 2_000_000 + b"1]}"),
        "short texts": _objects(lambda n: f'"{n:x}"', 800_000),
        "an id of five thousand digits": saying(
            b'{"results":[{"returnId":"' + b"9" * 5000 + b'"}],"totalCount":"\xc2\xb2"}'
        ),
        "a total without an end": saying(json.dumps({**_LIST, "totalCount": 10**18, "page": 10**17})),
        "dates beyond the calendar": saying(
            json.dumps({"results": [{**_LIST["results"][0], "closeWindowDate": "9999-12-31T23:59:59-14:00"}]})
        ),
    }


_REFUSALS: dict[str, Reply] = {
    "deep errors": saying(_deep(b'"x"'), 400),
    "deep errors with many texts": saying(_deep(b"[" + b'"x",' * 250_000 + b'"x"]'), 400),
    "codes without an end": saying(json.dumps({"errorCodes": [f"X{n}" for n in range(100_000)]}), 400),
    "a code of a megabyte": saying(json.dumps({"errorCode": "SC" + "9" * 1_000_000}), 400),
    "places beyond numbers": saying(
        json.dumps({"errors": {"content[" + "9" * 5000 + "]": ["x"], "content": {"[\u00b2]": ["x"]}}}), 400
    ),
}


def _endless_results() -> Reply:
    pages = iter(range(10**9))

    def reply(talk: Talk) -> None:
        page = next(pages)
        one = {"localId": "s1", "errorCode": "036", "errorType": "Error", "recordText": "x" * 4000}
        talk.answer(json.dumps({"page": page, "pageSize": 500, "results": [one] * 500 + [{"a": page}]}).encode())

    return reply


# What the wire brings is read by one reader for all receivers (test_hostile_receiver.py has each of them), so that one
# of each kind shows that TEC's answers go through it.
_OF_THE_WIRE = (
    *("error body of a gigabyte", "chunks without an end", "gzip bomb", "bomb in two layers", "100,000 headers"),
    *("packing that nobody asked for", "header line without an end", "no HTTP at all", "status of 999"),
    *("interim answers without an end", "redirect elsewhere", "100,000 levels", "700 levels of an error"),
    *("deep error with many texts", "millions of lists", "page of blanks", "steering signs in a refusal"),
    *("signs of no encoding", "wait of 400 digits", "wait of a megabyte", "cookies", "nothing wrong"),
)
_WIRE = {name: reply for name, (_, reply) in FAST.items() if IS_LONG or name in _OF_THE_WIRE}
_UNSENT, _ANY = {2, 4, 5, 6}, {0, 1, 2, 4, 5, 6}


def _cases() -> list[Case]:
    values = {**_values(), **_REFUSALS}
    return [
        *(Case("returns", name, reply, _UNSENT) for name, reply in _WIRE.items()),
        *(Case("returns", name, reply, _ANY) for name, reply in values.items()),
        *(Case("results", name, reply, _ANY, _VALIDATE) for name, reply in values.items()),
        # An empty 200 is an acceptance, whatever stands in its head.
        *(
            Case("records", name, reply, _UNSENT | {1})
            for name, reply in _WIRE.items()
            if name != "100 headers of 60,000 letters"
        ),
        *(Case("records", name, reply, _ANY) for name, reply in (values if IS_LONG else _REFUSALS).items()),
    ]


@on_linux
def test_no_answer_of_tec_takes_much_memory_or_marks_a_record_sent(tmp_path: Path) -> None:
    cases = [*_cases(), Case("", "honest", saying(""), {0})]
    left, text = run_all(tmp_path, cases)
    assert "Traceback" not in text, text[-3000:]
    wrong = [
        (case.call, case.name, one)
        for case, one in zip(cases, left, strict=True)
        if one.code not in case.codes or not one.is_bounded()
    ]
    assert wrong == []
    untrue = [(case.call, case.name) for case, one in zip(cases[:-1], left, strict=False) if one.sent]
    assert untrue == [], "the first of these marked a record sent"
    assert left[-1].sent == 3, "honest answers are believed"


class _AnyPage(dict[str, Reply]):
    """Pages of which those with a query are those without it."""

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or super().__contains__(str(path).partition("?")[0])

    def __getitem__(self, path: str) -> Reply:
        return super().__getitem__(path if super().__contains__(path) else path.partition("?")[0])


@on_linux
def test_list_of_results_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = HostileReceiver.__init__

    def with_any_page(receiver: HostileReceiver, *args: Any) -> None:
        made(receiver, *args)
        receiver.pages = _AnyPage()

    monkeypatch.setattr(HostileReceiver, "__init__", with_any_page)
    (left,), text = run_all(tmp_path, [Case("results", "endless", _endless_results(), {5}, _VALIDATE)])
    assert (left.code, left.is_bounded()) == (5, True), text[-3000:]
    assert "beyond 32 MiB" in text


def test_nobody_at_tec_is_waited_for_longer_than_twice_the_read_timeout(tmp_path: Path) -> None:
    cases = [Case("records", name, reply, {5}) for name, reply in SLOW.items()]
    with tec(tmp_path, cases, READ_TIMEOUT_S=0.3) as (receiver, env):
        for number, case in enumerate(cases):
            endpoint = env["SDR_API_ENDPOINT"].replace("/r0", f"/r{number}")
            done = invoke_cli(case.args, {**env, "SDR_API_ENDPOINT": endpoint}, tmp_path)
            assert 0.1 < waited_s(receiver, f"r{number}") < 2 * 0.3 + _SLACK_S, case.name
            assert done.code in case.codes, f"{case.name}: {done.text}"
        with closing(connect(env["DB_CONNECTION_STRING"])) as connection:
            words = connection.query("SELECT DISTINCT submission_status FROM sdr_staging")
    assert ("sent",) not in words
