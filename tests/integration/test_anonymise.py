"""The anonymised copy, filled by the command on every kind of database; and what keeps it from being filled."""

from __future__ import annotations

import dataclasses
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.anonymise.filling import CopyOptions, SomethingSurvived, fill_copy
from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.anonymise.record import InventedRecord, LiveRecord, anonymise
from api_pipeline.anonymise.tables import PAGE_SIZE, pair_of
from api_pipeline.db import connect
from tests.support.anonymising import copied_rows, run
from tests.support.databases import TestDatabase, no_server
from tests.support.staging import child, fill, staged, table_rows

pytestmark = pytest.mark.strict

RECEIPT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def episode(number: str, **members: Any) -> dict[str, Any]:
    return {"social_care_episode_id": number, "referral_date": "2026-01-05", "referral_source": "1A", **members}


def test_every_row_gets_an_anonymised_copy_that_is_pending(deployed: TestDatabase, tmp_path: Path) -> None:
    before = child("1002", social_care_episodes=[episode("E1")])
    after = child("1002", social_care_episodes=[episode("E1"), episode("E2")])
    fill(
        deployed,
        deployed.table,
        [
            staged("1001", legacy_id="L-1"),
            staged("1002", after, "Error", "Updated", previous=before, response="HTTP 400: Given 1002", partial=after),
            staged("1003", child("1003"), "Sent", "Unchanged", previous=child("1003"), response=RECEIPT),
            staged("1004", child("1004"), "Sent", "DELETED", previous=child("1004"), response=RECEIPT),
        ],
    )
    live = table_rows(deployed, deployed.table)

    done = run(deployed, tmp_path, "--replace")

    assert done.code == 0, done.text
    assert "4 invented records" in done.out
    assert "4 earlier rows" in done.out, "the sample rows of deploy-schema"
    rows = copied_rows(deployed)
    assert [row["row_state"] for row in rows] == ["new", "updated", "unchanged", "deleted"]
    assert {row["submission_status"] for row in rows} == {"pending"}
    for name in ("api_response", "partial_json_payload", "submission_timestamp"):
        assert {row[name] for row in rows} == {None}
    for row in rows:
        assert row["current_hash"] == sha256(row["json_payload"].encode()).digest()
        assert row["person_id"] == json.loads(row["json_payload"])["la_child_id"]
        previous = row["previous_json_payload"]
        assert row["previous_hash"] == (None if previous is None else sha256(previous.encode()).digest())
    text = json.dumps(rows, default=str)
    assert not [value for value in ("1001", "1002", "L-1", "Given", "2014-03-09", RECEIPT) if f'"{value}' in text]
    assert table_rows(deployed, deployed.table) == live


@no_server
def test_a_delta_remains_a_delta(deployed: TestDatabase, tmp_path: Path) -> None:
    before = child("1", social_care_episodes=[episode("E1")])
    fill(deployed, deployed.table, [staged("1", {**before, "mis_child_id": "M9"}, previous=before)])

    assert run(deployed, tmp_path, "--replace").code == 0

    (row,) = copied_rows(deployed)
    now, previous = json.loads(row["json_payload"]), json.loads(row["previous_json_payload"])
    assert now.pop("mis_child_id")
    assert now == previous


@no_server
def test_a_child_keeps_one_identity_in_a_run_and_gets_another_in_the_next(
    deployed: TestDatabase, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("1", child("1", mis_child_id="M")), staged("2")])

    assert run(deployed, tmp_path, "--replace").code == 0
    first = [row["person_id"] for row in copied_rows(deployed)]
    assert run(deployed, tmp_path, "--replace").code == 0
    second = [row["person_id"] for row in copied_rows(deployed)]

    assert first[0] == first[1] != first[2]
    assert not set(first) & set(second)


