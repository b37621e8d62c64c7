"""The rows of one invented person, built by name: what is not said is empty, keys are given in order.

The run of these tests is on 10 August 2026: START is 1 April 2024, END 11 August 2026.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypeAlias, TypeVar

from api_pipeline.settings.model import StagingSettings
from api_pipeline.settings.reading import settings_of
from api_pipeline.settings.values import Values
from api_pipeline.staging.build import Built, Withheld, build_payload
from api_pipeline.staging.rows import (
    Address,
    Assessment,
    AssessmentFactors,
    CareLeaver,
    CinEpisode,
    CinPlan,
    ClaEpisode,
    Conference,
    CpPlan,
    Disability,
    ImmigrationStatus,
    Involvement,
    LinkedIdentifier,
    Permanence,
    Person,
    PersonRows,
    Placement,
    Professional,
    S47Enquiry,
    SdqScore,
)
from api_pipeline.staging.window import Window, window_for

RUN_DATE = date(2026, 8, 10)
ASSESSMENTS = "child_and_family_assessments"
S47 = "section_47_assessments"
WINDOW: Window = window_for(RUN_DATE)
DEFAULTS = settings_of(StagingSettings, Values({}))
PERSON_ID = "1001"
REFERRAL = "R1"

When: TypeAlias = "str | datetime | None"
_Row = TypeVar("_Row", bound="tuple[Any, ...]")


def at(moment: When) -> datetime | None:
    """Return a date of the SSD from `2026-05-01` or `2026-05-01 13:30`."""
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def _row(row_type: type[_Row], /, **members: Any) -> _Row:
    fields: tuple[str, ...] = getattr(row_type, "_fields")  # noqa: B009 - typed as a plain tuple
    unknown = set(members) - set(fields)
    assert not unknown, unknown
    values = {name: at(value) if "date" in name or name in _DATES else value for name, value in members.items()}
    make: Any = row_type
    return make(*(values.get(name) for name in fields))  # type: ignore[no-any-return]


_DATES = frozenset({"dob", "expected_dob", "care_leaver_latest_contact"})


def person(person_id: str = PERSON_ID, **members: Any) -> Person:
    """Return the row of a girl born on 9 March 2014, unless other members are given."""
    return _row(Person, **{"person_id": person_id, "dob": "2014-03-09", "sex": "F", **members})


def rows(of: Person | None = None, /, **lists: Any) -> PersonRows:
    """Return a person's rows; the lists are those of `PersonRows`, and without a word there is one open referral."""
    return PersonRows(of or person(), **{"cin_episodes": [episode()], **lists})


def disability(code: str | None, key: str = "D1") -> Disability:
    return Disability(key, PERSON_ID, code)


def address(postcode: str | None, start: When = "2020-01-01", key: str = "A1") -> Address:
    return Address(key, PERSON_ID, postcode, at(start))


def linked(
    value: str | None, valid_from: When = "2020-01-01", key: str = "L1", kind: str | None = "Former Unique Pupil Number"
) -> LinkedIdentifier:
    return LinkedIdentifier(key, PERSON_ID, kind, value, at(valid_from))


def status(
    text: str | None = "UASC", start: When = "2025-01-01", end: When = None, key: str = "I1"
) -> ImmigrationStatus:
    return ImmigrationStatus(key, PERSON_ID, text, at(start), at(end))


def sdq(score: str | int | None, completed: When = "2025-05-01", key: str = "S1") -> SdqScore:
    return SdqScore(key, PERSON_ID, at(completed), score)


def episode(referral_id: str = REFERRAL, start: When = "2025-01-10", end: When = None, **members: Any) -> CinEpisode:
    named = {"referral_id": referral_id, "person_id": PERSON_ID, "referral_date": start, "close_date": end}
    return _row(CinEpisode, **{**named, **members})


def assessment(
    key: str = "CA1", start: When = "2025-02-01", authorised: When = None, referral: str | None = REFERRAL
) -> Assessment:
    return Assessment(key, PERSON_ID, referral, at(start), at(authorised))


def factors(json_text: str | None, assessment_id: str = "CA1", key: str = "F1") -> AssessmentFactors:
    return AssessmentFactors(key, assessment_id, json_text)


def cin_plan(
    key: str = "P1", start: When = "2025-02-01", end: When = None, referral: str | None = REFERRAL, of: str = PERSON_ID
) -> CinPlan:
    return CinPlan(key, referral, of, at(start), at(end))


def cp_plan(
    key: str = "CP1", start: When = "2025-02-01", end: When = None, referral: str | None = REFERRAL, of: str = PERSON_ID
) -> CpPlan:
    return CpPlan(key, referral, of, at(start), at(end))


def enquiry(
    key: str = "E1",
    start: When = "2025-02-01",
    end: When = None,
    outcome: str | None = None,
    referral: str | None = REFERRAL,
) -> S47Enquiry:
    return S47Enquiry(key, referral, PERSON_ID, at(start), at(end), outcome)


def conference(day: When, of: str = "E1", key: str = "C1") -> Conference:
    return Conference(key, of, at(day))


def care(
    key: str = "CE1",
    start: When = "2025-03-01",
    start_reason: str | None = "S",
    end: When = None,
    end_reason: str | None = None,
    **members: Any,
) -> ClaEpisode:
    """Return a looked-after episode of period of care `CLA1`, placement `PL1` and referral `R1`, unless said."""
    named = {
        "cla_episode_id": key,
        "person_id": PERSON_ID,
        "cla_placement_id": "PL1",
        "cla_id": "CLA1",
        "referral_id": REFERRAL,
        "cla_episode_start_date": start,
        "cla_episode_start_reason": start_reason,
        "cla_episode_ceased_date": end,
        "cla_episode_ceased_reason": end_reason,
    }
    return _row(ClaEpisode, **{**named, **members})


