"""What left the time window stays at the receiver: neither purged nor forgotten."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.model import Baseline, ElementPath, InDoubt, Record, RecordKind, StagedRow, UpToDate
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload
from api_pipeline.payloads.retained import paths_in, paths_text, read_paths, with_kept
from api_pipeline.sandbox.invented_children import changed, invented_child
from tests.properties.model import apply, content

EPISODES = "social_care_episodes"
PLANS = "child_in_need_plans"
OLD: ElementPath = (EPISODES, "R1", PLANS, "P1")
FULL, DELTAS = Policy(deltas=False), Policy(deltas=True)


def child(*episodes: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"la_child_id": "1001", **members, EPISODES: list(episodes)}


def referral(key: str, *plans: str, **members: Any) -> dict[str, Any]:
    made = {"social_care_episode_id": key, **members}
    return {**made, PLANS: [{"child_in_need_plan_id": plan, "start_date": "2024-01-01"} for plan in plans]}


def row(payload: dict[str, Any], left: tuple[ElementPath, ...]) -> StagedRow:
    return StagedRow(1, "1001", False, "pending", orjson.dumps(payload).decode(), b"h", True, None, left)


def send(held: dict[str, Any], payload: dict[str, Any], policy: Policy, *left: ElementPath) -> tuple[Any, Any, int]:
    """Send until there is nothing more to send; return what a receiver holds then, what is noted, and the records."""
    truth: Any = held
    noted, sent, staged = orjson.dumps(held).decode(), 0, row(payload, left)
    record: Record | UpToDate | None = None
    while True:
        if record is None:
            record = plan(staged, parse_payload(staged.json_payload), Baseline(noted), policy)
        if isinstance(record, UpToDate):
            return truth, orjson.loads(noted), sent
        sent += 1
        assert sent < 5
        assert record.held_after is not None
        truth, noted = apply(truth, orjson.loads(record.body)), record.held_after
        record = record.then


@pytest.mark.parametrize("policy", [FULL, DELTAS])
def test_retained_element_is_neither_purged_nor_forgotten(policy: Policy) -> None:
    held = child(referral("R1", "P1", "P2", referral_date="2024-01-01"))
    payload = child(referral("R1", "P2", referral_date="2024-01-02"))

    truth, noted, sent = send(held, payload, policy, OLD)

    wanted = child(referral("R1", "P1", "P2", referral_date="2024-01-02"))
    assert content(truth) == content(noted) == content(wanted)
    assert sent == 1


@pytest.mark.parametrize("policy", [FULL, DELTAS])
def test_nothing_is_sent_where_only_retained_elements_are_missing(policy: Policy) -> None:
    held = child(referral("R1", "P1", "P2"))
    assert send(held, child(referral("R1", "P2")), policy, OLD)[2] == 0


@pytest.mark.parametrize("policy", [FULL, DELTAS])
def test_element_is_purged_once_it_vanished_from_the_ssd_as_well(policy: Policy) -> None:
    held = child(referral("R1", "P1", "P2"))
    truth, noted, _ = send(held, child(referral("R1", "P2")), policy)
    assert content(truth) == content(noted) == content(child(referral("R1", "P2")))


@pytest.mark.parametrize("policy", [FULL, DELTAS])
def test_whole_episodes_and_blocks_are_retained_as_well(policy: Policy) -> None:
    adoption = {"matched_date": "2022-01-01"}
    held = child(referral("R1", "P1"), referral("R2", adoption=adoption), health_and_wellbeing={"sdq_assessments": []})
    payload = child(referral("R2", referral_date="2025-01-01"))

    paths = ((EPISODES, "R1"), (EPISODES, "R2", "adoption"), ("health_and_wellbeing",))
    truth, noted, _ = send(held, payload, policy, *paths)

    wanted = {**held, EPISODES: [held[EPISODES][0], {**held[EPISODES][1], "referral_date": "2025-01-01"}]}
    assert content(truth) == content(noted) == content(wanted)


@pytest.mark.parametrize("policy", [FULL, DELTAS])
def test_retained_part_is_purged_with_the_episode_that_was_deleted(policy: Policy) -> None:
    held = child(referral("R1", "P1"), referral("R2"))
    truth, noted, _ = send(held, child(referral("R2")), policy, OLD)
    assert content(truth) == content(noted) == content(child(referral("R2")))


def test_full_record_is_the_staged_payload_without_retained_parts() -> None:
    payload = child(referral("R1", "P2", referral_date="2024-01-02"))
    staged = row(payload, (OLD,))
    baseline = Baseline(orjson.dumps(child(referral("R1", "P1", "P2"))).decode())

    record = plan(staged, parse_payload(staged.json_payload), baseline, FULL)

    assert not isinstance(record, UpToDate)
    assert (record.kind, record.body.decode()) == (RecordKind.FULL, staged.json_payload)
    assert OLD in paths_in(orjson.loads(record.held_after or ""))


def test_retained_element_is_kept_where_an_answer_was_lost() -> None:
    before, between = child(referral("R1", "P1", "P2")), child(referral("R1", "P1", "P2", "P3"))
    staged = row(child(referral("R1", "P2")), (OLD,))
    unanswered = InDoubt(orjson.dumps(between).decode(), sent_of="0" * 64)
    baseline = Baseline(orjson.dumps(before).decode(), in_doubt=unanswered)

    record = plan(staged, parse_payload(staged.json_payload), baseline, DELTAS)

    assert not isinstance(record, UpToDate)
    for held in (before, between):
        after = apply(held, orjson.loads(record.body))
        assert after is not None
        assert content(after) == content(orjson.loads(record.held_after or "")) == content(before)


def test_retained_element_is_sent_again_after_a_purge_of_the_child() -> None:
    held = child(referral("R1", "P1", "P2"))
    staged = row(child(referral("R1", "P2")), (OLD,))
    baseline = Baseline(orjson.dumps(held).decode(), in_doubt=InDoubt(None, sent_of="0" * 64))

    purge = plan(staged, parse_payload(staged.json_payload), baseline, DELTAS)

    assert isinstance(purge, Record)
    assert (purge.kind, purge.held_after) == (RecordKind.PURGE, "{}")
    assert purge.then is not None
    assert content(apply(None, orjson.loads(purge.then.body)) or {}) == content(held)


def test_nothing_is_sent_where_a_lost_record_changes_nothing_either_way() -> None:
    payload = child(referral("R1", "P1"))
    staged = row(payload, ())
    baseline = Baseline(
        orjson.dumps(payload).decode(), in_doubt=InDoubt(orjson.dumps(payload).decode(), sent_of="0" * 64)
    )

    assert isinstance(plan(staged, parse_payload(f" {staged.json_payload}"), baseline, DELTAS), UpToDate)


@pytest.mark.parametrize("policy", [FULL, DELTAS])
@given(seed=st.integers(0, 2**32))
def test_receiver_ends_with_payload_and_retained_parts(policy: Policy, seed: int) -> None:
    rng = random.Random(seed)
    held = invented_child(rng, 1)
    payload = held
    for _ in range(rng.randrange(1, 4)):
        payload = changed(rng, payload)
    gone = sorted(paths_in(held) - paths_in(payload))
    left = tuple(path for path in gone if rng.random() < 0.5)

    truth, noted, _ = send(held, payload, policy, *left)

    assert content(truth) == content(noted) == content(with_kept(payload, held, left))


@pytest.mark.parametrize("text", ["", "x", "null", "{}", "[1]", "[[]]", '[["a", 1]]', '["a"]'])
def test_text_that_is_not_a_list_of_paths_retains_nothing(text: str) -> None:
    assert read_paths(text) == ()


def test_paths_are_read_as_they_were_written_and_always_written_alike() -> None:
    paths = {OLD, ("health_and_wellbeing",), (EPISODES, "R2")}
    assert set(read_paths(paths_text(paths))) == paths
    assert paths_text(sorted(paths)) == paths_text(sorted(paths, reverse=True))


@pytest.mark.parametrize("path", [("unknown",), (EPISODES,), (EPISODES, "R9"), ("la_child_id",), (*OLD, "x", "y")])
def test_paths_to_nothing_change_nothing(path: ElementPath) -> None:
    payload = child(referral("R1"))
    assert with_kept(payload, child(referral("R1", "P1")), [path]) is payload


@pytest.mark.parametrize(
    ("now", "held", "path"),
    [
        # A block that is there again is that of today.
        ({"health_and_wellbeing": {"a": 1}}, {"health_and_wellbeing": {"a": 2}}, ("health_and_wellbeing",)),
        # No block holds elements of its own, and what is of another kind than the schema says has no parts.
        ({}, {"health_and_wellbeing": {"a": 2}}, ("health_and_wellbeing", "a")),
        ({}, {"health_and_wellbeing": "text"}, ("health_and_wellbeing",)),
        ({}, {"mis_child_id": "M1"}, ("mis_child_id", "M1")),
        ({}, {EPISODES: {"R1": {}}}, (EPISODES, "R1")),
        ({}, {EPISODES: [5, "R1", None]}, (EPISODES, "R1")),
        ({EPISODES: "text"}, {EPISODES: [referral("R1")]}, (EPISODES, "R1")),
        ({}, {EPISODES: [referral("R1", "P1")]}, OLD),
    ],
)
def test_part_is_kept_only_where_it_is_an_element_or_block_that_has_gone(
    now: dict[str, Any], held: dict[str, Any], path: ElementPath
) -> None:
    assert with_kept(now, held, [path]) is now


def test_block_that_has_gone_is_kept() -> None:
    held = {"health_and_wellbeing": {"a": 2}}
    assert with_kept({}, held, [("health_and_wellbeing",)]) == held


@pytest.mark.parametrize("odd", [5, "text", None, [], {}, [5, None, "R1", [], {}, {"social_care_episode_id": 5}]])
def test_payload_of_other_kinds_has_no_parts(odd: object) -> None:
    assert paths_in({EPISODES: odd, "mis_child_id": odd}) == set()
