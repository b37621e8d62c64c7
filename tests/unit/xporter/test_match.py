"""Proposals of UPNs: exact matches alone, and nothing where two candidates remain."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.sandbox.invented_children import invented_upn
from api_pipeline.xporter.match import CHANGED, MISSING, ON_NO_ROLL, Person, Pupil, is_valid_upn, name_key, proposals

_names = st.sampled_from(["Ann/Lee", "Bob/Ray", "Cat/Fox"])
_upns = st.sampled_from(["A820000000001", "B820000000002", "C820000000003", ""])
_people = st.builds(
    lambda number, upn, name, sex: Person(str(number), upn, "", name + "/2012-01-01", sex, False),
    st.integers(0, 5),
    _upns,
    _names,
    st.sampled_from(["M", "F", ""]),
)
_pupils = st.builds(
    lambda key, upn, former, name, sex: Pupil(
        "9990001", str(key), upn, former, frozenset({name + "/2012-01-01"}), sex, None
    ),
    st.integers(0, 9),
    _upns,
    _upns,
    _names,
    st.sampled_from(["M", "F", ""]),
)


@given(
    st.lists(_people, max_size=5, unique_by=lambda one: one.person_id),
    st.lists(_pupils, max_size=6, unique_by=lambda one: one.student_id),
)
def test_proposals_name_only_exact_matches_and_two_candidates_give_none(
    people: list[Person], roll: list[Pupil]
) -> None:
    """L9."""
    by_id = {person.person_id: person for person in people}
    for proposal in proposals(people, roll):
        person = by_id[proposal.person_id]
        if proposal.kind == MISSING:
            same = [pupil for pupil in roll if person.name in pupil.names and pupil.upn]
            distinct = {pupil.upn for pupil in same}
            if len(distinct) > 1:
                distinct = {pupil.upn for pupil in same if pupil.sex == person.sex and person.sex}
            assert distinct == {proposal.upn}
            assert sum(other.name == person.name for other in people) == 1
        if proposal.kind == CHANGED:
            assert {pupil.upn for pupil in roll if pupil.former_upn == person.upn and pupil.upn} >= {proposal.upn}
            assert proposal.former_upn == person.upn
        if proposal.kind == ON_NO_ROLL:
            assert person.upn
            assert not [pupil for pupil in roll if person.upn in (pupil.upn, pupil.former_upn)]


def test_upns_on_no_roll_and_changed_upns_of_namesake_records_are_proposed() -> None:
    people = [Person(key, upn, "", "", "", is_in_care=False) for key, upn in (("1", "A"), ("2", "B"), ("3", "B"))]
    roll = [Pupil("9990001", "7", "C", "B", frozenset(), "", None)]
    found = {(one.person_id, one.kind, one.upn) for one in proposals(people, roll)}
    assert found == {("1", ON_NO_ROLL, None), ("2", CHANGED, "C"), ("3", CHANGED, "C")}


def test_sex_decides_between_two_pupils_and_excludes_no_single_one() -> None:
    names = frozenset({"Ann/Lee"})
    boy, girl = (Pupil("9990001", sex, f"UPN-{sex}", "", names, sex, None) for sex in "MF")
    person = Person("1", "", "", "Ann/Lee", "F", is_in_care=False)
    assert [one.upn for one in proposals([person], [boy, girl])] == ["UPN-F"]
    assert [one.upn for one in proposals([person], [boy])] == ["UPN-M"]
    assert proposals([replace(person, sex="")], [boy, girl]) == []


def test_pupil_without_a_upn_is_a_candidate_beside_whom_nobody_is_proposed() -> None:
    names = frozenset({"Ann/Lee"})
    boy = Pupil("9990001", "1", "UPN-M", "", names, "M", None)
    girl = Pupil("9990002", "2", "", "", names, "F", None)
    person = Person("1", "", "", "Ann/Lee", "F", is_in_care=False)
    assert proposals([person], [boy, girl]) == []
    assert proposals([replace(person, sex="")], [boy, girl]) == []
    assert [one.upn for one in proposals([replace(person, sex="M")], [boy, girl])] == ["UPN-M"]


def test_changed_upn_is_proposed_although_another_school_has_none_of_the_pupil() -> None:
    here = Pupil("9990001", "1", "", "OLD", frozenset(), "F", None)
    there = replace(here, estab="9990002", upn="NEW")
    person = Person("1", "OLD", "", "", "F", is_in_care=False)
    assert [(one.kind, one.upn) for one in proposals([person], [here, there])] == [(CHANGED, "NEW")]


def test_names_match_if_only_case_accents_and_signs_differ() -> None:
    assert name_key("O'Neill", "ZOË", "2012-01-02T00:00:00") == name_key("ONEILL", "zoe", "2012-01-02")
    assert name_key("Neill", "Zoe", "2012-01-02") != name_key("Neil", "Zoe", "2012-01-02")
    assert name_key("Neill", "", "2012-01-02") == ""


@given(st.randoms(use_true_random=False))
def test_a_upn_is_valid_with_its_own_check_letter_alone(rng: object) -> None:
    upn = invented_upn(rng)  # type: ignore[arg-type] # hypothesis's own kind of Random
    assert is_valid_upn(upn)
    other = "ABCDEFGHJKLMNPQRTUVWXYZ".replace(upn[0], "")[0]
    assert not is_valid_upn(other + upn[1:])
