"""A table that is sent to one receiver and then to another: what the first holds says nothing of the second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.altering import rename_column, rename_table
from tests.support.databases import no_server, one_kind
from tests.support.staging import change, child, staged
from tests.support.world import World, held_now, normal

EPISODES = [{"social_care_episode_id": number, "referral_date": "2026-01-05"} for number in ("E1", "E2")]
RECEIPT = "3f0b2a6e-8f5d-4a50-9f3d-2f6f1c1d7e11"
BEFORE = child("A", social_care_episodes=EPISODES)


@contextmanager
def another_receiver(world: World) -> Iterator[SimulatorServer]:
    """Let the runs go to another receiver; afterwards they go to the first again."""
    first = world.server
    with SimulatorServer() as other:
        world.server = other
        yield other
    world.server = first


@no_server
def test_a_delta_to_another_receiver_is_whole_where_log_retention_forgot_the_first(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("A", BEFORE)])
    assert world.run().code == 0
    world.database.execute(f"DELETE FROM {world.database.named('ssd_api_submission_log')}")
    now = child("A", social_care_episodes=EPISODES, mis_child_id="M2")
    world.restage("A", now)
    with another_receiver(world) as other:
        assert world.run("--deltas").code == 0
        assert held_now(other.simulator) == {"A": normal(world.rows()["A"]["json_payload"])}


@pytest.mark.strict
def test_a_deletion_that_another_receiver_accepted_is_sent_to_the_first_as_well(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("A", BEFORE)])
    assert world.run().code == 0
    first = world.server.simulator
    with another_receiver(world):
        change(world.database, world.database.table, "A", submission_status="pending")
        assert world.run().code == 0
        # As LOG_KEEP_DAYS would, of the nights before.
        world.database.execute(f"DELETE FROM {world.database.named('ssd_api_submission_log')}")
        change(world.database, world.database.table, "A", row_state="Deleted")
        assert world.run().code == 0
    assert first.held("A") is not None
    done = world.run()
    assert done.code == 0, done.text
    assert "no deletion is sent" not in done.text
    assert first.held("A") is None


@one_kind
@pytest.mark.parametrize("table", ["ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"])
def test_child_of_a_new_person_stays_after_a_night_without_a_control_table(deployed_world: World, table: str) -> None:
    world = deployed_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    change(world.database, world.database.table, "old", row_state="Deleted")
    world.fill([staged("new", child("P1"))])
    rename_table(world.database, table, f"{table}_away")
    assert world.run().code == 0
    rename_table(world.database, f"{table}_away", table)
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is not None


@no_server
@pytest.mark.parametrize("arguments", [(), ("--deltas",), ("--shard", "1/1")])
def test_deletion_of_a_broken_payload_is_of_the_child_that_was_sent(
    deployed_world: World, arguments: tuple[str, ...]
) -> None:
    world = deployed_world
    world.fill([staged("A", child("C1", mis_child_id="M1")), staged("B")])
    assert world.run().code == 0
    change(world.database, world.database.table, "A", row_state="Deleted", json_payload='{"la_child_id": "C')
    story = world.command("explain", "A").text
    assert "recorded when the receiver accepted it" in story
    done = world.run(*arguments)
    assert done.code == 0, done.text
    assert world.server.simulator.held("C1") is None
    row = world.rows()["A"]
    assert (row["submission_status"], row["row_state"], row["previous_json_payload"]) == ("sent", "deleted", None)
    again = world.run(*arguments)
    assert (again.code, world.rows()["A"]) == (0, row)


@no_server
@pytest.mark.parametrize("is_held", [True, False], ids=["held", "sent by another tool"])
def test_deletion_of_a_payload_with_an_impossible_id_is_of_the_child_that_was_sent(
    deployed_world: World, is_held: bool
) -> None:
    world = deployed_world
    if is_held:
        world.fill([staged("A", child("C1")), staged("B")])
        assert world.run().code == 0
        world.restage("A", child("X" * 21))
        assert world.run().code == 1
    else:
        world.fill([staged("A", child("X" * 21), "error", previous=child("C1")), staged("B")])
    change(world.database, world.database.table, "A", row_state="Deleted")
    done = world.run()
    assert done.code == 0, done.text
    row = world.rows()["A"]
    assert row["api_response"] in world.server.simulator.receipts("C1")[-1]
    assert (row["submission_status"], row["row_state"], row["previous_json_payload"]) == ("sent", "deleted", None)


@one_kind
@pytest.mark.parametrize(("check", "said"), [("reject", "refused before sending: $.la_child_id"), ("warn", "HTTP 400")])
def test_deletion_under_an_impossible_id_of_which_nothing_is_known_is_checked_like_any_record(
    deployed_world: World, check: str, said: str
) -> None:
    world = deployed_world
    # Never sent: the status says so, and there is no receipt.
    world.fill([staged("A", child("X" * 21), "error", "Deleted", previous=child("Y" * 21))])
    assert world.run(SCHEMA_CHECK=check).code == 1
    row = world.rows()["A"]
    assert (row["submission_status"], row["row_state"]) == ("error", "Deleted")
    assert said in row["api_response"]


@one_kind
def test_deletion_of_a_payload_that_was_never_readable_stays_an_error(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("A", "{", status="sent", state="Deleted", previous="{")])
    assert world.run().code == 1
    assert "not valid JSON" in world.rows()["A"]["api_response"]


@pytest.mark.strict
@pytest.mark.parametrize("arguments", [(), ("--deltas",)])
def test_what_another_tool_sent_before_the_first_run_says_nothing_of_a_later_receiver(
    deployed_world: World, arguments: tuple[str, ...]
) -> None:
    world = deployed_world
    sent = [
        staged(one, child(one), "sent", "unchanged", previous=child(one), response=RECEIPT)
        for one in ("same", "changed")
    ]
    world.fill([*sent, staged("new")])
    assert world.run().code == 0
    world.restage("changed", child("changed", social_care_episodes=EPISODES, mis_child_id="M2"))
    change(world.database, world.database.table, "same", submission_status="pending")
    with another_receiver(world) as other:
        done = world.run(*arguments)
        assert done.code == 0, done.text
        rows = world.rows()
        assert held_now(other.simulator) == {
            person: normal(rows[person]["json_payload"]) for person in ("same", "changed")
        }


@one_kind
def test_what_another_tool_sent_counts_after_a_run_to_a_test_endpoint(deployed_world: World) -> None:
    world = deployed_world
    payload = child("A", social_care_episodes=EPISODES)
    world.fill([staged("A", payload, "sent", "unchanged", previous=payload, response=RECEIPT), staged("B")])
    test = f"{world.server.base_url}-test"
    assert world.run(API_ENDPOINT=test, ALLOW_LIVE_DATA_TO_TEST="true").code == 0
    change(world.database, world.database.table, "A", submission_status="pending")
    assert world.run().code == 0
    assert "NOT SENT" in world.rows()["A"]["api_response"]


@pytest.mark.parametrize("column", ["receiver", "staging_table"])
def test_what_another_tool_sent_counts_beside_a_journal_of_which_a_column_is_missing(
    deployed_world: World, column: str
) -> None:
    world = deployed_world
    payload = child("A", social_care_episodes=EPISODES)
    world.fill([staged("A", payload, previous=payload, response=RECEIPT), staged("B")])
    rename_column(world.database, "ssd_api_runs", column, f"{column}_away")
    done = world.run()
    assert done.code == 0, done.text
    assert "the journal entry of this run could not be written" in done.text
    assert "NOT SENT" in world.rows()["A"]["api_response"]
