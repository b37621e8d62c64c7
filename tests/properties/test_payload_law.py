"""The law of what is sent: applied to what was held, the records end in exactly the current payload."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.model import Baseline, InDoubt, Record, RecordKind, UpToDate
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload, sha256_hex
from tests.properties.model import SCHEMA, Json, Maker, apply, content
from tests.properties.planned import ROW, many, receive, seeds, steps, text_of


def check(before: Json, now: Json, *, deltas: bool, reading: str) -> list[Record]:
    records = steps(text_of(now), Baseline(text_of(before)), Policy(deltas=deltas))
    after = receive(apply(None, before), records, reading)
    assert content(after) == content(now)
    for record in records:
        assert (record.kind is RecordKind.PURGE) == (record.then is not None)
    return records


@pytest.mark.parametrize("doubtful", [False, True])
@pytest.mark.parametrize(("deltas", "reading"), [(True, "merge"), (False, "merge"), (False, "replace")])
@many
@given(seed=seeds)
def test_plan_leads_from_the_baseline_to_the_current_payload(
    seed: int, deltas: bool, reading: str, doubtful: bool
) -> None:
    maker = Maker(seed, doubtful=doubtful)
    before = maker.payload()
    check(before, maker.next_version(before), deltas=deltas, reading=reading)


@pytest.mark.parametrize("deltas", [True, False])
def test_ambiguous_keys_are_not_merged_into_an_empty_array(deltas: bool) -> None:
    before: Json = {"la_child_id": "C1", "purge": False, "social_care_episodes": []}
    twice = [{"social_care_episode_id": "c", "referral_source": source} for source in ("1A", "1B")]
    now = {"la_child_id": "C1", "social_care_episodes": twice}
    assert check(before, now, deltas=deltas, reading="merge")[0].kind is RecordKind.PURGE


@pytest.mark.parametrize("deltas", [True, False])
@many
@given(seed=seeds)
def test_unchanged_parts_survive_a_change_of_another(seed: int, deltas: bool) -> None:
    before = Maker(seed, doubtful=True).payload()
    now = {**before, "mis_child_id": "another"}
    check(before, now, deltas=deltas, reading="merge")


@pytest.mark.parametrize("reading", ["merge", "replace"])
@many
@given(seed=seeds, purge_vanished=st.booleans())
def test_payload_that_is_held_can_be_sent_again(seed: int, purge_vanished: bool, reading: str) -> None:
    now = Maker(seed, doubtful=purge_vanished).payload()
    policy = Policy(deltas=False, purge_vanished=purge_vanished, even_if_held=True)
    record = plan(ROW, parse_payload(text_of(now)), Baseline(text_of(now)), policy)
    assert isinstance(record, Record)
    records = [record, *([record.then] if record.then else [])]
    assert records[-1].kind is RecordKind.FULL
    assert content(receive(apply(None, now), records, reading)) == content(now)


@many
@given(seed=seeds)
def test_no_delta_is_larger_than_the_full_record(seed: int) -> None:
    maker = Maker(seed, doubtful=False)
    before = maker.payload()
    now = maker.next_version(before)
    delta = check(before, now, deltas=True, reading="merge")
    full = check(before, now, deltas=False, reading="merge")
    assert sum(len(record.body) for record in delta) <= sum(len(record.body) for record in full)


@many
@given(seed=seeds, arrived=st.booleans(), deltas=st.booleans(), known=st.booleans())
def test_plan_is_right_from_every_state_in_doubt(seed: int, arrived: bool, deltas: bool, known: bool) -> None:
    """A record of a middle version was sent and its answer lost; then a newer version was staged."""
    maker = Maker(seed, doubtful=False)
    before = maker.payload()
    middle = maker.next_version(before)
    now = maker.next_version(middle)
    sent = plan(ROW, parse_payload(text_of(middle)), Baseline(text_of(before)), Policy(deltas))
    if isinstance(sent, UpToDate):
        return
    true = apply(None, before)
    if arrived:
        true = apply(true, json.loads(sent.body))
    unanswered = InDoubt((sent.held_after or "{}") if known else None, sent_of=sha256_hex(text_of(middle)))
    baseline = Baseline(text_of(before), in_doubt=unanswered)
    assert content(receive(true, steps(text_of(now), baseline, Policy(deltas)), "merge")) == content(now)


@many
@given(seed=seeds, deltas=st.booleans(), way=st.sampled_from(["back", "on", "elsewhere"]))
def test_plan_leads_to_the_payload_from_each_of_two_states(seed: int, deltas: bool, way: str) -> None:
    maker = Maker(seed, doubtful=True)
    accepted = maker.payload()
    possible = maker.next_version(accepted)
    now = {"back": accepted, "on": maker.next_version(possible), "elsewhere": maker.payload()}[way]
    baseline = Baseline(text_of(accepted), in_doubt=InDoubt(text_of(possible), sent_of="0" * 64))
    records = steps(text_of(now), baseline, Policy(deltas))
    for state in (accepted, possible):
        assert content(receive(apply(None, state), records, "merge")) == content(now)


@pytest.mark.parametrize("damaged", ["", '{"la_child_id": "C1", ', "[]", "null"])
@pytest.mark.parametrize("accepted", [True, False])
def test_child_is_purged_whole_where_a_recorded_state_is_damaged(damaged: str, accepted: bool) -> None:
    unanswered = InDoubt(damaged, sent_of="0" * 64)
    baseline = Baseline(damaged) if accepted else Baseline('{"la_child_id": "C1"}')._replace(in_doubt=unanswered)
    now: Json = {"la_child_id": "C1", "social_care_episodes": [{"social_care_episode_id": "a"}]}
    for policy in (Policy(deltas=True), Policy(deltas=False)):
        purge, full = steps(text_of(now), baseline, policy)
        assert json.loads(purge.body) == {"la_child_id": "C1", "purge": True}
        assert (full.kind, json.loads(full.body)) == (RecordKind.FULL, now)
    (full,) = steps(text_of(now), baseline, Policy(deltas=False, purge_vanished=False))
    assert json.loads(full.body) == now


@pytest.mark.parametrize("arrived", [False, True])
def test_ambiguous_keys_that_one_state_has_are_not_sent_to_be_merged(arrived: bool) -> None:
    """The child is staged again as it was before a record that purged an episode, and whose answer was lost."""
    plans = [{"child_in_need_plan_id": "p", "start_date": day} for day in ("2024-01-01", "2024-02-02")]
    now: Json = {
        "la_child_id": "C1",
        "social_care_episodes": [
            {"social_care_episode_id": "a"},
            {"social_care_episode_id": "b", "child_in_need_plans": plans},
        ],
    }
    without: Json = {"la_child_id": "C1", "social_care_episodes": [{"social_care_episode_id": "a"}]}
    baseline = Baseline(text_of(now), in_doubt=InDoubt(text_of(without), sent_of="0" * 64))

    records = steps(text_of(now), baseline, Policy(deltas=False))

    assert content(receive(without if arrived else now, records, "merge")) == content(now)


@pytest.mark.parametrize("doubtful", [False, True])
@many
@given(seed=seeds, arrived=st.booleans(), deltas=st.booleans(), later=st.booleans(), was_killed=st.booleans())
def test_repeating_a_record_is_right_whether_it_arrived_or_not(
    seed: int, arrived: bool, deltas: bool, later: bool, was_killed: bool, doubtful: bool
) -> None:
    maker = Maker(seed, doubtful=doubtful)
    before = maker.payload()
    now = maker.next_version(before)
    true = apply(None, before)
    held = text_of(before)
    record: Record | UpToDate | None = plan(ROW, parse_payload(text_of(now)), Baseline(held), Policy(deltas))
    while isinstance(record, Record):
        # Either this record got no answer, or the one that follows it.
        assert record.intent_hash == sha256_hex(text_of(now))
        reached = apply(true, json.loads(record.body)) if arrived else true
        unanswered = InDoubt(None if was_killed else record.held_after, sent_of=record.intent_hash)
        records = steps(text_of(now), Baseline(held, in_doubt=unanswered), Policy(later))
        assert content(receive(reached, records, "merge")) == content(now)
        true, held, record = apply(true, json.loads(record.body)), record.held_after or "", record.then


@pytest.mark.parametrize("policy", [Policy(deltas=False), Policy(deltas=True)])
@pytest.mark.parametrize("may_hold", [None, "itself"])
def test_payload_of_ambiguous_keys_that_may_have_arrived_is_not_sent_to_be_merged(
    policy: Policy, may_hold: str | None
) -> None:
    twice = [{"social_care_episode_id": "c", "referral_source": source} for source in ("1A", "1B")]
    now: Json = {"la_child_id": "C1", "social_care_episodes": twice}
    unanswered = InDoubt(text_of(now) if may_hold else None, sent_of=sha256_hex(text_of(now)))
    records = steps(text_of(now), Baseline("{}", in_doubt=unanswered), policy)
    assert content(receive(apply(None, now), records, "merge")) == content(now)


@many
@given(seed=seeds)
def test_resync_ends_in_the_current_payload_from_any_baseline(seed: int) -> None:
    maker = Maker(seed, doubtful=True)
    before, now = maker.payload(), maker.payload()
    records = steps(text_of(now), Baseline(text_of(maker.payload())), Policy(deltas=False, resync=True))
    assert records[0].kind is RecordKind.PURGE
    assert content(receive(apply(None, before), records, "merge")) == content(now)


def test_resync_sends_a_child_of_whom_only_the_identifier_is_known_again() -> None:
    """After the purge the receiver does not know the child, though nothing but its identifier is to be held."""
    bare = '{"la_child_id":"P1"}'
    purge = plan(ROW, parse_payload(bare), Baseline(bare), Policy(deltas=False, resync=True))
    assert isinstance(purge, Record)
    assert isinstance(purge.then, Record)
    assert json.loads(purge.body) == {"la_child_id": "P1", "purge": True}
    assert (purge.then.body.decode(), purge.then.then) == (bare, None)


@pytest.mark.parametrize("policy", [Policy(deltas=False), Policy(deltas=True), Policy(False, purge_vanished=False)])
def test_run_after_a_kill_behind_a_purge_sends_a_child_known_by_id_alone(
    policy: Policy,
) -> None:
    bare = parse_payload('{"la_child_id":"P1"}')
    purge = plan(ROW, bare, Baseline(bare.text), policy._replace(resync=True))
    assert isinstance(purge, Record)

    killed = Baseline(purge.held_after, in_doubt=InDoubt(None, sent_of=bare.digest))
    record = plan(ROW, bare, killed, policy)

    assert isinstance(record, Record)
    assert (record.kind, record.body.decode(), record.held_after) == (RecordKind.FULL, bare.text, bare.text)


def test_generated_payloads_cover_every_block_and_step() -> None:
    kinds: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for seed in range(400):
        maker = Maker(seed, doubtful=seed % 2 == 0)
        before = maker.payload()
        for record in check(before, maker.next_version(before), deltas=seed % 3 > 0, reading="merge"):
            kinds[record.kind.value] += 1
            kinds["marks a purge in the last record"] += record.then is None and b'"purge":true' in record.body
        names.update(name for name in all_names(before))
    assert min(kinds[kind] for kind in ("full", "delta", "purge", "marks a purge in the last record")) > 10
    assert set(names) == all_of_schema(SCHEMA)


def all_names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in all_names(item)}
    return {name for item in value for name in all_names(item)} if isinstance(value, list) else set()


def all_of_schema(node: Json) -> set[str]:
    found = set(node.get("properties", {}))
    for member in node.get("properties", {}).values():
        found |= all_of_schema(member)
        found |= all_of_schema(member.get("items", {}))
    return found


@given(text=st.text(), times=st.sampled_from([0, 1, 100, 2047, 2048, 5000]))
def test_a_text_of_any_length_has_the_hash_of_its_bytes(text: str, times: int) -> None:
    long = text * times
    assert sha256_hex(long) == sha256(long.encode("utf-8")).hexdigest()
