"""The database goes away, is locked or refuses between an acceptance and its write-back (contract 3 and 5)."""

from __future__ import annotations

import itertools
import json
import random
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from api_pipeline import load_settings, run_lock
from api_pipeline.assembly.request import RunObservers, RunRequest
from api_pipeline.assembly.run import run
from api_pipeline.db import Connection, ConnectionLost, DatabaseBusy, connect
from api_pipeline.outbox.receipt_spool import SpooledReceipt
from api_pipeline.run_summary import RunSummary
from api_pipeline.sandbox.simulator import Fault, FaultKind, Reading, SimulatorServer
from tests.faults.outages import (
    after_requests,
    allow_writes,
    before_answer,
    cut_connections,
    let_in,
    refuse_writes,
    shut_out,
)
from tests.properties.model import content
from tests.support.databases import TestDatabase, sqlite_database
from tests.support.killed import wait_until_lock_is_free
from tests.support.postgres import PostgresServer
from tests.support.relay import Relay, relay_to
from tests.support.staging import change, child, hash_of, staged, table_rows, text_of
from tests.support.world import World, live_settings, recorded

pytestmark = pytest.mark.strict

MID_RUN = {"BATCH_SIZE": 2, "MAX_IN_FLIGHT": 4}
EPISODE = {"social_care_episode_id": "E1", "referral_date": "2026-01-05"}
MANY = 120
KEPT = {*SpooledReceipt.__dataclass_fields__}


def spool_of(world: World) -> Path:
    """Return the one spool file there is."""
    (path,) = world.folder.glob("unwritten-receipts-*.jsonl")
    return path


def spooled(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in spool_of(world).read_text(encoding="utf-8").splitlines()]


def no_spool(world: World) -> bool:
    return not list(world.folder.glob("unwritten-receipts-*"))


# PostgreSQL: the connection is cut, the server is gone for a while, the server is gone for good.


@pytest.mark.parametrize("requests", [1, 5, 12])
def test_connections_cut_mid_run_lose_nothing(postgres_world: World, requests: int) -> None:
    world = postgres_world
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)
    with after_requests(world, requests, lambda: cut_connections(world.database)):
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY
    assert no_spool(world)


def test_connections_cut_repeatedly_lose_nothing(postgres_world: World) -> None:
    world = postgres_world
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)

    def cut_and_cut() -> None:
        for _ in range(4):
            cut_connections(world.database)
            time.sleep(0.1)

    with after_requests(world, 2, cut_and_cut):
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


@pytest.fixture
def relayed(postgres_world: World, postgres_server: PostgresServer) -> Iterator[tuple[World, Relay]]:
    """Yield a world whose runs reach the PostgreSQL server by way of a relay, while the test reaches it directly."""
    with relay_to(postgres_server.port) as relay:
        text = postgres_world.database.connection_string.replace(f"PORT={postgres_server.port}", f"PORT={relay.port}")
        postgres_world.settings["DB_CONNECTION_STRING"] = text
        yield postgres_world, relay


def test_server_that_is_away_for_a_while_is_waited_for(relayed: tuple[World, Relay]) -> None:
    world, relay = relayed
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)

    def away_for_a_while() -> None:
        relay.cut()
        time.sleep(1.0)
        relay.restore()

    with after_requests(world, 5, away_for_a_while):
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


def test_commits_whose_answers_are_lost_leave_each_record_in_the_log_once(relayed: tuple[World, Relay]) -> None:
    world, relay = relayed
    persons = world.stage(40)
    world.server.simulator.add_fault(Fault(status=422, first=2, last=6))
    # The lock, the looks at the tables, the journal's entry and the first page are the first five.
    relay.lose_answers(b"COMMIT\x00", {7, 10, 11, 14, 18, 21})
    done = world.run(BATCH_SIZE=5)
    assert done.code == 1, done.text
    log = world.database.rows(
        f"SELECT person_id, outcome, answer FROM {world.database.named('ssd_api_submission_log')}"
    )
    assert len({(person, answer) for person, _, answer in log}) == len(log)
    assert {person for person, _, _ in log} == set(persons)
    assert [outcome for _, outcome, _ in log].count("accepted") == world.server.simulator.stats().records_accepted


def test_receipts_survive_a_lost_server_and_are_written_first(
    relayed: tuple[World, Relay],
) -> None:
    world, relay = relayed
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 6, relay.cut):
        done = world.run(**MID_RUN, DB_RETRY_S=0)
    relay.restore()
    wait_until_lock_is_free(world.database)
    check_spooled_and_recovered(world, done.code, done.text, may_be_written_too=True)


