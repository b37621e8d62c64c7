"""How rows find the people they belong to (the joins of `rows.PersonRows`)."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.staging.joining import OF_OTHERS, joined
from api_pipeline.staging.rows import PersonRows, Professional, id_key
from api_pipeline.staging.tables import SSD_TABLES
from tests.support.ssd import (
    address,
    assessment,
    care,
    cin_plan,
    conference,
    cp_plan,
    enquiry,
    episode,
    factors,
    involvement,
    permanence,
    person,
    placement,
    professional,
)

_NAME_OF = {table.row_type: table.name for table in SSD_TABLES}


def join(*found: tuple[Any, ...], others: tuple[Any, ...] = (), staff: tuple[Professional, ...] = ()) -> Any:
    """Join rows in the order they are given and return the people by id."""
    by_table: dict[str, list[Any]] = {OF_OTHERS: list(others)}
    for row in found:
        by_table.setdefault(_NAME_OF[type(row)], []).append(row)
    professionals = {id_key(one.professional_id): one for one in staff}
    return {one.person.person_id: one for one in joined(by_table, professionals)}


def of(one: PersonRows) -> dict[str, list[Any]]:
    """Return the lists that are not empty, each row by its key."""
    lists = {name: getattr(one, name) for name in PersonRows.__slots__ if name != "person"}
    return {name: [row[0] for row in found] for name, found in lists.items() if found}


def test_rows_go_by_the_person_by_the_referral_or_by_what_hangs_on_these() -> None:
    people = join(
        person("1"),
        person("2"),
        address("AB1 2CD", key="A1")._replace(person_id="1"),
        episode("R1", person_id="1"),
        episode("R2", person_id="2"),
        assessment("CA1", referral="R1"),
        factors("[]", "CA1", "F1"),
        enquiry("E2", referral="R2"),
        conference("2025-02-11", "E2", "C2"),
        involvement("IN1", worker="W1", referral="R1"),
        involvement("IN2", worker="W2", referral="R2"),
        staff=(professional("W1"), professional("W2"), professional("W3")),
    )
    assert of(people["1"]) == {
        "addresses": ["A1"],
        "cin_episodes": ["R1"],
        "assessments": ["CA1"],
        "factors": ["F1"],
        "involvements": ["IN1"],
        "professionals": ["W1"],
    }
    assert of(people["2"]) == {
        "cin_episodes": ["R2"],
        "s47_enquiries": ["E2"],
        "conferences": ["C2"],
        "involvements": ["IN2"],
        "professionals": ["W2"],
    }


@pytest.mark.parametrize(("row", "member"), [(cin_plan, "cin_plans"), (cp_plan, "cp_plans")])
def test_plan_goes_to_its_person_and_the_person_of_its_referral(row: Any, member: str) -> None:
    people = join(
        person("1"),
        person("2"),
        episode("R1", person_id="1"),
        row("both", referral="R1", of="1"),
        row("shared", referral="R1", of="2"),
        row("orphan", referral=None, of="2"),
    )
    assert of(people["1"])[member] == ["both", "shared"]
    assert of(people["2"])[member] == ["shared", "orphan"]


def test_placements_and_permanence_go_by_the_period_of_care() -> None:
    people = join(
        person("1"),
        person("2"),
        episode("R2", person_id="2"),
        care("CE1", person_id="1", cla_id="CLA1", referral_id=None),
        care("CE2", person_id="9", cla_id="CLA2", referral_id="R2"),
        placement("PL1", cla_id="CLA1"),
        placement("PL2", cla_id="CLA2"),
        permanence("PM1", of="1", cla_id="CLA1"),
        permanence("PM2", of=None, cla_id="CLA2"),
        permanence("PM3", of="2", cla_id=None),
    )
    assert of(people["1"]) == {"cla_episodes": ["CE1"], "placements": ["PL1"], "permanence": ["PM1"]}
    assert of(people["2"]) == {
        "cin_episodes": ["R2"],
        "cla_episodes": ["CE2"],
        "placements": ["PL2"],
        "permanence": ["PM2", "PM3"],
    }


def test_the_referral_of_somebody_else_comes_with_the_looked_after_episode() -> None:
    sibling = episode("R9", person_id="9")
    people = join(person("1"), person("2"), care("CE1", person_id="1", referral_id="R9"), others=(sibling,))
    assert of(people["1"]) == {"cla_episodes": ["CE1"], "referrals_of_others": ["R9"]}
    assert of(people["2"]) == {}


def test_ids_are_compared_without_regard_to_case_and_outer_spaces() -> None:
    people = join(person("ab1"), episode("r1 ", person_id="AB1"), assessment("CA1", referral="R1"))
    assert of(people["ab1"]) == {"cin_episodes": ["r1 "], "assessments": ["CA1"]}


def test_ids_that_differ_in_case_alone_are_never_mixed_up() -> None:
    people = join(
        person("ab"),
        person("AB"),
        episode("R1", person_id="ab"),
        episode("R2", person_id="AB"),
        episode("R3", person_id="Ab"),
    )
    assert of(people["ab"]) == {"cin_episodes": ["R1"]}
    assert of(people["AB"]) == {"cin_episodes": ["R2"]}


@pytest.mark.parametrize("missing", [None, ""])
def test_rows_without_an_id_belong_to_nobody(missing: str | None) -> None:
    people = join(
        person("1"),
        care("CE1", person_id="1", cla_id=missing, referral_id=missing),
        placement("PL1", cla_id=missing),
        assessment("CA1", referral=missing),
        episode("R1", person_id=missing),
    )
    assert of(people["1"]) == {"cla_episodes": ["CE1"]}


def test_of_two_rows_of_one_person_the_same_is_taken_whatever_their_order() -> None:
    first, second = person("1", surname="A"), person("1", surname="B")
    assert join(first, second)["1"].person == join(second, first)["1"].person


def test_tables_that_were_not_read_are_empty() -> None:
    assert of(join(person("1"))["1"]) == {}
    assert join() == {}
