"""What keeps a submission from being sent: the window, the token, the settings, the tables, another run."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from api_pipeline.db import connect
from api_pipeline.sandbox.simulator import Fault
from api_pipeline.sdr.opening import locked, make_store
from api_pipeline.sdr.statements import Scope
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.commands import started_cli
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


@EMBEDDED
@pytest.mark.parametrize(
    ("period", "code", "words"),
    [
        ("202604", 6, "is closed: its window ended"),
        ("202612", 6, "is not open yet: its window opens"),
        ("202601", 6, "TEC lists no return 202601"),
        ("August", 2, "expected a return period such as 202608"),
    ],
)
def test_a_period_that_takes_no_data_is_declined(provider: Provider, period: str, code: int, words: str) -> None:
    provider.stage_learners(1)
    done = provider.sdr("submit", period)
    assert done.code == code
    assert words in done.err
    assert done.err.count("\n") == 1
    assert not provider.simulator.batch_sizes
    if words.startswith("is "):
        assert f"declined: The return {words}" in provider.sdr("status", period).out


@EMBEDDED
def test_a_declined_token_is_shown_by_status(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.simulator.change(declines="R1")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, done.err.count("\n")) == (6, 1)
    assert "R1" in provider.sdr("status", PERIOD).out
    provider.simulator.change(declines="")
    assert provider.sdr("submit", PERIOD).code == 0
    shown = provider.sdr("status", PERIOD).out
    assert "R1" not in shown
    assert "TEC's word: Pending (open)" in shown, "the token's answer is newer than the list"


@EMBEDDED
@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"SDR_PATH_LEARNERS": "students"}, 2, "SDR_PATH_LEARNERS: TEC has nothing at /students (HTTP 404)"),
        ({"SDR_API_ENDPOINT": "{origin}/elsewhere"}, 2, "SDR_API_ENDPOINT: TEC has nothing at /returns"),
        ({"SDR_EID": "1234"}, 4, "TEC does not know this machine account (AU1)"),
        ({"SDR_CLIENT_SECRET": "another-invented-secret"}, 4, "SDR_CLIENT_SECRET"),
        ({"SDR_EID": "12a"}, 2, 'SDR_EID: expected digits alone, got "12a"'),
        ({"MAX_IN_FLIGHT": "2"}, 2, "MAX_IN_FLIGHT: expected 1"),
    ],
)
def test_wrong_settings_end_in_one_sentence(
    provider: Provider, settings: dict[str, str], code: int, words: str
) -> None:
    provider.stage_learners(1)
    given = {name: value.replace("{origin}", provider.server.origin) for name, value in settings.items()}
    org = {"SDR_ORG_ID": "9999"} if "SDR_EID" in settings else {}
    done = provider.sdr("submit", PERIOD, **given, **org)
    assert (done.code, done.err.count("\n")) == (code, 1), done.text
    assert words in done.err
    assert "another-invented-secret" not in done.text
    assert provider.sdr("submit", PERIOD).code == 0, "nothing is lost"
    assert set(provider.held()) == {"s0"}


@EMBEDDED
def test_a_missing_table_is_named_in_one_sentence(provider: Provider) -> None:
    done = provider.sdr("submit", PERIOD, SDR_TABLE_NAME="another")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "check SDR_TABLE_NAME" in done.err


@EMBEDDED
def test_a_missing_database_file_names_the_command_of_this_service(provider: Provider) -> None:
    missing = f"sqlite:///{provider.folder / 'missing.db'}"
    for command in (("status",), ("submit", PERIOD)):
        done = provider.sdr(*command, DB_CONNECTION_STRING=missing)
        assert done.code == 3, done.text
        assert "or make it with: d2i-csc-api sdr deploy-schema --apply" in " ".join(done.err.split())


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_staged_ids_that_the_driver_cuts_stop_every_command(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.database.execute("UPDATE sdr_staging SET id = id + 4294967296 WHERE local_id = 's1'")
    csv = provider.folder / "LEAR.csv"
    csv.write_text("localId,studentIdentificationCode\ns9,s9\n", encoding="utf-8")

    for args in (["submit", PERIOD], ["load", str(csv)], ["validate", PERIOD]):
        done = provider.sdr(*args)
        assert done.code == 3, done.text
        assert "reads 4294967298 as 2" in done.text

    assert provider.simulator.batch_sizes == []
    assert provider.database.count("sdr_staging") == 2


@EMBEDDED
def test_status_forgets_what_tec_declined_before(provider: Provider) -> None:
    provider.submit_learners(1)
    provider.simulator.add_fault(Fault(target="calls", status=400, body='{"errorCode": "R1"}', first=4, last=4))
    # The token lives long enough for that, and is not asked for again.
    assert provider.sdr("validate", PERIOD, "--timeout", "60").code == 6
    assert "TEC declined the last request: R1" in provider.sdr("status", PERIOD).out
    assert provider.sdr("validate", PERIOD, "--timeout", "60").code == 0
    assert "declined" not in provider.sdr("status", PERIOD).out


@EMBEDDED
def test_window_that_closes_in_mid_run_is_told_and_shown(provider: Provider) -> None:
    provider.simulator.change(batch_limit=1)
    provider.stage_learners(3)
    gone = Fault(target="records", status=400, body='{"errorCode": "SC1"}', first=2, last=2)
    closed = Fault(target="calls", status=400, body='{"errorCode": "R1", "title": "Closed"}', first=3, last=3)
    provider.simulator.add_fault(gone, closed)
    done = provider.sdr("submit", PERIOD)
    assert done.code == 6, done.text
    assert "nothing was sent under it (R1: Closed)" in done.err
    assert "TEC declined the last request: R1" in provider.sdr("status", PERIOD).out
    assert provider.sdr("submit", PERIOD).code == 0
    assert len(provider.held()) == 3


@EMBEDDED
def test_second_run_of_a_return_makes_no_request_beside_the_first(provider: Provider) -> None:
    provider.submit_learners(1)
    before = len(provider.simulator.log)
    connection = connect(provider.database.connection_string)
    scope = Scope(connection.query("SELECT receiver FROM sdr_submission")[0][0], int(PERIOD))
    try:
        with locked(make_store(connection, "sdr_staging"), scope):
            codes = [provider.sdr(*words).code for words in (("submit", "2026-08"), ("validate", PERIOD))]
            codes.append(provider.sdr("reset", PERIOD, "--yes").code)
    finally:
        connection.close()
    assert codes == [75, 75, 75]
    assert len(provider.simulator.log) == before
    assert provider.sdr("validate", PERIOD).code == 0


@EMBEDDED
@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX's")
def test_signal_before_the_period_is_known_stops_the_command(provider: Provider) -> None:
    provider.simulator.change(latency_s=0.3, page_size=1)
    with started_cli(["sdr", "submit", PERIOD], provider.settings(), provider.folder) as process:
        until = time.monotonic() + 20
        while len(provider.simulator.log) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert "stopped by a signal" in said