def test_receipts_survive_a_database_that_refuses_logins(postgres_world: World) -> None:
    world = postgres_world
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 6, lambda: shut_out(world.database)):
        done = world.run(**MID_RUN, DB_RETRY_S=1)
    let_in(world.database)
    wait_until_lock_is_free(world.database)
    check_spooled_and_recovered(world, done.code, done.text, may_be_written_too=True)


@pytest.mark.parametrize("number", range(25, 37))
def test_spool_is_named_whichever_connection_is_lost_first(relayed: tuple[World, Relay], number: int) -> None:
    world, relay = relayed
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    relay.lose_answers(b"COMMIT\x00", {number}, for_good=True)
    done = world.run(**MID_RUN, DB_RETRY_S=0)
    relay.restore()
    assert done.code == 3, done.text
    if not no_spool(world):
        assert str(spool_of(world)) in done.text


def test_receipts_survive_a_database_that_refuses_to_write(world: World) -> None:
    check_refused_writes(world)


def test_receipts_survive_a_read_only_postgresql_database(postgres_world: World) -> None:
    check_refused_writes(postgres_world)


def check_refused_writes(world: World) -> None:
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 6, lambda: refuse_writes(world.database)):
        done = world.run(**MID_RUN)
    allow_writes(world.database)
    check_spooled_and_recovered(world, done.code, done.text)


def check_spooled_and_recovered(world: World, code: int, text: str, *, may_be_written_too: bool = False) -> None:
    """Hold a run that lost the database against contract 3, and the next run, which finds the receiver dead.

    Where the connection is cut, it may be between the server's COMMIT and its answer: then a receipt is in the file,
    and in its row as well (`may_be_written_too`).
    """
    assert code == 3, text
    assert str(spool_of(world)) in text
    receipts = spooled(world)
    assert receipts
    assert all(line.keys() == KEPT for line in receipts)
    said = spool_of(world).read_text(encoding="utf-8")
    assert not re.search(r"Given|Sample|2014-03-09", said), "a name or a date of birth is in the spool file"
    words = world.words()
    world.check(words)
    assert set(words.values()) <= {"sent", "untouched"}
    accepted = world.server.simulator.stats().records_accepted
    sent = {person for person, word in words.items() if word == "sent"}
    recovered = {line["person_id"]: line["receipt"] for line in receipts}
    assert len(recovered) == len(receipts)
    assert len(sent | recovered.keys()) == accepted < len(world.before)
    written_too = sent & recovered.keys()
    assert may_be_written_too or not written_too
    rows = world.rows()
    assert all(rows[person]["api_response"] == recovered[person] for person in written_too)

    # The receiver takes nothing more: whatever becomes `sent` now was written from the file, before any request.
    world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    done = world.run(MAX_ATTEMPTS=1, GIVE_UP_AFTER_FAILED_BATCHES=1)
    assert done.code == 5, done.text
    assert no_spool(world)
    rows = world.rows()
    assert {person: rows[person]["api_response"] for person in recovered} == recovered
    after = world.words()
    world.check({**after, **words, **dict.fromkeys(recovered, "sent")} | lost(after, words))

    world.server.simulator.clear_faults()
    assert world.run().code == 0
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == len(world.before), "a recovered record was sent again"


