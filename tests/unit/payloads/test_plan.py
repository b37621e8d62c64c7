"""What is sent for a row, by example; the laws of it are in `tests/properties`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_pipeline.model import Baseline, InDoubt, Record, RecordKind, UpToDate
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload
from tests.properties.planned import ROW

FULL, DELTA, AS_STAGED = Policy(deltas=False), Policy(deltas=True), Policy(deltas=False, purge_vanished=False)
EVERY = [FULL, DELTA, AS_STAGED]
NAMES = {"first_name": "A", "surname": "B", "postcode": "AB1 2CD", "ethnicity": "WBRI"}


def planned(now: dict[str, Any], held: dict[str, Any], policy: Policy) -> Record | UpToDate:
    text = json.dumps({"la_child_id": "C1", **now})
    return plan(ROW, parse_payload(text), Baseline(json.dumps({"la_child_id": "C1", **held}), "r"), policy)


def sent(now: dict[str, Any], held: dict[str, Any], policy: Policy) -> list[Any]:
    """Return the records that lead to `now`, without the identifier."""
    record = planned(now, held, policy)
    bodies = []
    while isinstance(record, Record):
        bodies.append({name: value for name, value in json.loads(record.body).items() if name != "la_child_id"})
        record = record.then or UpToDate(ROW, "C1", None)
    return bodies


def episode(key: str = "E1", **members: Any) -> dict[str, Any]:
    return {"social_care_episode_id": key, **members}


@pytest.mark.parametrize("policy", EVERY)
def test_payload_that_is_held_in_another_order_is_not_sent(policy: Policy) -> None:
    held = {"social_care_episodes": [episode("a"), episode("b")], "child_details": NAMES}
    now = {"child_details": NAMES, "social_care_episodes": [episode("b"), episode("a")]}
    assert planned(now, held, policy) == UpToDate(ROW, "C1", "r")


def test_deltas_purge_what_vanished_even_if_full_payloads_do_not() -> None:
    held = {"social_care_episodes": [episode("a"), episode("b")], "child_details": NAMES}
    now = {"social_care_episodes": [episode("a")], "child_details": NAMES}
    gone = [{"social_care_episodes": [episode("b", purge=True)]}]
    assert sent(now, held, Policy(deltas=True, purge_vanished=False)) == gone


def test_delta_has_the_purges_of_the_payload_itself() -> None:
    """The receiver may hold the part from before there were baselines."""
    purged = [episode("old", purge=True)]
    now = {"child_details": {**NAMES, "sex": "F"}, "social_care_episodes": purged}
    assert sent(now, {"child_details": NAMES}, DELTA) == [now]


@pytest.mark.parametrize("policy", EVERY)
@pytest.mark.parametrize("held", [{}, {"child_details": NAMES}])
def test_payload_that_purges_the_child_is_sent_and_leaves_nothing_held(held: dict[str, Any], policy: Policy) -> None:
    record = planned({"purge": True}, held, policy)
    assert isinstance(record, Record)
    assert (json.loads(record.body)["purge"], record.held_after, record.then) == (True, None, None)


@pytest.mark.parametrize("now", [{"mis_child_id": "M1"}, {"mis_child_id": "M1", "social_care_episodes": [episode()]}])
def test_array_that_is_held_empty_asks_for_no_purge(now: dict[str, Any]) -> None:
    assert sent({**now, "child_details": NAMES}, {"social_care_episodes": [], "child_details": NAMES}, DELTA) == [now]


@pytest.mark.parametrize("policy", [FULL, DELTA])
def test_smallest_part_around_a_vanished_value_is_purged_first(policy: Policy) -> None:
    other = episode("b", referral_source="1A")
    held = {"social_care_episodes": [episode("a", closure_date="2026-01-01"), other], "child_details": NAMES}
    purge, rest = sent({"social_care_episodes": [episode("a"), other], "child_details": NAMES}, held, policy)
    assert purge == {"social_care_episodes": [episode("a", purge=True)]}
    assert rest["social_care_episodes"] == [episode("a"), *([] if policy.deltas else [other])]


def test_part_that_is_held_as_purged_is_not_in_the_way_of_a_purge() -> None:
    held = {"social_care_episodes": [episode("a", closure_date="2026-01-01"), episode("z", purge=True)]}
    record = planned({"social_care_episodes": [episode("a")]}, held, FULL)
    assert isinstance(record, Record)
    assert record.held_after == '{"la_child_id":"C1"}'


def test_delta_beside_episodes_that_cannot_be_told_apart_does_not_touch_them() -> None:
    held = {"social_care_episodes": [episode(), episode()], "child_details": NAMES}
    assert sent({**held, "mis_child_id": "M1"}, held, DELTA) == [{"mis_child_id": "M1"}]


@pytest.mark.parametrize("policy", [FULL, AS_STAGED])
def test_full_payload_is_sent_as_it_is_written(policy: Policy) -> None:
    text = '{ "la_child_id" : "C1",\n "mis_child_id": "\\u0041" }'
    record = plan(ROW, parse_payload(text), Baseline('{"la_child_id":"C1"}'), policy)
    assert isinstance(record, Record)
    assert (record.body.decode(), record.held_after if policy is FULL else text) == (text, text)


@pytest.mark.parametrize("nulls", [{}, {"mis_child_id": None, "health_and_wellbeing": None}])
def test_delta_that_would_be_no_shorter_gives_way_to_the_full_payload(nulls: dict[str, None]) -> None:
    text = json.dumps({"la_child_id": "C1", "child_details": NAMES, **nulls}, separators=(",", ":"))
    record = plan(ROW, parse_payload(text), Baseline('{"la_child_id":"C1"}'), DELTA)
    assert isinstance(record, Record)
    assert (record.kind, json.loads(record.body)) == (RecordKind.FULL, {"la_child_id": "C1", "child_details": NAMES})


@pytest.mark.parametrize(("mis", "named"), [("M1", {"mis_child_id": "M1"}), (None, {}), ("", {}), ("two words", {})])
def test_deletion_names_the_child_by_each_identifier(mis: str | None, named: dict[str, str]) -> None:
    payload = parse_payload(json.dumps({"la_child_id": "C1", "mis_child_id": mis, "child_details": NAMES}))
    record = plan(ROW._replace(is_deleted=True), payload, Baseline(payload.text), FULL)
    assert isinstance(record, Record)
    assert (record.kind, json.loads(record.body)) == (
        RecordKind.DELETION,
        {"la_child_id": "C1", **named, "purge": True},
    )
    assert (record.held_after, record.then) == (None, None)


def test_what_vanished_without_purges_is_held_under_no_hash_of_the_payload() -> None:
    record = planned({}, {"child_details": NAMES}, AS_STAGED)
    assert isinstance(record, Record)
    assert (record.held_after, record.known_held_hash) == (
        json.dumps({"la_child_id": "C1", "child_details": NAMES}, separators=(",", ":")),
        "",
    )


def test_record_without_purges_leaves_the_effect_of_another_in_doubt() -> None:
    other = Baseline(None, in_doubt=InDoubt('{"la_child_id":"C1","child_details":{"sex":"F"}}', sent_of="0" * 64))
    record = plan(ROW, parse_payload('{"la_child_id":"C1"}'), other, AS_STAGED)
    assert isinstance(record, Record)
    assert record.stays_in_doubt


SOUND: dict[str, Any] = {
    "child_details": NAMES,
    "health_and_wellbeing": {},
    "social_care_episodes": [episode("E1", adoption={})],
}
PLACES = ["child_details", "health_and_wellbeing", "social_care_episodes", "adoption", "child_in_need_plans", "factors"]
ODD = [5, "text", True, [], {}, [5], ["a", {"purge": "yes"}], [None], [[[{"x": None}, 1]]], {"x": {"y": None, "z": 1}}]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
def test_value_of_a_wrong_kind_is_sent_and_replaced_like_any_other(place: str, odd: object) -> None:
    """SCHEMA_CHECK may be off."""
    now = SOUND | {place: odd} if place in SOUND else SOUND | {"social_care_episodes": [episode("E1", **{place: odd})]}
    for policy in EVERY:
        for held, wanted in ((SOUND, now), (now, SOUND)):
            record = planned(wanted, held, policy)
            while isinstance(record, Record) and record.then is not None:
                record = record.then
            if isinstance(record, Record):
                assert b'":null' not in record.body
                assert policy is AS_STAGED or isinstance(
                    planned(wanted, json.loads(record.held_after or ""), policy), UpToDate
                )
            assert isinstance(planned(wanted, wanted, policy), UpToDate)


@pytest.mark.parametrize("policy", [FULL, DELTA])
def test_record_whose_answer_was_lost_is_repeated_without_a_purge(policy: Policy) -> None:
    plans = [{"child_in_need_plan_id": "p"}, {"child_in_need_plan_id": "q"}]
    held = {"la_child_id": "C1", "child_details": NAMES, "social_care_episodes": [episode(child_in_need_plans=plans)]}
    payload = parse_payload(json.dumps({**held, "mis_child_id": "M1"}))
    first = plan(ROW, payload, Baseline(json.dumps(held)), policy)
    assert isinstance(first, Record)
    lost = InDoubt(None, sent_of=first.intent_hash)
    again = plan(ROW, payload, Baseline(json.dumps(held), in_doubt=lost), policy)
    assert isinstance(again, Record)
    assert (again.kind, again.body, again.then) == (first.kind, first.body, None)
