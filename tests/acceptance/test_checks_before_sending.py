"""What is checked before anything is sent: `validate`, SCHEMA_CHECK, SCHEMA_CODES, null members."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Options, Simulator, SimulatorServer
from tests.acceptance.test_ten_nights import settings_of
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase, one_kind
from tests.support.staging import Staged, change, child, fill, row_of, staged, table_rows

pytestmark = one_kind


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Simulator(Options(check_schema=False))) as running:
        yield running


def rows_with_faults() -> list[Staged]:
    details = {"first_name": "Secretname", "date_of_birth": "2014-03-09"}
    return [
        staged("fine"),
        staged("long", child("long", mis_child_id="x" * 40)),
        staged("member", child("member", nickname="Secretname")),
        staged("code", child("code", child_details={**details, "ethnicity": "XXXX"})),
        staged("null", child("null", child_details={**details, "surname": None, "postcode": None})),
        staged("broken", "{not json"),
        staged("sent", child("sent", mis_child_id="x" * 40), "Sent", "Unchanged"),
    ]


def test_validate_lists_each_error_by_rule_and_sends_nothing(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, rows_with_faults())
    before = table_rows(deployed, deployed.table)
    done = invoke_cli(["validate", "--csv", "faults.csv"], deployed.settings, tmp_path)
    assert done.code == 1
    assert "Checked 6 payloads" in done.out
    assert "3 are invalid and would not be sent" in done.out
    assert "2 null members would be taken out" in done.out
    assert "maxLength at $.mis_child_id" in done.out
    assert "Secretname" not in done.text
    with (tmp_path / "faults.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    found = {(line["person_id"], line["rule"], line["path"]) for line in lines if line["class"] in ("schema", "code")}
    assert found == {
        ("long", "maxLength", "$.mis_child_id"),
        ("member", "additionalProperties", "$"),
        ("code", "code_list", "$.child_details.ethnicity"),
        ("broken", "readable", "$"),
    }
    assert table_rows(deployed, deployed.table) == before


def test_validate_of_the_whole_table_checks_what_was_sent_as_well(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, rows_with_faults())
    assert "Checked 7 payloads" in invoke_cli(["validate", "--all"], deployed.settings, tmp_path).out


def test_validate_finds_the_deletions_that_a_run_would_refuse(deployed: TestDatabase, tmp_path: Path) -> None:
    rows = [
        staged("left", child("left", nickname="Secretname"), "Pending", "Deleted", previous=child("left")),
        staged("spoilt", "{not json", "Sent", "Deleted", previous=child("spoilt")),
        staged("broken", "{not json", "Sent", "Deleted", previous="{not json"),
        staged("no id", "{}", "Sent", "Deleted", previous="{}"),
        staged("never sent", "{not json", "Pending", "Deleted"),
        staged("long", child("L" * 21), "Error", "Deleted", previous=child("long")),
        staged("mis", child("mis", mis_child_id="two words"), "Sent", "Deleted", previous=child("mis")),
        staged("adopted", child("A" * 21), "Sent", "Deleted", previous=child("A" * 21)),
        staged("unknown", child("U" * 21), "Error", "Deleted", previous=child("U" * 21)),
    ]
    fill(deployed, deployed.table, rows)
    done = invoke_cli(["validate"], deployed.settings, tmp_path)
    assert "Checked 8 payloads" in done.out
    assert "3 are invalid and would not be sent" in done.out
    assert done.code == 1
    # The simulated receiver refuses the id under which "adopted" was sent.
    ended = invoke_cli(["run", "--json"], deployed.settings, tmp_path)
    assert {name: json.loads(ended.out)[name] for name in ("due", "deleted", "invalid")} == {
        "due": 8,
        "deleted": 4,
        "invalid": 3,
    }


@pytest.mark.parametrize("spelt", ["Old/1", "O" * 21])
def test_child_is_removed_from_a_receiver_that_took_an_id_which_the_schema_does_not(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, spelt: str
) -> None:
    text = json.dumps(child(spelt, mis_child_id="two words")).replace("/", "\\/")
    fill(deployed, deployed.table, [staged("A", text)])
    settings = settings_of(deployed, server)
    assert invoke_cli(["run"], {**settings, "SCHEMA_CHECK": "off"}, tmp_path).code == 0
    # The previous payload names another child, to whom the deletion does not belong.
    change(deployed, deployed.table, "A", row_state="Deleted", previous_json_payload=json.dumps(child("B1")))

    assert "0 are invalid" in invoke_cli(["validate"], settings, tmp_path).out
    done = invoke_cli(["run"], settings, tmp_path)

    assert done.code == 0, done.text
    assert json.loads(server.simulator.accepted_records[-1]) == {"la_child_id": spelt, "purge": True}


def test_validate_lists_the_gravest_rules_first_and_each_unreadable_cause(
    deployed: TestDatabase, tmp_path: Path
) -> None:
    unreadable = [staged("cut1", '{"la_child_id": "c'), staged("cut2", '{"la_child_id":'), staged("list", "[]")]
    fill(deployed, deployed.table, [*rows_with_faults()[1:4], *unreadable])
    done = invoke_cli(["validate", "--json"], deployed.settings, tmp_path)
    rules = json.loads(done.out)["rules"]
    severities = [rule["severity"] for rule in rules]
    assert severities == sorted(severities, key=["schema", "firewall", "code", "cross_field"].index)
    by_people = {tuple(rule["examples"]): rule["message"] for rule in rules if rule["rule"] == "readable"}
    assert set(by_people) == {("cut1", "cut2"), ("list",)}
    assert "cut off" in by_people["cut1", "cut2"]
    assert "an array" in by_people["list",]


def test_validate_of_a_clean_table_ends_with_0(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1")])
    assert invoke_cli(["validate"], deployed.settings, tmp_path).code == 0


def test_a_record_that_breaks_the_schema_is_not_sent_and_says_why(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, rows_with_faults())
    done = invoke_cli(["run"], settings_of(deployed, server), tmp_path)
    assert done.code == 1
    sent = {json.loads(record)["la_child_id"]: json.loads(record) for record in server.simulator.accepted_records}
    assert set(sent) == {"fine", "code", "null"}
    assert sent["null"]["child_details"] == {"first_name": "Secretname", "date_of_birth": "2014-03-09"}
    assert "2 null members were taken out" in done.out
    for person, rule in (("long", "maxLength"), ("member", "additionalProperties"), ("broken", "not valid JSON")):
        row = row_of(deployed, deployed.table, person)
        assert row["submission_status"] == "error"
        assert rule in row["api_response"]
        assert "Secretname" not in row["api_response"]


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"SCHEMA_CHECK": "warn"}, {"broken"}),
        ({"SCHEMA_CHECK": "off", "SCHEMA_CODES": "off"}, {"broken"}),
        ({"SCHEMA_CODES": "reject"}, {"broken", "long", "member", "code"}),
        ({"SCHEMA_CODES": "off"}, {"broken", "long", "member"}),
    ],
)
def test_the_settings_say_what_a_finding_does(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, settings: dict[str, str], refused: set[str]
) -> None:
    fill(deployed, deployed.table, rows_with_faults())
    assert invoke_cli(["run"], settings_of(deployed, server, **settings), tmp_path).code == 1
    rows = table_rows(deployed, deployed.table)
    assert {row["person_id"] for row in rows if row["submission_status"] == "error"} == refused