def lost(after: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """Return the rows that the run with the dead receiver tried in vain."""
    return {person: word for person, word in after.items() if before[person] == "untouched" and word[:5] == "error"}


@pytest.mark.parametrize("purging", ["true", "false"])
def test_recovered_receipt_writes_the_same_baseline_as_a_direct_one(embedded_world: World, purging: str) -> None:
    world = embedded_world
    second = {**EPISODE, "social_care_episode_id": "E2"}
    world.fill([staged("1", child("1", social_care_episodes=[EPISODE, second]))])
    assert world.run(PURGE_VANISHED=purging).code == 0
    # The second episode left the payload, but is to stay at the receiver.
    if purging == "true":
        world.database.execute(
            f"INSERT INTO {world.database.named('ssd_api_left_window')} (person_id, elements) VALUES (?, ?)",
            ["1", '[["social_care_episodes", "E2"]]'],
        )
    now = child("1", social_care_episodes=[{**EPISODE, "referral_source": "1A"}])
    change(world.database, world.database.table, "1", json_payload=text_of(now), submission_status="pending")
    with before_answer(world, 1, lambda: refuse_writes(world.database)):
        assert world.run(PURGE_VANISHED=purging).code == 3
    allow_writes(world.database)
    assert spooled(world)
    world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    world.run(PURGE_VANISHED=purging)
    assert no_spool(world)
    held = recorded(world.database)["1"]
    assert [episode["social_care_episode_id"] for episode in held["social_care_episodes"]] == ["E1", "E2"]


def test_run_stops_and_keeps_receipts_when_another_took_its_lock(
    relayed: tuple[World, Relay],
) -> None:
    world, relay = relayed
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    other = connect(world.database.connection_string)

    def another_begins_meanwhile() -> None:
        relay.cut()
        until = time.monotonic() + 5
        while not took_lock() and time.monotonic() < until:
            time.sleep(0.05)
        relay.restore()

    def took_lock() -> bool:
        try:
            run_lock.take(other, world.database.table, None)
        except Exception:
            return False
        return True

    with before_answer(world, 5, another_begins_meanwhile):
        done = world.run(**MID_RUN)
    assert done.code == 3, done.text
    assert "another run was at work" in done.text
    assert spooled(world)
    other.close()
    wait_until_lock_is_free(world.database)
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


def test_session_that_ends_behind_the_last_write_back_fails_no_run(postgres_world: World) -> None:
    persons = postgres_world.stage(2)
    database = postgres_world.database

    class EndSession:
        def update(self, summary: RunSummary) -> None:
            if summary.accepted == len(persons):
                cut_connections(database)

    values = {**database.settings, **live_settings(postgres_world.server)}
    settings = load_settings(None, **values)
    done = run(settings, RunRequest("run-1"), RunObservers(progress=EndSession()), threading.Event())

    assert (done.errors, done.exit_code) == ([], 0)
    postgres_world.check(dict.fromkeys(persons, "sent"))


def test_server_frees_the_lock_of_a_computer_that_vanished(postgres_world: World) -> None:
    connection = connect(postgres_world.database.connection_string)
    for _ in range(2):
        idle = connection.query("SELECT current_setting('tcp_keepalives_idle')")
        assert idle == [("60",)], "seconds of silence after which the server asks whether the client is still there"
        connection.reopen()
    connection.close()


def test_commit_reported_as_done_is_durable_when_the_connection_dies(
    postgres: TestDatabase,
) -> None:
    """The driver calls some commits done that died with the connection: about one in thirty, cut as this test does."""
    postgres.execute("CREATE TABLE done (attempt INT, number INT)")
    chance = random.Random(1)
    for attempt in range(150):
        connection = connect(postgres.connection_string)
        (pid,) = connection.query("SELECT pg_backend_pid()")[0]
        cut = threading.Timer(chance.random() * 0.004, postgres.execute, ("SELECT pg_terminate_backend(?)", [pid]))
        cut.start()
        done = transactions_until_lost(connection, attempt)
        cut.join()
        connection.close()
        numbers = postgres.rows("SELECT DISTINCT number FROM done WHERE attempt = ? ORDER BY number", [attempt])
        assert [number for (number,) in numbers][:done] == list(range(done))


def transactions_until_lost(connection: Connection, attempt: int) -> int:
    """Return how many transactions came to their end without an exception."""
    until = time.monotonic() + 30
    for number in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count()):
        try:
            with connection.transaction():
                for _ in range(4):
                    connection.execute("INSERT INTO done VALUES (?, ?)", [attempt, number])
        except ConnectionLost:
            return number
    raise AssertionError("the connection was not cut")


# SQLite: another program keeps the file locked.