def placement(
    key: str = "PL1", start: When = "2025-03-01", end: When = None, cla_id: str | None = "CLA1", **members: Any
) -> Placement:
    """Return a placement of type U1; `members` are named as those of `Placement`, without `cla_placement_`."""
    named = {
        "cla_placement_id": key,
        "cla_id": cla_id,
        "cla_placement_start_date": start,
        "cla_placement_end_date": end,
        "cla_placement_type": "U1",
    }
    return _row(Placement, **{**named, **{f"cla_placement_{name}": value for name, value in members.items()}})


def permanence(
    key: str = "PM1",
    decided: When = None,
    matched: When = None,
    placed: When = None,
    of: str | None = PERSON_ID,
    cla_id: str | None = None,
) -> Permanence:
    return Permanence(key, of, cla_id, at(decided), at(matched), at(placed))


def leaver(
    contact: When, activity: str | None = None, accommodation: str | None = None, key: str = "CL1"
) -> CareLeaver:
    return CareLeaver(key, PERSON_ID, at(contact), activity, accommodation)


def involvement(
    key: str = "IN1",
    start: When = "2025-02-01",
    end: When = None,
    worker: str | None = "W1",
    role: str | None = "CW",
    referral: str | None = REFERRAL,
) -> Involvement:
    return Involvement(key, worker, role, referral, at(start), at(end))


def professional(key: str = "W1", number: str | None = "SW123456") -> Professional:
    return Professional(key, None, number)


def unborn() -> PersonRows:
    """Return a child who is expected the day after the run, with one open referral."""
    return rows(person(dob=None, expected_dob="2026-08-11"))


def full_rows() -> PersonRows:
    """Return a person of whom every field of the payload but the expected birth date is known."""
    return rows(
        person(
            legacy_id="L1",
            upn="A123456789012",
            upn_unknown="UN3",
            forename="Ada",
            surname="Sample",
            ethnicity="WBRI",
        ),
        disabilities=[disability("AUT", "D1"), disability("LD", "D2")],
        addresses=[address("AB1 2CD")],
        linked_identifiers=[linked("B123456789012")],
        immigration=[status(end="2025-06-01")],
        sdq=[sdq(12, "2025-05-01", "S1"), sdq(14, "2025-06-01", "S2")],
        cin_episodes=[
            episode(end="2026-01-10", close_reason="RC1", referral_source_code="1A", referral_nfa="N"),
            episode("R2", "2026-02-01"),
        ],
        assessments=[assessment(authorised="2025-03-01"), assessment("CA2", "2025-04-01")],
        factors=[factors('["2B","1A"]')],
        cin_plans=[cin_plan(end="2025-12-01"), cin_plan("P2")],
        s47_enquiries=[enquiry(end="2025-02-12", outcome='{"CP_CONFERENCE_FLAG":"Y"}'), enquiry("E2", "2025-05-01")],
        conferences=[conference("2025-02-10")],
        cp_plans=[cp_plan(end="2025-12-02"), cp_plan("CP2", "2026-01-01")],
        cla_episodes=[care(end="2025-09-01", end_reason="X1")],
        placements=[
            placement(end="2025-09-01", postcode="AB9 8CD", change_reason="CARPL"),
            placement("PL2", "2025-09-01"),
        ],
        permanence=[permanence(decided="2025-01-01", matched="2025-02-02", placed="2025-03-03")],
        care_leavers=[leaver("2025-05-05", "F2", "B")],
        involvements=[involvement(end="2026-05-01"), involvement("IN2", worker="W2")],
        professionals=[professional(), professional("W2", "SW2")],
    )


def built(of: PersonRows, settings: StagingSettings = DEFAULTS, window: Window = WINDOW) -> Built:
    """Build a payload that must not be held back."""
    result = build_payload(of, window, settings)
    assert isinstance(result, Built), result
    return result


def withheld(of: PersonRows, settings: StagingSettings = DEFAULTS) -> Withheld:
    """Build a payload that must be held back."""
    result = build_payload(of, WINDOW, settings)
    assert isinstance(result, Withheld), result
    return result


def details(of: PersonRows, settings: StagingSettings = DEFAULTS) -> dict[str, Any]:
    """Return the block `child_details` of a payload."""
    block: dict[str, Any] = built(of, settings).payload["child_details"]
    return block


def episodes(of: PersonRows, settings: StagingSettings = DEFAULTS, window: Window = WINDOW) -> list[dict[str, Any]]:
    """Return the episodes of a payload."""
    found: list[dict[str, Any]] = built(of, settings, window).payload.get("social_care_episodes", [])
    return found


def only_episode(of: PersonRows, settings: StagingSettings = DEFAULTS, window: Window = WINDOW) -> dict[str, Any]:
    """Return the one episode of a payload."""
    (block,) = episodes(of, settings, window)
    return block


def rules(of: PersonRows, settings: StagingSettings = DEFAULTS) -> list[str]:
    """Return the rules of the issues that building a payload raised, in order."""
    return [issue.rule.value for issue in build_payload(of, WINDOW, settings).issues]


def placed(*placements: Any, care_episodes: Any = None, **lists: Any) -> PersonRows:
    """Return the rows of a child with placements."""
    return rows(cla_episodes=[care()] if care_episodes is None else care_episodes, placements=[*placements], **lists)
