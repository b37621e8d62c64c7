"""The block `child_details` (mapping 4)."""

from __future__ import annotations

from collections.abc import Sequence

from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.blocks.elements import Block, CodeField, put_date, put_postcode, put_text
from api_pipeline.staging.conversions import BLANK
from api_pipeline.staging.groups import newest
from api_pipeline.staging.issues import IssueRule, Notes
from api_pipeline.staging.rows import (
    Address,
    Disability,
    ImmigrationStatus,
    LinkedIdentifier,
    Person,
    PersonRows,
)
from api_pipeline.staging.window import Window

_HERE = "child_details."
_DISABILITIES = _HERE + "disabilities[]"
_FORMER_UPN_TYPE = "FORMER UNIQUE PUPIL NUMBER"
_NO_DISABILITY = "NONE"
_UNKNOWN_REASON = CodeField(_HERE + "unique_pupil_number_unknown_reason")
_ETHNICITY = CodeField(_HERE + "ethnicity")
_sex = convert.code_lookup(_HERE + "sex")
_disability = convert.code_lookup(_DISABILITIES)


def child_details(rows: PersonRows, window: Window, settings: StagingSettings, notes: Notes) -> Block:
    """Return the personal details."""
    person = rows.person
    block: Block = {}
    _put_pupil_numbers(block, person, rows.linked_identifiers, notes)
    _put_name(block, "first_name", person.forename, notes)
    _put_name(block, "surname", person.surname, notes)
    if person.dob is not None:
        put_date(block, "date_of_birth", person.dob)
    else:
        put_date(block, "expected_date_of_birth", person.expected_dob)
    block["sex"] = _sex_of(person, notes)
    _ETHNICITY.put(block, person.ethnicity, person.person_id, notes)
    block["disabilities"] = _disabilities(rows.disabilities, notes)
    _put_home(block, rows.addresses, notes)
    _put_uasc(block, rows.immigration, window, settings)
    block["purge"] = False
    return block


def _put_pupil_numbers(block: Block, person: Person, linked: Sequence[LinkedIdentifier], notes: Notes) -> None:
    reason_in_upn = convert.upn_in_place_of_reason(person.upn) if person.upn else BLANK
    if not reason_in_upn:
        _put_upn(block, "unique_pupil_number", person.upn, person.person_id, notes)
    former = [row for row in linked if convert.trimmed(row.identifier_type).upper() == _FORMER_UPN_TYPE]
    if former:
        row = newest(former, lambda one: one.valid_from_date)
        _put_upn(block, "former_unique_pupil_number", row.identifier_value, row.table_id, notes)
    _UNKNOWN_REASON.put(block, convert.trimmed(person.upn_unknown) or reason_in_upn, person.person_id, notes)


def _put_upn(block: Block, name: str, value: str | None, key: str, notes: Notes) -> None:
    upn = convert.pupil_number(value)
    if upn is None:
        notes.note(IssueRule.UPN_NOT_13, _HERE + name, key)
    else:
        put_text(block, _HERE + name, upn, key, notes)


def _put_name(block: Block, name: str, text: str | None, notes: Notes) -> None:
    if text is not None and text.strip():
        put_text(block, _HERE + name, text, notes.person_id, notes)


def _sex_of(person: Person, notes: Notes) -> str:
    text = convert.trimmed(person.sex).upper()
    # The whole text counts here, not its first letter: a description is not the code.
    code = _sex(text) if len(text) <= 1 else None
    if code is None:
        notes.note(IssueRule.CODE_NOT_LISTED, _HERE + "sex", person.person_id)
    return code or "U"


def _disabilities(rows: Sequence[Disability], notes: Notes) -> list[str]:
    codes: set[str] = set()
    for row in rows:
        code = _disability(row.disability_code) if row.disability_code is not None else BLANK
        if code is None:
            notes.note(IssueRule.CODE_NOT_LISTED, _DISABILITIES, row.table_id)
        elif code:
            codes.add(code)
    if len(codes) > 1 and _NO_DISABILITY in codes:
        codes.discard(_NO_DISABILITY)
        rule = IssueRule.DISABILITY_NONE_NOT_ALONE
        notes.note(rule, _DISABILITIES, notes.person_id, table=tables.PERSON.name)
    return sorted(codes) or [_NO_DISABILITY]


def _put_home(block: Block, rows: Sequence[Address], notes: Notes) -> None:
    known = [row for row in rows if row.address_postcode is not None and row.address_postcode.strip()]
    if known:
        row = newest(known, lambda one: one.address_start_date)
        put_postcode(block, _HERE + "postcode", row.address_postcode or BLANK, row.table_id, notes)


def _put_uasc(block: Block, rows: Sequence[ImmigrationStatus], window: Window, settings: StagingSettings) -> None:
    matches = convert.is_uasc(settings.uasc_values)
    statuses = [
        row
        for row in rows
        if row.immigration_status is not None
        and matches(row.immigration_status)
        and (row.immigration_status_end_date is None or row.immigration_status_end_date >= window.start)
    ]
    block["uasc_flag"] = bool(statuses)
    if statuses:
        row = newest(statuses, lambda one: one.immigration_status_start_date)
        ended = row.immigration_status_end_date
        if ended is not None and ended < window.end:
            put_date(block, "uasc_end_date", ended)