@contextmanager
def locked_file(world: World) -> Iterator[threading.Event]:
    """Let another writer lock the file before the fifth request is answered, until the event is set."""
    path = world.database.connection_string.removeprefix("sqlite:///")
    release, is_locked = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite3.connect(path, timeout=60, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            is_locked.set()
            release.wait(60)
            other.execute("ROLLBACK")
        other.close()

    holder = threading.Thread(target=hold)

    def begin() -> None:
        holder.start()
        assert is_locked.wait(60)

    with before_answer(world, 5, begin):
        yield release
    release.set()
    holder.join()


def test_commit_that_met_a_reader_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "council.db"
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("CREATE TABLE line (number INTEGER)")
    reader.executemany("INSERT INTO line VALUES (?)", [(number,) for number in range(1000)])
    reading = reader.execute("SELECT number FROM line")
    reading.fetchone()
    connection = connect(f"sqlite:///{path}", busy_wait_s=0.1)
    try:
        for _ in range(2):
            with pytest.raises(DatabaseBusy), connection.transaction():
                connection.execute("INSERT INTO line VALUES (1000)")
        reading.close()
        with connection.transaction():
            connection.execute("INSERT INTO line VALUES (1000)")
        assert connection.query("SELECT COUNT(*) FROM line") == [(1001,)]
    finally:
        connection.close()
        reader.close()


def test_file_that_is_locked_for_a_while_is_waited_for(embedded_world: World) -> None:
    world = embedded_world
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)
    with locked_file(world) as release:
        threading.Timer(2.0, release.set).start()
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


def test_receipts_survive_a_file_locked_beyond_the_limit(embedded_world: World) -> None:
    world = embedded_world
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    began = time.monotonic()
    with locked_file(world):
        done = world.run(**MID_RUN, DB_RETRY_S=0)
    assert time.monotonic() - began < 25, "the wait is bounded"
    check_spooled_and_recovered(world, done.code, done.text)


# What the spool is for, and what it is not for.


def lose_write_back(world: World, count: int = 4, **settings: object) -> None:
    """Leave `count` accepted rows whose receipts are in the spool file only."""
    world.stage(count)
    refuse_writes(world.database)
    done = world.run(**settings)
    allow_writes(world.database)
    assert done.code == 3, done.text
    assert len(spooled(world)) == count


def test_receipts_of_another_receiver_stay_in_the_spool(world: World) -> None:
    lose_write_back(world)
    before = spool_of(world).read_bytes()
    with SimulatorServer() as elsewhere:
        done = replace(world, server=elsewhere).run("--limit", "1")
        assert done.code == 0, done.text
        assert elsewhere.simulator.stats().records_accepted == 1
    assert spool_of(world).read_bytes() == before
    assert sorted(world.words().values()) == ["sent", "untouched", "untouched", "untouched"]


def test_receipts_of_another_table_are_left_alone(world: World) -> None:
    lose_write_back(world)
    before = spool_of(world).read_bytes()
    world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    done = world.run(TABLE_NAME=world.database.anon_table, MAX_ATTEMPTS=1, GIVE_UP_AFTER_FAILED_BATCHES=1)
    assert done.code == 5, done.text
    assert spool_of(world).read_bytes() == before
    receipts = {line["receipt"] for line in spooled(world)}
    rows = table_rows(world.database, world.database.anon_table)
    assert rows
    assert receipts.isdisjoint(row["api_response"] for row in rows)


def test_receipts_of_another_database_stay_in_the_spool(world: World) -> None:
    lose_write_back(world)
    path = spool_of(world)
    before = path.read_bytes()
    folder = world.folder / "other"
    folder.mkdir()
    with sqlite_database(folder) as database:
        other = World(database.deploy(), world.server, world.folder)
        other.stage(4)
        world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
        done = other.run(MAX_ATTEMPTS=1, GIVE_UP_AFTER_FAILED_BATCHES=1)
        assert done.code == 5, done.text
        assert "sent" not in other.words().values()
    assert path.read_bytes() == before


def test_testing_mode_leaves_the_receipts_for_a_live_run(world: World) -> None:
    lose_write_back(world)
    before = spool_of(world).read_bytes()
    assert world.run(TESTING_MODE="true").code == 0
    assert spool_of(world).read_bytes() == before
    assert {row["submission_status"] for row in world.rows().values()} == {"testing"}


def test_row_changed_after_its_receipt_was_spooled_stays_due(world: World) -> None:
    lose_write_back(world)
    newer = text_of(child("P0001", mis_child_id="newer"))
    change(world.database, world.database.table, "P0001", json_payload=newer, current_hash=hash_of(newer))
    world.remember()
    assert world.run().code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(world.before, "sent"))
    # The changed child is purged and sent whole: what the receiver holds of it is not on record.
    assert [len(world.server.simulator.receipts(person)) for person in world.before] == [1, 3, 1, 1]


