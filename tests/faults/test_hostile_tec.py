"""A TEC that means harm, over real sockets: bounded memory, one sentence, and no record that is `sent` untruly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db import connect
from api_pipeline.sdr import schema
from tests.support.commands import clean_environment
from tests.support.hostile_answers import FAST, SLOW, saying
from tests.support.hostile_receiver import HostileReceiver, Reply, Talk

MOST_MB = 150
_SLACK_S = 1.5
# Runs a command for each endpoint in one process, which leaves behind the codes and the most memory it ever had.
_MEASURED = """
import json, os, pathlib, re, sys, time
from api_pipeline.cli import main
origin, args, names = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
left = {}
# Loads what all of them need.
os.environ["SDR_API_ENDPOINT"] = f"{origin}/r0"
try:
    main(["sdr", "submit", "202608", "--dry-run"])
except SystemExit:
    pass
for name in names:
    os.environ["SDR_API_ENDPOINT"] = f"{origin}/{name}"
    began = time.monotonic()
    print("===", name, flush=True)
    print("===", name, file=sys.stderr, flush=True)
    try:
        main(args)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    status = pathlib.Path("/proc/self/status").read_text()
    left[name] = [code, time.monotonic() - began, int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024]
pathlib.Path("left.json").write_text(json.dumps(left))
"""
_PERIOD = 202608
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
class Left:
    """What the runs left behind: by name the exit code, the seconds and the most memory in MB until then."""

    runs: dict[str, tuple[int, float, float]]
    text: str
    words: list[tuple[Any, ...]]


def _runs(folder: Path, call: str, replies: dict[str, Reply], *args: str, **settings: object) -> Left:
    """Run a command once for each reply, which TEC gives to one of its calls."""
    path = folder / "sdr.db"
    connection = connect(f"sqlite:///{path}", create=True)
    try:
        schema.apply(connection.execute, connection.dialect, "sdr_staging")
        sql = "INSERT INTO sdr_staging (collection, local_id, json_payload) VALUES ('learners', ?, ?)"
        for number in range(3):
            connection.execute(sql, [f"s{number}", '{"gender":"F"}'])
        names = [f"r{number}" for number in range(len(replies))]
        with HostileReceiver() as receiver:
            for name, reply in zip(names, replies.values(), strict=True):
                for one, tail in _CALLS.items():
                    honest = saying(json.dumps(_HONEST[one]))
                    receiver.pages[f"/{name}/submissions/v1.0{tail}"] = reply if one == call else honest
            token = receiver.settings["TOKEN_ENDPOINT"]
            env = {
                "DB_CONNECTION_STRING": f"sqlite:///{path}",
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
            }
            done = subprocess.run(
                [sys.executable, "-c", _MEASURED, token.rpartition("/")[0], json.dumps(args), json.dumps(names)],
                env=clean_environment(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=300,
            )
        words = connection.query("SELECT submission_status, COUNT(*) FROM sdr_staging GROUP BY submission_status")
    finally:
        connection.close()
    text = done.stdout + done.stderr
    assert (folder / "left.json").exists(), text[-3000:]
    left = json.loads((folder / "left.json").read_text())
    by_name = dict(zip(names, replies, strict=True))
    return Left({by_name[name]: tuple(one) for name, one in left.items()}, text, words)


def _check(left: Left, codes: set[int]) -> None:
    assert "Traceback" not in left.text, left.text[-3000:]
    assert {name: one[0] for name, one in left.runs.items() if one[0] not in codes} == {}
    assert {name: one[1] for name, one in left.runs.items() if one[1] > 2 * 3 + _SLACK_S} == {}
    grown = {name: one[2] for name, one in left.runs.items() if one[2] > MOST_MB}
    assert grown == {}


_REPLIES = {name: reply for name, (_, reply) in FAST.items()}


@on_linux
def test_honest_answers_are_believed(tmp_path: Path) -> None:
    left = _runs(tmp_path, "", {"one": saying(""), "two": saying("")}, "sdr", "submit", str(_PERIOD))
    _check(left, {0})
    assert left.words == [("sent", 3)]


@on_linux
def test_no_answer_to_a_call_takes_much_memory_or_sends_a_record(tmp_path: Path) -> None:
    left = _runs(tmp_path, "returns", _REPLIES, "sdr", "submit", str(_PERIOD))
    _check(left, {2, 4, 5, 6})
    assert left.words == [(None, 3)]


@on_linux
def test_no_answer_to_an_upload_takes_much_memory_or_marks_a_record_sent(tmp_path: Path) -> None:
    # An empty 200 is an acceptance, whatever stands in its head.
    replies = {name: reply for name, reply in _REPLIES.items() if name != "100 headers of 60,000 letters"}
    left = _runs(tmp_path, "records", replies, "sdr", "submit", str(_PERIOD))
    _check(left, {1, 2, 4, 5, 6})
    assert "sent" not in dict(left.words)


def _objects(make: Callable[[int], str], count: int) -> Reply:
    """Return a reply of many results, which is put together when it is sent: every process of the tests reads this."""

    def reply(talk: Talk) -> None:
        body = '{"results":[' + ",".join(make(number) for number in range(count)) + "]}"
        saying(body)(talk)

    return reply


def _deep(text: bytes) -> bytes:
    return b'{"errors":{"content":' + b'{"a":' * 900 + text + b"}" * 900 + b"}}"


_VALUES: dict[str, Reply] = {
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
    "deep errors": saying(_deep(b'"x"'), 400),
    "deep errors with many texts": saying(_deep(b"[" + b'"x",' * 250_000 + b'"x"]'), 400),
    "codes without an end": saying(json.dumps({"errorCodes": [f"X{n}" for n in range(100_000)]}), 400),
    "a code of a megabyte": saying(json.dumps({"errorCode": "SC" + "9" * 1_000_000}), 400),
    "places beyond numbers": saying(
        json.dumps({"errors": {"content[" + "9" * 5000 + "]": ["x"], "content": {"[\u00b2]": ["x"]}}}), 400
    ),
}


@on_linux
@pytest.mark.parametrize("call", ["returns", "records", "results"])
def test_no_json_takes_much_memory_wherever_it_is_answered(tmp_path: Path, call: str) -> None:
    command = ["validate", str(_PERIOD)] if call == "results" else ["submit", str(_PERIOD)]
    left = _runs(tmp_path, call, _VALUES, "sdr", *command)
    _check(left, {0, 1, 2, 4, 5, 6})


def _endless_results() -> Reply:
    pages = iter(range(10**9))

    def reply(talk: Talk) -> None:
        page = next(pages)
        one = {"localId": "s1", "errorCode": "036", "errorType": "Error", "recordText": "x" * 4000}
        talk.answer(json.dumps({"page": page, "pageSize": 500, "results": [one] * 500 + [{"a": page}]}).encode())

    return reply


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
    left = _runs(tmp_path, "results", {"endless": _endless_results()}, "sdr", "validate", str(_PERIOD))
    _check(left, {5})
    assert "beyond 32 MiB" in left.text


@on_linux
def test_nobody_at_tec_is_waited_for_longer_than_twice_the_read_timeout(tmp_path: Path) -> None:
    left = _runs(tmp_path, "records", SLOW, "sdr", "submit", str(_PERIOD), READ_TIMEOUT_S=0.3)
    _check(left, {5})
    assert {name: one[1] for name, one in left.runs.items() if one[1] > 2 * 0.3 + _SLACK_S} == {}
    assert "sent" not in dict(left.words)
