"""What holds for a payload as a whole: reading rules (mapping 3), what left the window, and the schema."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from api_pipeline.payloads.reading import parse_payload
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.payloads.shape import schema
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging.build import Built, build_payload
from api_pipeline.staging.meaning import payload_text
from api_pipeline.staging.rows import PersonRows
from tests.support.ssd import (
    DEFAULTS,
    RUN_DATE,
    WINDOW,
    address,
    assessment,
    built,
    care,
    cin_plan,
    cp_plan,
    disability,
    enquiry,
    episode,
    factors,
    full_rows,
    leaver,
    linked,
    permanence,
    person,
    placement,
    rows,
    sdq,
    unborn,
)


def outline(node: dict[str, Any], path: str = "") -> list[str]:
    """Return the paths of all members that the schema knows, in its order."""
    paths = []
    for name, member in node["properties"].items():
        inner = member.get("items", member)
        paths.append(f"{path}{name}")
        if "properties" in inner:
            paths += outline(inner, f"{path}{name}.")
    return paths


def members(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return set(itertools.chain.from_iterable(members(item, path) for item in value))
    if not isinstance(value, dict):
        return set()
    inner = (members(item, f"{path}{name}.") for name, item in value.items())
    return {f"{path}{name}" for name in value}.union(*inner)


def in_schema_order(value: Any, node: dict[str, Any]) -> bool:
    if isinstance(value, list):
        return all(in_schema_order(item, node["items"]) for item in value)
    if not isinstance(value, dict):
        return True
    order = list(node["properties"])
    positions = [order.index(name) for name in value]
    inner = (in_schema_order(item, node["properties"][name]) for name, item in value.items())
    return positions == sorted(positions) and all(inner)


def test_every_member_of_the_specification_is_filled() -> None:
    filled = members(built(full_rows()).payload) | members(built(unborn()).payload)

    assert sorted(filled) == sorted(outline(schema()))


def test_members_stand_in_the_specifications_order() -> None:
    assert in_schema_order(built(full_rows()).payload, schema())


def test_a_payload_passes_the_packaged_schema_and_code_lists() -> None:
    payload = built(full_rows()).payload

    findings = Checker(RUN_DATE).check(payload, payload_text(payload).encode())
    assert [finding for finding in findings if finding.severity in ("schema", "code")] == []


def test_a_missing_value_is_left_out_and_never_null() -> None:
    nothing = rows(person(dob=None, expected_dob="2026-08-11", sex=None), cin_episodes=[episode()])

    assert built(nothing).payload == {
        "la_child_id": "1001",
        "purge": False,
        "child_details": {
            "expected_date_of_birth": "2026-08-11",
            "sex": "U",
            "disabilities": ["NONE"],
            "uasc_flag": False,
            "purge": False,
        },
        "social_care_episodes": [
            {"social_care_episode_id": "R1", "referral_date": "2025-01-10", "purge": False},
        ],
    }


def test_purge_is_false_wherever_there_is_a_purge_flag() -> None:
    def flags(value: Any) -> list[bool]:
        if isinstance(value, dict):
            own = [value["purge"]] if "purge" in value else []
            return own + [flag for item in value.values() for flag in flags(item)]
        return [flag for item in value for flag in flags(item)] if isinstance(value, list) else []

    payload = built(full_rows()).payload

    assert set(flags(payload)) == {False}
    worker = payload["social_care_episodes"][0]["care_worker_details"][0]
    assert "purge" not in worker
    assert "purge" not in payload["health_and_wellbeing"]["sdq_assessments"][0]
    assert not [path for path in outline(schema()) if path.endswith("purge") and path not in members(payload)]


def test_the_order_of_the_rows_changes_nothing() -> None:
    in_order, turned = full_rows(), full_rows()
    for name in PersonRows.__slots__:
        if name != "person":
            setattr(turned, name, [*getattr(turned, name)][::-1])

    assert payload_text(built(turned).payload) == payload_text(built(in_order).payload)


def test_payload_is_compact_utf_8_without_escapes() -> None:
    text = payload_text(built(rows(person(forename='Zoë "Z"'))).payload)

    assert text.startswith('{"la_child_id":"1001","purge":false,"child_details":{"first_name":"Zoë \\"Z\\"",')
    assert json.loads(text) == built(rows(person(forename='Zoë "Z"'))).payload
    assert parse_payload(text).nulls_removed == 0


def test_what_exists_and_is_outside_the_window_is_named_by_its_path() -> None:
    old, gone = "2019-01-01", "2020-01-01"
    of = rows(
        cin_episodes=[episode(), episode("R0 ", old, gone)],
        assessments=[assessment("CA0", old)],
        cin_plans=[cin_plan("P0 ", old, gone), cin_plan("P1")],
        s47_enquiries=[enquiry("E0", old, gone)],
        cp_plans=[cp_plan("CP0", old, gone)],
        cla_episodes=[care()],
        placements=[placement("PL0", old, gone)],
        permanence=[permanence(decided=old)],
        sdq=[sdq(12, old)],
    )

    inside = ("social_care_episodes", "R1")
    assert built(of).outside == {
        ("health_and_wellbeing",),
        ("social_care_episodes", "R0"),
        (*inside, "child_and_family_assessments", "CA0"),
        (*inside, "child_in_need_plans", "P0"),
        (*inside, "section_47_assessments", "E0"),
        (*inside, "child_protection_plans", "CP0"),
        (*inside, "child_looked_after_placements", "PL0"),
        (*inside, "adoption"),
    }
    assert built(full_rows()).outside == frozenset()


def test_an_adoption_outside_the_window_has_left_every_episode() -> None:
    of = rows(cin_episodes=[episode("R1 "), episode("R2")], permanence=[permanence(decided="2019-01-01")])

    assert built(of).outside == {
        ("social_care_episodes", "R1", "adoption"),
        ("social_care_episodes", "R2", "adoption"),
    }


def test_an_sdq_that_lost_its_score_has_not_left_the_window() -> None:
    assert built(rows(sdq=[sdq(None)])).outside == frozenset()
    assert built(rows(sdq=[sdq("x")])).outside == frozenset()
    assert built(rows(sdq=[sdq(3, None)])).outside == {("health_and_wellbeing",)}


@pytest.mark.parametrize("settings", [DEFAULTS, DEFAULTS._replace(one_block_per_child=True)])
def test_no_issue_quotes_a_value(settings: StagingSettings) -> None:
    secret = "Secret-Value"
    of = rows(
        person(upn=secret, upn_unknown=secret, sex=secret, ethnicity=secret),
        disabilities=[disability(secret)],
        addresses=[address(secret)],
        linked_identifiers=[linked(secret)],
        sdq=[sdq(secret)],
        cin_episodes=[episode(close_reason=secret, referral_source_code=secret, referral_nfa=secret)],
        assessments=[assessment()],
        factors=[factors(secret), factors(f'["{secret}"]', key="F2")],
        s47_enquiries=[enquiry(outcome=secret)],
        cla_episodes=[care(start_reason=secret, end_reason=secret)],
        placements=[placement(end="2025-05-05", type=secret, postcode=secret, change_reason=secret)],
        care_leavers=[leaver("2025-05-05", secret, secret)],
    )

    result = build_payload(of, WINDOW, settings)

    assert isinstance(result, Built)
    assert len(result.issues) == 19
    assert "ecret" not in repr(result.issues)
    assert "ecret" not in payload_text(result.payload)
    assert {issue.person_id for issue in result.issues} == {"1001"}