def test_spooled_receipt_is_dropped_when_the_child_was_sent_again(world: World) -> None:
    lose_write_back(world, 1)
    first = world.rows()["P0000"]["json_payload"]
    path = spool_of(world)
    old = path.read_bytes()
    (receipt,) = (line["receipt"] for line in spooled(world))
    path.unlink()
    newer = text_of(child("P0000", mis_child_id="newer"))
    change(world.database, world.database.table, "P0000", json_payload=newer, current_hash=hash_of(newer))
    assert world.run().code == 0
    again = {"json_payload": first, "current_hash": hash_of(first), "submission_status": "Pending"}
    change(world.database, world.database.table, "P0000", **again)
    world.remember()
    path.write_bytes(old)
    assert world.run().code == 0
    # The receipt fits the row as it stands, but the receiver had taken something else in between.
    world.check({"P0000": "sent"})
    assert world.rows()["P0000"]["api_response"] != receipt
    assert no_spool(world)


def test_receipt_of_a_deletion_is_written_from_the_file_as_well(world: World) -> None:
    world.server.simulator.change(reading=Reading.MERGE)
    world.stage(3)
    assert world.run().code == 0
    change(world.database, world.database.table, "P0001", row_state="Deleted")
    refuse_writes(world.database)
    assert world.run().code == 3
    allow_writes(world.database)
    (receipt,) = spooled(world)
    assert receipt["kind"] == "deletion"
    requests = world.requests()
    assert world.run().code == 0
    row = world.rows()["P0001"]
    assert (row["submission_status"], row["row_state"], row["api_response"]) == ("sent", "deleted", receipt["receipt"])
    assert (row["previous_json_payload"], row["previous_hash"]) == (None, None)
    assert world.requests() == requests
    assert world.server.simulator.held("P0001") is None


def test_log_names_run_and_batch_of_a_recovered_record(world: World) -> None:
    lose_write_back(world, 4, BATCH_SIZE=2)
    receipts = spooled(world)
    assert world.run().code == 0
    log = f"SELECT run_id, batch, person_id, answer FROM {world.database.named('ssd_api_submission_log')}"
    found = {tuple(row) for row in world.database.rows(log)}
    assert found == {(one["run_id"], one["batch"], one["person_id"], one["receipt"]) for one in receipts}


def test_unfinished_last_line_of_the_spool_is_skipped(world: World) -> None:
    lose_write_back(world)
    with spool_of(world).open("a", encoding="utf-8") as file:
        file.write('{"run_id": "cut sho')
    assert world.run().code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == 4


def test_unreadable_spool_ends_the_run_before_sending(world: World) -> None:
    lose_write_back(world)
    path = spool_of(world)
    path.unlink()
    path.mkdir()
    requests = world.requests()
    done = world.run()
    assert done.code == 3, done.text
    assert str(path) in done.text
    assert world.requests() == requests


def test_unwritable_spool_is_reported_and_rows_stay_due(world: World) -> None:
    persons = world.stage(4)
    folder = world.folder / "receipts"
    refuse_writes(world.database)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 1, lambda: folder.write_text("in the way", encoding="utf-8")):
        done = world.run(SPOOL_FOLDER=folder)
    allow_writes(world.database)
    assert done.code == 3, done.text
    assert "neither to the database nor to" in done.text
    world.check(dict.fromkeys(persons, "untouched"))
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))


# What one shard left is not lost when the shards are no more, and the other way round.


def test_whole_table_run_writes_receipts_of_shards(world: World) -> None:
    persons = world.stage(6)
    refuse_writes(world.database)
    assert world.run("--shard", "1/2").code == 3
    assert world.run("--shard", "2/2").code == 3
    allow_writes(world.database)
    assert len(list(world.folder.glob("unwritten-receipts-*"))) == 2
    assert world.run().code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == 6


def test_first_shard_writes_receipts_of_a_whole_table_run(world: World) -> None:
    lose_write_back(world, 6)
    assert world.run("--shard", "2/2").code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == 6


def test_shard_ignores_the_spool_of_another_shard(world: World) -> None:
    world.stage(6)
    refuse_writes(world.database)
    assert world.run("--shard", "1/2").code == 3
    allow_writes(world.database)
    before = spool_of(world).read_bytes()
    assert world.run("--shard", "2/2").code == 0
    assert spool_of(world).read_bytes() == before
    assert world.run("--shard", "1/2").code == 0
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == 6


def test_database_that_is_away_from_the_start_ends_the_run_with_3(world: World, tmp_path: Path) -> None:
    done = world.run(DB_CONNECTION_STRING=f"sqlite:///{tmp_path / 'nowhere.db'}")
    assert done.code == 3, done.text
    assert world.requests() == 0