@no_server
def test_copy_table_with_rows_is_refused_and_unchanged(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1")])
    before = copied_rows(deployed)

    for arguments in ([], ["--dry-run"]):
        done = run(deployed, tmp_path, *arguments)
        assert done.code == 2
        assert "holds 4 rows" in done.err
        assert "--replace" in done.err
    assert copied_rows(deployed) == before


@no_server
def test_empty_copy_table_needs_no_replace_option(deployed: TestDatabase, tmp_path: Path) -> None:
    deployed.execute(f"DELETE FROM {deployed.anon_table}")
    count = 2 * PAGE_SIZE + 3
    fill(deployed, deployed.table, [staged(f"P{number}") for number in range(count)])

    done = run(deployed, tmp_path)

    assert done.code == 0, done.text
    assert f"{count} invented records" in done.out
    assert len({row["person_id"] for row in copied_rows(deployed)}) == count


@pytest.mark.parametrize("limit", [1, PAGE_SIZE, PAGE_SIZE + 1])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_limit_is_kept_to_the_record(deployed: TestDatabase, tmp_path: Path, limit: int) -> None:
    fill(deployed, deployed.table, [staged(f"P{number}") for number in range(PAGE_SIZE + 5)])

    assert run(deployed, tmp_path, "--replace", "--limit", str(limit)).code == 0

    assert deployed.count(deployed.anon_table) == limit


@no_server
def test_a_dry_run_counts_and_writes_nothing(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    before = copied_rows(deployed)

    done = run(deployed, tmp_path, "--replace", "--dry-run")

    assert done.code == 0, done.text
    assert "2 invented records" in done.out
    assert "nothing was written" in done.out
    assert copied_rows(deployed) == before


@no_server
def test_rows_that_cannot_be_read_are_skipped_and_named(deployed: TestDatabase, tmp_path: Path) -> None:
    broken = [staged("1", '{"la_child_id": "Quillfeather"'), staged("2", " "), staged("3", '{"surname": "Q"}')]
    fill(deployed, deployed.table, [*broken, staged("4", previous='{"surname": "Quillfeather')])

    done = run(deployed, tmp_path, "--replace")

    assert done.code == 0, done.text
    assert "1 invented record " in done.out
    assert "3 rows were skipped" in done.out
    assert "id 1, 2, 3 of" in done.out
    assert "1 member or value that the schema does not have was left out." in done.out
    (row,) = copied_rows(deployed)
    assert row["previous_json_payload"] is None
    assert "Quillfeather" not in done.text


@no_server
def test_table_without_readable_rows_leaves_the_copy_unchanged(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1", "{")])
    before = copied_rows(deployed)

    done = run(deployed, tmp_path, "--replace")

    assert done.code == 3
    assert "no row with a payload that can be read" in done.err
    assert copied_rows(deployed) == before


def careless(live: LiveRecord, key: RunKey) -> InventedRecord:
    """Let the postcode of one child through."""
    invented = anonymise(live, key)
    if live.person_id != "P7":
        return invented
    payload = json.loads(invented.json_payload)
    payload["child_details"]["postcode"] = "ZE9 7QX"
    return dataclasses.replace(invented, payload=payload)


@pytest.mark.parametrize("dry_run", [False, True])
def test_one_surviving_value_stops_the_whole_copy(deployed: TestDatabase, dry_run: bool) -> None:
    details = {"first_name": "Zephyrine", "postcode": "ze97qx"}
    rows = [staged(f"P{number}", child(f"P{number}", child_details=details)) for number in range(PAGE_SIZE + 20)]
    fill(deployed, deployed.table, rows)
    before = copied_rows(deployed)
    connection = connect(deployed.connection_string)

    with pytest.raises(SomethingSurvived) as caught:
        fill_copy(connection, pair_of(deployed.table), CopyOptions(replace=True, dry_run=dry_run), RunKey(), careless)
    connection.close()

    assert caught.value.exit_code == 1
    sentence = str(caught.value)
    assert f"in 1 of {PAGE_SIZE + 20} records" in sentence
    assert "id 8 of" in sentence
    assert "json_payload.child_details.postcode" in sentence
    assert "ZE9" not in sentence
    assert copied_rows(deployed) == before


def stopped(live: LiveRecord, key: RunKey) -> InventedRecord:
    """Is stopped by the operator on the second page, after the first was put in."""
    if live.person_id == f"P{PAGE_SIZE + 3}":
        raise KeyboardInterrupt
    return anonymise(live, key)


def test_stopped_command_leaves_the_copy_unchanged(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged(f"P{number}") for number in range(PAGE_SIZE + 20)])
    before = copied_rows(deployed)
    connection = connect(deployed.connection_string)

    with pytest.raises(KeyboardInterrupt):
        fill_copy(connection, pair_of(deployed.table), CopyOptions(replace=True), RunKey(), stopped)

    assert copied_rows(deployed) == before
    assert fill_copy(connection, pair_of(deployed.table), CopyOptions(replace=True), RunKey()).records == PAGE_SIZE + 20
    connection.close()
