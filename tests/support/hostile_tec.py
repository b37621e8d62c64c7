"""A TEC that gives the answers of a test, a program that meets many of them, and what it left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api_pipeline.db import connect
from api_pipeline.sdr import schema
from tests.support.commands import clean_environment
from tests.support.hostile_answers import saying
from tests.support.hostile_receiver import HostileReceiver, Reply

MOST_MB = 150
# A busy machine is slow; what has no end would go on for minutes.
SLACK_S = 5.0
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
SUBMIT, VALIDATE = ("sdr", "submit", str(_PERIOD)), ("sdr", "validate", str(_PERIOD))
LIST: dict[str, Any] = {
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
    "returns": LIST,
    "token": _TOKEN,
    "records": {"content": []},
    "validate": {"status": "Queued"},
    "status": _OVER,
    "results": {"results": []},
}


class _AnyPage(dict[str, Reply]):
    """Pages of which those with a query are those without it."""

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or super().__contains__(str(path).partition("?")[0])

    def __getitem__(self, path: str) -> Reply:
        return super().__getitem__(path if super().__contains__(path) else path.partition("?")[0])


@dataclass(frozen=True)
class Case:
    """An answer that TEC gives to one of its calls, the command that meets it, and the exit codes that are right."""

    call: str
    name: str
    reply: Reply
    codes: Set[int]
    args: tuple[str, ...] = SUBMIT


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
        return max(self.worked_s, self.waited_s) <= 2 * timeout_s + SLACK_S and self.most_mb <= MOST_MB


@contextmanager
def tec(
    folder: Path, cases: Sequence[Case], *, has_any_page: bool = False, **settings: object
) -> Iterator[tuple[HostileReceiver, dict[str, str]]]:
    """Yield a TEC that answers the cases below an address each, and the settings that lead to the first of them.

    Where it has any page, it answers one with a query as it does the one without.
    """
    path = folder / "sdr.db"
    with closing(connect(f"sqlite:///{path}", create=True)) as connection:
        schema.apply(connection, "sdr_staging")
        sql = "INSERT INTO sdr_staging (collection, local_id, json_payload) VALUES ('learners', ?, ?)"
        for number in range(3):
            connection.execute(sql, [f"s{number}", '{"gender":"F"}'])
    with HostileReceiver() as receiver:
        receiver.pages = _AnyPage() if has_any_page else {}
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


def run_all(folder: Path, cases: Sequence[Case], *, has_any_page: bool = False) -> tuple[list[Left], str]:
    """Run the commands of all cases in one program; return what each left behind, and all that was printed."""
    calls = {f"r{number}": case.args for number, case in enumerate(cases)}
    with tec(folder, cases, has_any_page=has_any_page) as (receiver, env):
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
