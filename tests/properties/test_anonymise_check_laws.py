"""The laws of the check that stops an anonymised copy: it finds every value of the original, wherever it stands."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api_pipeline.anonymise.check import survivors
from api_pipeline.anonymise.keyed import RunKey, shuffled
from api_pipeline.anonymise.record import InventedRecord, LiveRecord, anonymise
from api_pipeline.anonymise.values import all_normalised, normalised
from tests.properties.anonymised import Maker, Path, key_of, leaves, many, node_at, seeds
from tests.properties.model import SCHEMA
from tests.support.effort import examples


def is_telling(path: Path, value: Any) -> bool:
    """Whether a value of an original must never stand in an invented record at its place."""
    reference, node = node_at(path)
    if node.get("type") == "boolean" or value == "":
        return False
    if "x-codes" in reference:
        return value not in SCHEMA["$defs"][reference["x-codes"].rsplit("/", 1)[-1]]["enum"]
    return True


def with_value(invented: InventedRecord, path: Path, value: Any, member: str = "payload") -> InventedRecord:
    payload = copy.deepcopy(getattr(invented, member))
    part = payload
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    changes: dict[str, Any] = {member: payload}
    return dataclasses.replace(invented, **changes)


@many
@given(seed=seeds)
def test_the_check_finds_every_single_value_that_is_put_back(seed: int) -> None:
    live = Maker(seed).record()
    invented = anonymise(live, key_of(seed))

    for path, value in leaves(json.loads(live.json_payload)):
        if is_telling(path, value):
            assert survivors(live, with_value(invented, path, value)), path


@many
@given(seed=seeds)
def test_check_finds_every_value_put_back_in_the_previous_payload(seed: int) -> None:
    live = Maker(seed).record()
    live = dataclasses.replace(live, previous_json_payload=live.previous_json_payload or live.json_payload)
    invented = anonymise(live, key_of(seed))

    for path, value in leaves(json.loads(live.previous_json_payload or "")):
        if is_telling(path, value):
            found = survivors(live, with_value(invented, path, value, "previous"))
            assert found, path
            assert all(not place.startswith("json_payload") for place in found)


@settings(max_examples=examples(20, 300))
@given(st.lists(st.one_of(st.text(max_size=12), st.integers(), st.dates().map(str), st.floats()), max_size=8))
@example(["St. John\nO'Brien", "\u0130stanbul", "\u00df-\u2019", "_", ""])
def test_values_are_compared_alike_one_by_one_and_together(values: list[object]) -> None:
    assert all_normalised(values) == {normalised(value) for value in values} - {""}


TEXTS: list[Path] = [
    ("la_child_id",),
    ("child_details", "surname"),
    ("child_details", "unique_pupil_number"),
    ("social_care_episodes", 0, "social_care_episode_id"),
    ("social_care_episodes", 0, "child_looked_after_placements", 0, "postcode"),
]


FULL = {
    "la_child_id": "C104211",
    "child_details": {"first_name": "Bartholomew", "surname": "Quillfeather", "unique_pupil_number": "Z874563219045"},
    "social_care_episodes": [
        {
            "social_care_episode_id": "E-77-1042",
            "referral_date": "2026-01-05",
            "closure_date": "2026-03-05",
            "child_looked_after_placements": [{"child_looked_after_placement_id": "L1", "postcode": "ZE9 7QX"}],
        }
    ],
    "note": "lives with Aunt Josephine",
}


LIVE = LiveRecord(1, "C104211", "77001042", json.dumps(FULL), None, "new")


@pytest.mark.parametrize("path", TEXTS)
@pytest.mark.parametrize(
    "value",
    [
        *("C104211", "77001042", "Bartholomew", "QUILLFEATHER", "quill-feather", "Z874563219045", "e771042", "ze97qx"),
        *("lives with Aunt Josephine", "von Quillfeather", "Bartholomew2"),
    ],
)
def test_check_finds_a_value_in_any_place_and_form(path: Path, value: str) -> None:
    invented = anonymise(LIVE, RunKey())

    assert survivors(LIVE, invented) == []
    assert survivors(LIVE, with_value(invented, path, value))


def test_the_check_finds_ids_in_the_rows_own_columns() -> None:
    invented = anonymise(LIVE, RunKey())

    assert survivors(LIVE, dataclasses.replace(invented, person_id="C104211")) == ["person_id"]
    assert survivors(LIVE, dataclasses.replace(invented, legacy_id="c104211")) == ["legacy_id"]
    assert survivors(LIVE, dataclasses.replace(invented, row_state="Quillfeather")) == ["row_state"]


def test_the_check_finds_a_date_that_moved_by_itself() -> None:
    invented = anonymise(LIVE, RunKey())
    path = ("social_care_episodes", 0, "closure_date")

    assert survivors(LIVE, with_value(invented, path, "2020-03-05")) == ["dates moved differently"]
    assert survivors(LIVE, with_value(invented, path, "5 March 2026")) == [
        "json_payload.social_care_episodes[].closure_date"
    ]


@pytest.mark.parametrize("member", ["note", "Quillfeather"])
def test_check_finds_unknown_members_without_naming_them(member: str) -> None:
    invented = anonymise(LIVE, RunKey())

    assert survivors(LIVE, with_value(invented, (member,), "new text")) == ["json_payload.(unknown member)"]
    assert survivors(LIVE, with_value(invented, ("child_details", "sex"), "Q")) == ["json_payload.child_details.sex"]
    assert survivors(LIVE, with_value(invented, ("purge",), "yes")) == ["json_payload.purge"]


@given(st.lists(st.integers(), unique=True, max_size=50), st.integers(0, 2**256 - 1))
def test_shuffling_keeps_every_value(values: list[int], number: int) -> None:
    assert sorted(shuffled(values, number)) == sorted(values)


def test_shuffling_reaches_every_order_alike() -> None:
    orders = [tuple(shuffled("abcd", number)) for number in range(24)]
    assert len(set(orders)) == 24


def test_the_key_of_a_run_cannot_be_shown_or_stored() -> None:
    key = RunKey(b"Quillfeather" * 3)

    assert "Quill" not in repr(key) + str(key) + f"{[key]}"
    with pytest.raises(TypeError, match="never stored"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="never stored"):
        copy.copy(key)


def test_two_runs_have_two_keys() -> None:
    assert RunKey().digest("a") != RunKey().digest("a")
    assert RunKey(b"k" * 32).digest("ab", "c") != RunKey(b"k" * 32).digest("a", "bc")
