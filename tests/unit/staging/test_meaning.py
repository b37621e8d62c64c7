"""When two payloads mean the same (mapping 9, 10)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from api_pipeline.payloads.shape import schema
from api_pipeline.staging.meaning import VOLATILE, meaning_hash
from api_pipeline.staging.window import window_for
from tests.support.ssd import (
    RUN_DATE,
    assessment,
    built,
    cin_plan,
    episode,
    factors,
    full_rows,
    person,
    rows,
    unborn,
)

FULL = built(full_rows()).payload


def places(value: Any, steps: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every single value."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*steps, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*steps, number))
    else:
        yield steps


def changed(steps: tuple[str | int, ...]) -> dict[str, Any]:
    """Return the full payload with another value at a place."""
    payload = copy.deepcopy(FULL)
    inner: Any = payload
    for step in steps[:-1]:
        inner = inner[step]
    value = inner[steps[-1]]
    inner[steps[-1]] = not value if isinstance(value, bool) else value + ("x" if isinstance(value, str) else 1)
    return payload


def name_of(steps: tuple[str | int, ...]) -> str:
    return next(str(step) for step in reversed(steps) if isinstance(step, str))


ALL_PLACES = list(places(FULL))


@pytest.mark.parametrize(
    "steps",
    [steps for steps in ALL_PLACES if name_of(steps) not in VOLATILE | {"purge"}],
    ids=lambda steps: ".".join(map(str, steps)),
)
def test_another_value_of_any_field_is_another_meaning(steps: tuple[str | int, ...]) -> None:
    assert meaning_hash(changed(steps)) != meaning_hash(FULL)


@pytest.mark.parametrize(
    "steps",
    [steps for steps in ALL_PLACES if name_of(steps) in VOLATILE | {"purge"}],
    ids=lambda steps: ".".join(map(str, steps)),
)
def test_another_id_or_purge_flag_is_the_same_meaning(steps: tuple[str | int, ...]) -> None:
    assert meaning_hash(changed(steps)) == meaning_hash(FULL)


def test_the_volatile_ids_are_those_of_the_record_and_its_keyed_parts() -> None:
    def keys(node: dict[str, Any]) -> set[str]:
        inner = [member.get("items", member) for member in node.get("properties", {}).values()]
        return set(node.get("required", ())).union(*map(keys, inner))

    assert keys(schema()) | {"mis_child_id"} == VOLATILE
    assert "worker_id" not in VOLATILE


def turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(item) for item in reversed(value)] if isinstance(value, list) else value


def test_the_order_of_members_and_of_arrays_is_no_meaning() -> None:
    assert json.dumps(turned(FULL)) != json.dumps(FULL)
    assert meaning_hash(turned(FULL)) == meaning_hash(FULL)


def test_renumbered_rows_that_sort_otherwise_mean_the_same() -> None:
    plans = [("P1", "P2"), ("P9", "P3")]
    hashes = {
        meaning_hash(built(rows(cin_plans=[cin_plan(one, end="2025-05-05"), cin_plan(two)])).payload)
        for one, two in plans
    }

    assert len(hashes) == 1


def test_an_item_twice_is_another_meaning_than_once() -> None:
    once, twice = rows(cin_plans=[cin_plan("P1")]), rows(cin_plans=[cin_plan("P1"), cin_plan("P2")])

    assert meaning_hash(built(once).payload) != meaning_hash(built(twice).payload)


def test_which_episode_an_item_belongs_to_is_meaning() -> None:
    both = [episode("R1", "2025-01-01"), episode("R2", "2025-02-01")]
    first = rows(cin_episodes=both, cin_plans=[cin_plan(referral="R1")])
    second = rows(cin_episodes=both, cin_plans=[cin_plan(referral="R2")])

    assert meaning_hash(built(first).payload) != meaning_hash(built(second).payload)


def test_what_is_outside_the_window_is_no_meaning() -> None:
    with_old = rows(cin_plans=[cin_plan(start="2020-01-01", end="2021-01-01")])

    assert meaning_hash(built(with_old).payload) == meaning_hash(built(rows()).payload)


def test_window_changes_the_hash_only_through_the_payload() -> None:
    next_day = window_for(RUN_DATE.replace(day=11))

    assert meaning_hash(built(full_rows(), window=next_day).payload) == meaning_hash(FULL)


def test_fields_that_the_older_hash_left_out_are_meaning() -> None:
    upn = rows(person(upn="A123456789012"))
    with_factors = rows(assessments=[assessment()], factors=[factors('["1A"]')])

    assert meaning_hash(built(upn).payload) != meaning_hash(built(rows()).payload)
    assert meaning_hash(built(with_factors).payload) != meaning_hash(built(rows(assessments=[assessment()])).payload)


def test_the_hash_is_the_sha_256_of_sorted_compact_utf_8() -> None:
    payload = {
        "la_child_id": "1",
        "purge": False,
        "child_details": {"surname": "Ö", "disabilities": ["MOB", "AUT"], "purge": False},
        "social_care_episodes": [{"social_care_episode_id": "R1", "referral_date": "2025-01-10"}],
    }
    text = (
        '{"child_details":{"disabilities":["AUT","MOB"],"surname":"Ö"},'
        '"social_care_episodes":[{"referral_date":"2025-01-10"}]}'
    )

    assert meaning_hash(payload) == sha256(text.encode("utf-8")).digest()
    assert len(meaning_hash(built(unborn()).payload)) == 32


def test_a_payload_is_not_changed_by_asking_for_its_meaning() -> None:
    before = copy.deepcopy(FULL)

    meaning_hash(FULL)

    assert before == FULL
