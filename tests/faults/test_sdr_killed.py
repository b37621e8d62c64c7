"""A submission that is killed (SIGKILL) in the middle: the next run finishes it, and no two requests ever overlap."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api_pipeline.db import connect
from api_pipeline.sandbox.simulator.tec import TecConditions, TecOptions, TecServer, TecSimulator
from api_pipeline.sdr import schema
from tests.support.commands import started_cli

# SDR_KILLS=200 is the campaign; here are a few of them.
_KILLS = int(os.environ.get("SDR_KILLS", "6"))
_RECORDS = 300


def _restage(path: Path, rng: random.Random) -> dict[str, str]:
    """Change the staging table as a night does, and return what it holds by id."""
    connection = connect(f"sqlite:///{path}")
    try:
        with connection.transaction():
            for number in range(_RECORDS):
                choice = rng.random()
                if choice < 0.3:
                    key, text = f"s{number}", f'{{"gender":"F","version":{rng.randrange(1000)}}}'
                    connection.execute("DELETE FROM sdr_staging WHERE local_id = ?", [key])
                    sql = "INSERT INTO sdr_staging (collection, local_id, json_payload) VALUES ('learners', ?, ?)"
                    connection.execute(sql, [key, text])
                elif choice < 0.35:
                    connection.execute("DELETE FROM sdr_staging WHERE local_id = ?", [f"s{number}"])
        return {str(row[0]): str(row[1]) for row in connection.query("SELECT local_id, json_payload FROM sdr_staging")}
    finally:
        connection.close()


def _submission(server: TecServer, path: Path, period: int) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    settings = {
        **server.settings(),
        "DB_CONNECTION_STRING": f"sqlite:///{path}",
        "TESTING_MODE": "false",
        "RETRY_MAX_WAIT_S": "0.05",
        "READ_TIMEOUT_S": "5",
    }
    return started_cli(["sdr", "submit", str(period), "--allow-deletes", "--quiet"], settings, path.parent)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("keeps_data", [True, False])
def test_killed_submissions_are_finished_by_the_next(tmp_path: Path, keeps_data: bool) -> None:
    rng = random.Random(20260801)
    path = tmp_path / "sdr.db"
    connection = connect(f"sqlite:///{path}", create=True)
    schema.apply(connection, "sdr_staging")
    connection.close()
    conditions = TecConditions(latency_s=0.01, batch_limit=10, keeps_data=keeps_data)
    with TecServer(TecSimulator(TecOptions(conditions=conditions))) as server:
        period = server.simulator.latest_return
        for kill in range(max(1, _KILLS // 2)):
            staged = _restage(path, rng)
            before = server.simulator.counts()["requests"]
            with _submission(server, path, period) as run:
                wanted = before + rng.randrange(1, 15)
                while run.poll() is None and server.simulator.counts()["requests"] < wanted:
                    time.sleep(0.002)
                time.sleep(rng.random() * 0.01)
                run.kill()
                run.wait()
            if kill % 3 == 2:
                server.simulator.expire_submission_tokens()
            if rng.random() < 0.7 and kill + 1 < max(1, _KILLS // 2):
                continue
            with _submission(server, path, period) as run:
                assert run.wait() == 0
            held = server.simulator.held(period)["learners"]
            assert {key: one["version"] for key, one in held.items()} == {
                key: int(text.rpartition(":")[2].rstrip("}")) for key, text in staged.items()
            }
        assert server.simulator.most_at_once == 1, "two requests were under way at one time"
