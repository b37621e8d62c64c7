"""Who is told of a collection, a write-back, a submission and a validation; and the metrics of each."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from importlib import resources
from pathlib import Path

import jsonschema_rs
import pytest

from api_pipeline.sandbox.simulator.tec import SimulatedReturn, TecOptions, TecServer, TecSimulator
from api_pipeline.sandbox.simulator.xporter import Quirk, XporterServer, XporterSimulator
from tests.support.commands import Completed, invoke_cli
from tests.support.sinks import HttpSink
from tests.support.xporter import TODAY, make_school
from tests.support.xporter_council import Council

SCHEMA = json.loads((resources.files("api_pipeline") / "data/schemas/notification.schema.json").read_text("utf-8"))
TOKEN = "T0p-secret-token-9f"


def told(sink: HttpSink) -> list[tuple[object, object, object]]:
    """Return command, event and exit code of every message, each of which follows the schema."""
    found = sink.documents(f"/hook/{TOKEN}")
    for document in found:
        jsonschema_rs.validate(SCHEMA, document)
    return [(document["command"], document["event"], document["exit_code"]) for document in found]


def channels(sink: HttpSink, **settings: str) -> dict[str, str]:
    return {"NOTIFY_WEBHOOK": f"{sink.url}/hook/{TOKEN}", "METRICS_FILE": "csc.prom", **settings}


@pytest.fixture
def council(tmp_path: Path) -> Iterator[Council]:
    schools = [make_school(number, pupils=2, weeks=0, today=TODAY) for number in (1, 2)]
    with XporterServer(XporterSimulator(schools)) as server:
        council = Council(server, tmp_path, schools)
        assert council.run("deploy-schema", "--apply").code == 0
        yield council


def test_failed_collection_and_the_good_one_after_it_are_told(council: Council, sink: HttpSink) -> None:
    settings = channels(sink, NOTIFY_WHEN="recovery", XPORTER_PING_URL=f"{sink.url}/ping/{TOKEN}", PING_URL="")
    council.simulator.add_quirk(Quirk("scope", "9990002", times=3))
    failed = council.run("collect", **settings)
    assert (failed.code, TOKEN in failed.text) == (1, False)
    assert [council.run("collect", **settings).code for _ in range(2)] == [0, 0]
    assert told(sink) == [("xporter collect", "failure", 1), ("xporter collect", "recovery", 0)]
    assert [path for path in sink.paths if "ping" in path] == [
        *(f"/ping/{TOKEN}/start", f"/ping/{TOKEN}/fail"),
        *(f"/ping/{TOKEN}/start", f"/ping/{TOKEN}") * 2,
    ]
    (first, *_) = sink.documents(f"/hook/{TOKEN}")
    assert first["counts"]["schools"] == 2


def test_failure_that_a_wrong_clock_dated_years_ahead_is_made_good_once(council: Council, sink: HttpSink) -> None:
    settings = channels(sink, NOTIFY_WHEN="recovery")
    council.simulator.add_quirk(Quirk("scope", "9990002", times=3))
    assert council.run("collect", **settings).code == 1
    council.query("UPDATE xporter_run SET started_at = '2999-01-01 02:00:00.000'")

    assert [council.run("collect", **settings).code for _ in range(3)] == [0, 0, 0]

    assert [event for _, event, _ in told(sink)] == ["failure", "recovery"]
    assert council.run("report").code == 0
    assert not list(council.folder.glob("xporter-2999*.html"))


def test_night_of_the_children_is_not_pinged_for_a_collection(council: Council, sink: HttpSink) -> None:
    assert council.run("collect", PING_URL=f"{sink.url}/run").code == 0
    assert council.run("collect", "--dry-run", XPORTER_PING_URL=f"{sink.url}/ping").code == 0
    assert sink.paths == []


def test_settings_of_a_collection_that_cannot_be_used_are_told(council: Council, sink: HttpSink) -> None:
    done = council.run("collect", **channels(sink, XPORTER_SCHOOLS_AT_ONCE="many"))
    assert done.code == 2
    assert told(sink) == [("xporter collect", "failure", 2)]


def test_write_back_is_told_and_has_metrics_of_its_own(council: Council, sink: HttpSink) -> None:
    assert council.run("collect", **channels(sink)).code == 0
    settings = channels(sink, NOTIFY_WHEN="always", XPORTER_WRITE_BACK="attendance")
    done = council.run("write-back", **settings, XPORTER_WRITE_BACK_PING_URL=f"{sink.url}/ping")
    assert done.code == 0, done.text
    assert told(sink) == [("xporter write-back", "success", 0)]
    assert "/ping" in sink.paths
    assert sorted(path.name for path in council.folder.glob("*.prom")) == [
        "csc_xporter_collect.prom",
        "csc_xporter_write_back.prom",
    ]


def test_metrics_of_a_collection_are_what_prometheus_reads(council: Council, sink: HttpSink) -> None:
    council.run("collect", **channels(sink))
    text = (council.folder / "csc_xporter_collect.prom").read_text(encoding="utf-8")
    parser = importlib.import_module("prometheus_client.parser")
    samples = [sample for family in parser.text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, sample.labels.get("of")): sample.value for sample in samples}
    assert values["xporter_collect_run_exit_code", None] == 0
    assert values["xporter_collect_run_count", "schools"] == 2
    assert values["xporter_collect_last_success_timestamp_seconds", None] > 1.7e9


def test_each_shard_of_a_collection_is_named_and_has_metrics_of_its_own(council: Council, sink: HttpSink) -> None:
    council.simulator.add_quirk(Quirk("scope", "9990002", times=None))
    settings = channels(sink, NOTIFY_WHEN="always")
    codes = {shard: council.run("collect", "--shard", shard, **settings).code for shard in ("1/2", "2/2")}
    assert sorted(codes.values()) == [0, 1]
    documents = sink.documents(f"/hook/{TOKEN}")
    assert {one["shard"]: one["exit_code"] for one in documents} == codes
    for shard, code in codes.items():
        path = council.folder / f"csc_xporter_collect_shard_{shard.replace('/', '_of_')}.prom"
        said = f'xporter_collect_run_exit_code{{shard="{shard}",mode="live"}} {code}'
        assert said in path.read_text(encoding="utf-8")
    assert len(list(council.folder.glob("*.prom"))) == 2


class Provider:
    """A provider with two learners, a simulated TEC and a sink."""

    def __init__(self, server: TecServer, sink: HttpSink, folder: Path) -> None:
        self.folder = folder
        self.settings = {
            **server.settings(),
            **channels(sink, SDR_PING_URL=f"{sink.url}/ping", NOTIFY_WHEN="recovery"),
            **{"DB_CONNECTION_STRING": f"sqlite:///{folder / 'tec.db'}", "TESTING_MODE": "false"},
            **{"SDR_POLL_S": "0.01", "RETRY_MAX_WAIT_S": "0"},
        }

    def sdr(self, *words: str, **settings: str) -> Completed:
        return invoke_cli(["sdr", *words], {**self.settings, **settings}, self.folder)

    def load(self, gender: str) -> None:
        text = f"studentIdentificationCode,gender,nameIdCode\ns1,F,AAAAA\ns2,{gender},BBBBB\n"
        (self.folder / "LEAR.csv").write_text(text, encoding="utf-8")
        assert self.sdr("load", "LEAR.csv").code == 0


@pytest.fixture
def provider(sink: HttpSink, tmp_path: Path) -> Iterator[Provider]:
    now = datetime.now(timezone.utc)
    period = SimulatedReturn(202608, 2026, 8, now - timedelta(days=20), now + timedelta(days=10))
    with TecServer(TecSimulator(TecOptions(returns=(period,)))) as server:
        provider = Provider(server, sink, tmp_path)
        assert provider.sdr("deploy-schema", "--apply").code == 0
        yield provider


def test_validation_that_fails_and_the_one_that_passes_are_told(provider: Provider, sink: HttpSink) -> None:
    for gender, code in (("?", 1), ("F", 0)):
        provider.load(gender)
        assert provider.sdr("submit", "202608").code == 0
        assert provider.sdr("validate", "202608", "--json").code == code
    assert told(sink) == [("sdr validate", "failure", 1), ("sdr validate", "recovery", 0)]
    assert [path.rpartition("/")[2] for path in sink.paths if "ping" in path] == [
        *("start", "ping", "start", "fail"),
        *("start", "ping", "start", "ping"),
    ]
    assert "BBBBB" not in "".join(body for _, _, body in sink.asked)
    assert sorted(path.name for path in provider.folder.glob("*.prom")) == [
        "csc_sdr_submit.prom",
        "csc_sdr_validate.prom",
    ]


def test_validation_that_a_wrong_clock_dated_years_ahead_is_made_good_too(provider: Provider, sink: HttpSink) -> None:
    for gender, code in (("?", 1), ("F", 0)):
        provider.load(gender)
        assert provider.sdr("submit", "202608").code == 0
        assert provider.sdr("validate", "202608").code == code
        with closing(sqlite3.connect(provider.folder / "tec.db")) as connection, connection:
            connection.execute("UPDATE sdr_runs SET started_at = '2999-01-01 02:00:00.000' WHERE exit_code = 1")

    assert [event for _, event, _ in told(sink)] == ["failure", "recovery"]


def test_settings_of_sdr_that_cannot_be_used_are_told(provider: Provider, sink: HttpSink) -> None:
    assert provider.sdr("submit", "202608", SDR_BATCH_SIZE="many").code == 2
    assert told(sink) == [("sdr submit", "failure", 2)]


def test_rehearsal_of_sdr_tells_only_this_machine(provider: Provider, sink: HttpSink) -> None:
    provider.load("F")
    done = provider.sdr("submit", "202612", TESTING_MODE="true", SDR_PING_URL="https://hc.invalid/x")
    assert "hc.invalid" not in done.text
    assert not any("ping" in path for path in sink.paths)