@pytest.fixture
def without_control_tables(world: World) -> TestDatabase:
    for table in ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"):
        world.database.execute(f"DROP TABLE {world.database.named(table)}")
    return world.database


def test_receipts_are_spooled_without_control_tables(world: World, without_control_tables: TestDatabase) -> None:
    lose_write_back(world)
    receipts = {line["person_id"]: line["receipt"] for line in spooled(world)}
    requests = world.requests()
    assert world.run().code == 0
    assert world.requests() == requests
    assert {person: row["api_response"] for person, row in world.rows().items()} == receipts
    assert without_control_tables.count(world.database.table, "submission_status = 'sent'") == 4


def test_receipt_of_an_unknown_run_is_not_believed_without_control_tables(
    world: World, without_control_tables: TestDatabase
) -> None:
    lose_write_back(world)
    without_control_tables.execute(f"DELETE FROM {world.database.named('ssd_api_runs')}")
    requests = world.requests()
    done = world.run()
    assert done.code == 0
    assert "receipts" in done.text
    assert "belong to no run in the journal" in done.text
    assert world.requests() > requests


def test_foreign_open_transaction_ends_the_run_within_its_limit(
    postgres_world: World, postgres_server: PostgresServer
) -> None:
    world = postgres_world
    persons = world.stage(4)
    with closing(pyodbc.connect(world.database.connection_string)) as other:
        other.execute(f"UPDATE {world.database.table} SET legacy_id = '1' WHERE person_id = ?", [persons[1]])
        done = world.run(BATCH_SIZE=2, DB_RETRY_S=0)
        assert done.code == 3, done.text
        other.rollback()
    receipts = spooled(world)
    assert {line["person_id"] for line in receipts} >= set(persons[:2])
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == len(persons)


@pytest.mark.parametrize("refused", ["'purge'", "'purge', 'full'"])
def test_the_receipt_of_a_purge_that_is_refused_is_spooled_and_logged(embedded_world: World, refused: str) -> None:
    world = embedded_world
    details = child("1")["child_details"]
    world.fill([staged(person, child(person)) for person in ("1", "2")])
    assert world.run().code == 0
    world.restage("1", child("1", child_details={name: details[name] for name in details if name != "surname"}))
    world.database.execute(
        f"CREATE TRIGGER refused BEFORE INSERT ON ssd_api_submission_log WHEN NEW.kind IN ({refused}) "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )

    done = world.run(PURGE_VANISHED="true")

    assert done.code == 3, done.text
    purge = spooled(world)[0]
    assert (purge["kind"], purge["person_id"]) == ("purge", "1")
    world.database.execute("DROP TRIGGER refused")
    assert world.run(PURGE_VANISHED="true").code == 0
    assert no_spool(world)
    logged = world.database.rows(
        "SELECT kind, outcome, answer, run_id FROM ssd_api_submission_log WHERE person_id = '1' ORDER BY id"
    )
    assert ("purge", "accepted", purge["receipt"], purge["run_id"]) in [tuple(line) for line in logged]
    assert len({line[2] for line in logged}) == len(logged), "an answer is logged once"
    assert "surname" not in recorded(world.database)["1"]["child_details"]


@pytest.mark.parametrize("kind", ["purge", "resync"])
def test_what_a_purge_took_is_sent_again_though_its_receipt_was_refused(embedded_world: World, kind: str) -> None:
    world = embedded_world
    details = child("1")["child_details"]
    before = child("1", social_care_episodes=[EPISODE])
    world.fill([staged("1", before)])
    assert world.run().code == 0
    less = child("1", child_details={name: details[name] for name in details if name != "surname"})
    world.restage("1", less if kind == "purge" else before)
    world.database.execute(
        "CREATE TRIGGER refused BEFORE INSERT ON ssd_api_submission_log WHEN NEW.kind = 'purge' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    simulator = world.server.simulator
    simulator.add_fault(Fault(status=422, first=3, last=9))
    done = world.run(*(["--resync"] if kind == "resync" else []), PURGE_VANISHED="true")
    assert done.code == 3, done.text
    assert content(before) != content(simulator.held("1") or {})
    world.database.execute("DROP TRIGGER refused")
    simulator.clear_faults()

    # The source is corrected back to what was held before the purge.
    world.restage("1", before)
    assert world.run(PURGE_VANISHED="true").code == 0
    world.remember()
    world.check({"1": "sent"})
