"""Cases that differ in one stored value: every form in which case-management systems write it, right or wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.sandbox.synthetic_ssd.cases import Case, WithEpisode, episode_case
from api_pipeline.sandbox.synthetic_ssd.life import Life, Row, Value

_CHILD: dict[str, tuple[str, tuple[Value, ...]]] = {
    "pers_legacy_id": ("4", (None, "", "  ", "  MIS-7  ", "MIS 12", "MIS/77", "X" * 36, "X" * 40)),
    "pers_upn": ("4", (None, "", "   ", "UN2", "un4 ", "UN10", "A12345678901", "a123456789012", "X12345678901")),
    "pers_upn_unknown": ("4", (None, "", "UN3", " UN4 ", "un5", "UN10", "UN11", "H80120")),
    "pers_sex": ("4", (None, "", "M", " f ", "Male", "U", "9")),
    "pers_ethnicity": ("4", (None, "", " WBRI ", "wbri", "WBRI White British", "XXXX", "MWB")),
    "pers_forename": ("4", (None, "", "  ", "Zoë", "D'Arcy \N{GLOWING STAR}")),
    "pers_surname": ("4", (None, "", 'Jones "Jack" Smith', "Back\\slash", "Tab\tand\nline")),
}
_EPISODE: dict[str, tuple[str, tuple[Value, ...]]] = {
    "cine_referral_source_code": (
        "6.1",
        (
            *(
                None,
                "",
                *code_list("code_referral_source"),
                "10 Other",
                " 3F Other ",
                "1a",
                "5b ",
                "4A",
                "1",
                "1E",
                "2C",
            ),
            *("3G", "5E", "5", "11", "0", "X"),
        ),
    ),
    "cine_referral_nfa": ("6", (None, "", " ", "Y", "y", "T", "t", "1", "N", "n", "F", "f", "0", "X")),
}
_CLOSE_REASONS = (None, "", "RC1", "RC4 - Transferred", " rc8 ", "RC99", "XX", "R")
FACTOR_TEXTS = (
    *(None, "", "  ", "null", " NULL ", "[]", '["1A","2B"]', '["2B", "1A", "2B"]', '["21"]', '["1A", "21"]'),
    *('{"1A":"Yes","2B":"No","3C":"yes"}', "{}", '{"1A":null}', '["1a", " 2B "]', '["99Z", "1A"]', '["18A", "1A"]'),
    *(json.dumps(code_list("code_assessment_factor")), "not JSON", '["1A", null, 3]', '"1A"', '["1A"'),
)
OUTCOMES = (
    *(None, "", "not JSON", "[]", "{}", '{"CP_CONFERENCE_FLAG": null}'),
    *(
        json.dumps({"CP_CONFERENCE_FLAG": flag})
        for flag in ("Y", "y", "N", "n", "T", "F", "1", "0", "true", "True", "false", "False", "", "maybe")
    ),
    *(f'{{"CP_CONFERENCE_FLAG": {flag}}}' for flag in ("true", "false", "1", "0", "[]", '"TRUE"')),
)
_PLACEMENT: dict[str, tuple[Value, ...]] = {
    "clap_cla_placement_type": (
        *(None, "", "U1", "U6 Other foster", "K3", "P3", "T2", "T3 x", "T4", "T0", "Z11"),
        *("Z12 text", "Z13", "Z14", "H5", "Z1", "XX", " u4 "),
    ),
    "clap_cla_placement_postcode": (None, "", "qx1 1ax", " QX2 2BX", "QX33DX", "QXA12 3F"),
    "clap_cla_placement_change_reason": (
        None,
        "",
        "CARPL",
        "carpl",
        "CUSTOD Custody",
        "XYZ",
        " CHILD ",
        "PLACEMENT END",
    ),
}
_CARE_EPISODE: dict[str, tuple[Value, ...]] = {
    "clae_cla_episode_start_reason": (None, "", "S", "S Started", " p", "l", "X", "Not recorded"),
    "clae_cla_episode_ceased_reason": (
        *(None, "", "E4A Returned home", "E4A\tReturned", "e11 ", "X1", " E 8 ", "E4\r\nB", "E99", "Other"),
    ),
}
_CARE_LEAVER: dict[str, tuple[Value, ...]] = {
    "clea_care_leaver_activity": (None, "", "F2 Full time", " p4 ", "G6", "F3", "Employed"),
    "clea_care_leaver_accommodation": (None, "", "B With parents", " y ", "z", "A", "1", "Suitable"),
}
UASC_STATUSES = (
    *(None, "", "U", " u ", "UASC", "Former UASC", "Unaccompanied Asylum Seeking Child"),
    *("unaccompanied asylum seeker", "Refugee", "UK national", "Asylum seeker"),
)
_DISABILITIES: tuple[tuple[str | None, ...], ...] = (
    *((), (None,), ("",), ("NONE",), ("none ", "AUT"), ("AUT", "AUT", " aut "), ("VIS", "HEAR"), ("XYZ", "LD")),
    *(("AUT Autism",), ("XYZ",), code_list("code_disability"), (*code_list("code_disability"), "XYZ")),
)
_POSTCODES = (None, "", "   ", " QX1 1AX ", "QX11AX", "qx1 2bx", "QX1  1AX", "QX1 1AX (FLAT)")
_ROLES = ("CW", "cw ", " CW", "IRO", "Case Worker", "", None)


def value_cases() -> Iterator[Case]:
    """Yield all cases of one value."""
    for column, (section, values) in _CHILD.items():
        yield from _each(section, column, values, partial(_set_child, column))
    for column, (section, values) in _EPISODE.items():
        yield from _each(section, column, values, partial(_set_episode, column))
    yield from _each("6", "cine_close_reason", _CLOSE_REASONS, _close)
    yield from _each("7.1", "factors", FACTOR_TEXTS, _factors)
    yield from _each("7.1", "outcome", OUTCOMES, _outcome)
    for column, values in _PLACEMENT.items():
        yield from _each("7.2", column, values, partial(_set_placement, column))
    for column, values in _CARE_EPISODE.items():
        yield from _each("7.2", column, values, partial(_set_care_episode, column))
    for column, values in _CARE_LEAVER.items():
        yield from _each("7.4", column, values, partial(_set_care_leaver, column))
    yield from _each("4.1", "immigration status", UASC_STATUSES, _immigration)
    yield from _each("4", "disabilities", _DISABILITIES, _disabilities)
    yield from _each("4", "postcode", _POSTCODES, _postcode)
    yield from _each("7.5", "role", _ROLES, _role)


def _each(
    section: str, what: str, values: Sequence[object], make: Callable[[object, Life, Row], None]
) -> Iterator[Case]:
    for value in values:
        bound: WithEpisode = partial(make, value)
        yield episode_case(section, bound, f"{what} is {value!r}")


def _set_child(column: str, value: object, life: Life, _episode: Row) -> None:
    if column == "pers_upn_unknown":
        life.person["pers_upn"] = None
    if column == "pers_upn":
        life.person["pers_upn_unknown"] = None
    life.person[column] = _text(value)


def _set_episode(column: str, value: object, _life: Life, episode: Row) -> None:
    episode[column] = _text(value)


def _close(value: object, life: Life, episode: Row) -> None:
    episode.update(cine_close_date=life.today - timedelta(days=20), cine_close_reason=_text(value))


def _factors(value: object, life: Life, episode: Row) -> None:
    assessment = life.assessment(episode, life.today - timedelta(days=60), life.today - timedelta(days=30))
    life.factors(assessment, _text(value))


def _outcome(value: object, life: Life, episode: Row) -> None:
    life.enquiry(episode, life.today - timedelta(days=60), life.today - timedelta(days=45), _text(value))


def _one_placement(life: Life, episode: Row, *, is_over: bool) -> tuple[Row, Row]:
    begin = life.today - timedelta(days=120)
    end = life.today - timedelta(days=40) if is_over else None
    placement = life.placement(f"L{life.number}-1", begin, end)
    return placement, life.care_episode(episode["cine_referral_id"], placement, begin, end)


def _set_placement(column: str, value: object, life: Life, episode: Row) -> None:
    placement, _ = _one_placement(life, episode, is_over=True)
    placement[column] = _text(value)


def _set_care_episode(column: str, value: object, life: Life, episode: Row) -> None:
    _, care = _one_placement(life, episode, is_over=True)
    care[column] = _text(value)


def _set_care_leaver(column: str, value: object, life: Life, _episode: Row) -> None:
    life.care_leaver(life.today - timedelta(days=70))[column] = _text(value)


def _immigration(value: object, life: Life, _episode: Row) -> None:
    life.immigration(_text(value), life.start + timedelta(days=30))


def _disabilities(value: object, life: Life, _episode: Row) -> None:
    life.rows("ssd_disability").clear()
    assert isinstance(value, tuple)  # noqa: S101 - the table above says so
    for code in value:
        life.disability(code)


def _postcode(value: object, life: Life, _episode: Row) -> None:
    life.address(_text(value), life.today - timedelta(days=3))


def _role(value: object, life: Life, episode: Row) -> None:
    life.cin_plan(episode, life.today - timedelta(days=100), None)
    life.involvement(episode, 50, life.start, None)["invo_professional_role_id"] = _text(value)


def _text(value: object) -> str | None:
    assert value is None or isinstance(value, str)  # noqa: S101 - the tables above say so
    return value
