"""The block `child_details` (mapping 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.conversions import BLANK
from api_pipeline.staging.issues import IssueRule, Notes
from api_pipeline.staging.joins import newest
from api_pipeline.staging.options import StageOptions
from api_pipeline.staging.rows import (
    Address,
    Disability,
    ImmigrationStatus,
    LinkedIdentifier,
    Person,
    PersonRows,
)
from api_pipeline.staging.window import Window

Block: TypeAlias = "dict[str, Any]"

_HERE = "child_details."
_FORMER_UPN_TYPE = "FORMER UNIQUE PUPIL NUMBER"
_NO_DISABILITY = "NONE"
_POSTCODE_LENGTH = 8
_unknown_reason = convert.code_lookup(_HERE + "unique_pupil_number_unknown_reason")
_sex = convert.code_lookup(_HERE + "sex")
_ethnicity = convert.code_lookup(_HERE + "ethnicity")
_disability = convert.code_lookup(_HERE + "disabilities[]")


def child_details(rows: PersonRows, window: Window, options: StageOptions, notes: Notes) -> Block:
    """Return the personal details."""
    person = rows.person
    block: Block = {}
    _put_pupil_numbers(block, person, rows.linked_identifiers, notes)
    _put_text(block, "first_name", person.forename, notes)
    _put_text(block, "surname", person.surname, notes)
    if person.dob is not None:
        block["date_of_birth"] = convert.day(person.dob)
    elif person.expected_dob is not None:
        block["expected_date_of_birth"] = convert.day(person.expected_dob)
    block["sex"] = _sex_of(person, notes)
    if person.ethnicity is not None:
        put_code(block, _HERE + "ethnicity", _ethnicity(person.ethnicity), notes, tables.PERSON.name, person.person_id)
    block["disabilities"] = _disabilities(rows.disabilities, notes)
    _put_home(block, rows.addresses, notes)
    _put_uasc(block, rows.immigration, window, options)
    block["purge"] = False
    return block


def put_code(block: Block, path: str, code: str | None, notes: Notes, table: str, key: str) -> None:
    """Put a looked-up code in under the last name of `path`; notes it where it is none of the list."""
    if code is None:
        notes.note(IssueRule.CODE_NOT_LISTED, path, table, key)
    elif code:
        block[_member(path)] = code


@cache
def _member(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def put_postcode(block: Block, path: str, postcode: str, notes: Notes, table: str, key: str) -> None:
    """Put a postcode in, unless it is blank or cannot be one."""
    found = postcode.strip(" ")
    if len(found) > _POSTCODE_LENGTH:
        notes.note(IssueRule.POSTCODE_TOO_LONG, path, table, key)
    elif not convert.is_unicode(found):
        notes.note(IssueRule.TEXT_NOT_UNICODE, path, table, key)
    elif found:
        block["postcode"] = found


def _put_pupil_numbers(block: Block, person: Person, linked: Sequence[LinkedIdentifier], notes: Notes) -> None:
    table, key = tables.PERSON.name, person.person_id
    reason_in_upn = convert.upn_in_place_of_reason(person.upn) if person.upn else BLANK
    if not reason_in_upn:
        _put_upn(block, "unique_pupil_number", person.upn, notes, table, key)
    former = [row for row in linked if convert.trimmed(row.identifier_type).upper() == _FORMER_UPN_TYPE]
    if former:
        row = newest(former, lambda one: one.valid_from_date, lambda one: one.table_id)
        table_of_former = tables.LINKED_IDENTIFIER.name
        _put_upn(block, "former_unique_pupil_number", row.identifier_value, notes, table_of_former, row.table_id)
    reason = convert.trimmed(person.upn_unknown) or reason_in_upn
    if reason:
        put_code(block, _HERE + "unique_pupil_number_unknown_reason", _unknown_reason(reason), notes, table, key)


def _put_upn(block: Block, name: str, value: str | None, notes: Notes, table: str, key: str) -> None:
    upn = convert.pupil_number(value)
    if upn is None:
        notes.note(IssueRule.UPN_NOT_13, _HERE + name, table, key)
    elif not convert.is_unicode(upn):
        notes.note(IssueRule.TEXT_NOT_UNICODE, _HERE + name, table, key)
    elif upn:
        block[name] = upn


def _put_text(block: Block, name: str, text: str | None, notes: Notes) -> None:
    if text is None or not text.strip():
        return
    if convert.is_unicode(text):
        block[name] = text
    else:
        notes.note(IssueRule.TEXT_NOT_UNICODE, _HERE + name, tables.PERSON.name, notes.person_id)


def _sex_of(person: Person, notes: Notes) -> str:
    text = convert.trimmed(person.sex).upper()
    # The whole text counts here, not its first letter: a description is not the code.
    code = _sex(text) if len(text) <= 1 else None
    if code is None:
        notes.note(IssueRule.CODE_NOT_LISTED, _HERE + "sex", tables.PERSON.name, person.person_id)
    return code or "U"


def _disabilities(rows: Sequence[Disability], notes: Notes) -> list[str]:
    codes: set[str] = set()
    for row in rows:
        code = _disability(row.disability_code) if row.disability_code is not None else BLANK
        if code is None:
            notes.note(IssueRule.CODE_NOT_LISTED, _HERE + "disabilities[]", tables.DISABILITY.name, row.table_id)
        elif code:
            codes.add(code)
    if len(codes) > 1 and _NO_DISABILITY in codes:
        codes.discard(_NO_DISABILITY)
        rule, path = IssueRule.DISABILITY_NONE_NOT_ALONE, _HERE + "disabilities[]"
        notes.note(rule, path, tables.PERSON.name, notes.person_id)
    return sorted(codes) or [_NO_DISABILITY]


def _put_home(block: Block, rows: Sequence[Address], notes: Notes) -> None:
    known = [row for row in rows if convert.trimmed(row.address_postcode)]
    if known:
        row = newest(known, lambda one: one.address_start_date, lambda one: one.table_id)
        path, table = _HERE + "postcode", tables.ADDRESS.name
        put_postcode(block, path, row.address_postcode or BLANK, notes, table, row.table_id)


def _put_uasc(block: Block, rows: Sequence[ImmigrationStatus], window: Window, options: StageOptions) -> None:
    matches = convert.is_uasc(options.uasc_values)
    statuses = [
        row
        for row in rows
        if row.immigration_status is not None
        and matches(row.immigration_status)
        and (row.immigration_status_end_date is None or row.immigration_status_end_date >= window.start)
    ]
    block["uasc_flag"] = bool(statuses)
    if statuses:
        row = newest(statuses, lambda one: one.immigration_status_start_date, lambda one: one.immigration_status_id)
        ended = row.immigration_status_end_date
        if ended is not None and ended < window.end:
            block["uasc_end_date"] = convert.day(ended)
