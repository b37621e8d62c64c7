"""The re-created loop of today's tool that the benchmarks measure: it must really do that tool's work."""

from __future__ import annotations

import json

import pytest

from benchmarks import upstream
from tests.support.staging import child, staged
from tests.support.world import World

_ROWS = 101  # one more than a batch


@pytest.fixture
def due(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a table of changed children, one batch and a row, and the settings of a run in the environment."""
    people = [f"P{number:03d}" for number in range(_ROWS)]
    episodes = [{"social_care_episode_id": "E1", "closure_reason": "RC1"}, {"social_care_episode_id": "E2"}]
    changed = [{**episodes[0], "closure_reason": "RC2"}, episodes[1]]
    world.fill(
        [
            staged(
                person,
                child(person, social_care_episodes=changed),
                "pending",
                "updated",
                previous=child(person, social_care_episodes=episodes),
            )
            for person in people
        ]
    )
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    return world


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("mode", ["full", "deltas"])
def test_todays_loop_sends_all_rows_and_writes_each_receipt_back(
    due: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    monkeypatch.setenv("USE_PARTIAL_PAYLOAD", str(mode == "deltas").lower())

    upstream.main()

    sent = [json.loads(record)["la_child_id"] for record in due.server.simulator.accepted_records]
    rows = due.rows()
    assert due.requests() == 2
    assert sorted(sent) == sorted(rows)
    for person, row in rows.items():
        assert (row["submission_status"], row["row_state"]) == ("sent", "unchanged")
        assert due.server.simulator.receipts(person)[-1].endswith(row["api_response"])
        assert row["previous_json_payload"] == row["json_payload"]
        assert bytes(row["previous_hash"]) == bytes(row["current_hash"])
        assert (row["partial_json_payload"] is not None) == (mode == "deltas")
    said = capsys.readouterr().out
    assert said.count("_store_receipt begins") == _ROWS
    if mode == "deltas":
        delta = json.loads(rows["P000"]["partial_json_payload"])
        # Its way: an element that did not change is sent as its id.
        assert delta["social_care_episodes"] == [
            {"closure_reason": "RC2", "social_care_episode_id": "E1", "purge": False},
            {"social_care_episode_id": "E2", "purge": False},
        ]
        assert said.count("_difference begins") == 3 * _ROWS
