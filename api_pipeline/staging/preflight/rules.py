"""What is checked in the SSD before anything is installed: one rule for each way in which a value cannot be sent.

Ids, lengths and codes come from the field table; what concerns two columns or two tables is listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from api_pipeline.staging.fields import BY_PATH, Conversion, Field
from api_pipeline.staging.preflight.dialects import LETTERS_AND_DIGITS, Sql

Condition: TypeAlias = "Callable[[Sql], str]"

HELD_BACK = "the record is held back"
LEFT_OUT = "the value is left out"
NO_WINDOW = "in no window: the item is left out"
QUERIED = "sent as it stands; it is likely to be queried"
# A hyphen stands for itself where it is the first of a set: at its end SQL Server's documentation does not say so.
_ID_SIGNS = "-" + LETTERS_AND_DIGITS + "_"
_FLAGS = ("Y", "T", "1", "TRUE", "N", "F", "0", "FALSE")
_FORMER_UPN = "FORMER UNIQUE PUPIL NUMBER"
_HIGHEST_SCORE = 40


@dataclass(frozen=True, slots=True)
class PreflightRule:
    """One check: rows of `table` for which the condition holds break it; `effect` says what `stage` makes of them."""

    table: str
    column: str
    name: str
    effect: str
    where: Condition


def field_rules(field: Field) -> Iterator[PreflightRule]:
    """Return the rules of one field, by how it is converted."""
    match field.conversion:
        case Conversion.RECORD_ID | Conversion.ID | Conversion.WORKER_ID:
            yield from _id_rules(field)
        case Conversion.EXACT | Conversion.FORMER_UPN:
            yield from _upn_rules(field)
        case Conversion.DATE | Conversion.LATEST_DATE | Conversion.PLACEMENT_END | Conversion.UASC_END:
            yield from _date_rules(field)
        case Conversion.CODE | Conversion.DISABILITIES | Conversion.START_REASON | Conversion.UNKNOWN_REASON:
            yield _code_rule(field)
        case Conversion.SEX:
            yield _of(
                field, "not M, F or U", "sent as U", lambda sql, c: f"UPPER({sql.trimmed(c)}) NOT IN ('M', 'F', 'U')"
            )
        case Conversion.END_REASON:
            yield _of(field, "not in the code list", LEFT_OUT, _no_end_reason)
        case Conversion.REFERRAL_SOURCE:
            yield _of(field, "not in the code list", LEFT_OUT, _no_referral_source)
        case Conversion.POSTCODE:
            yield _longer(field, LEFT_OUT)
        case Conversion.FLAG:
            yield _of(field, "no flag (Y, N, T, F, 1, 0)", LEFT_OUT, _no_flag)
        case Conversion.FACTORS:
            yield _of(field, "not JSON of the form [..] or {..}", LEFT_OUT, _no_json("[{"))
        case Conversion.OUTCOME_FLAG:
            yield _of(field, "not JSON of the form {..}", LEFT_OUT, _no_json("{"))
        case Conversion.SCORE:
            yield from _score_rules(field)
        case Conversion.TEXT | Conversion.EXPECTED_DATE | Conversion.UASC_FLAG:
            # Any text is taken; what concerns the other two is a matter of several columns.
            return


_Of: TypeAlias = "Callable[[Sql, str], str]"


def _of(field: Field, name: str, effect: str, condition: _Of) -> PreflightRule:
    column = field.columns[0]
    return PreflightRule(field.table, column, name, effect, lambda sql: condition(sql, f"t.{column}"))


def _longer(field: Field, effect: str) -> PreflightRule:
    length = field.length
    return _of(
        field,
        f"longer than {length} characters",
        effect,
        lambda sql, c: f"{sql.length(sql.trimmed(sql.as_id(c)))} > {length}",
    )


def _id_rules(field: Field) -> Iterator[PreflightRule]:
    is_record = field.conversion is Conversion.RECORD_ID
    allowed = LETTERS_AND_DIGITS if is_record else _ID_SIGNS
    signs = "letters and digits" if is_record else "letters, digits, _ and -"
    yield _longer(field, HELD_BACK)
    yield _of(
        field,
        f"characters other than {signs}",
        HELD_BACK,
        lambda sql, c: sql.holds_other_than(sql.trimmed(sql.as_id(c)), allowed),
    )
    if field.conversion is Conversion.WORKER_ID:
        yield _of(field, "missing", "the care worker is left out", lambda sql, c: sql.is_blank(c))
    elif field.columns[0] != "pers_legacy_id":
        yield _of(field, "blank", HELD_BACK, lambda sql, c: sql.is_blank(sql.as_id(c)))
        yield _of(field, "the same key twice", "only one row is taken", partial(_is_repeated, field))


def _is_repeated(field: Field, sql: Sql, column: str) -> str:
    key = column.removeprefix("t.")
    return f"{column} IN (SELECT {key} FROM {sql.table(field.table)} GROUP BY {key} HAVING COUNT(*) > 1)"  # noqa: S608 - names of the field table


def _upn_rules(field: Field) -> Iterator[PreflightRule]:
    name = f"not {field.length} characters"

    def has_other_length(sql: Sql, column: str) -> str:
        return f"{sql.length(sql.trimmed(column))} NOT IN (0, {field.length})"

    def no_upn(sql: Sql, column: str) -> str:
        reasons = sql.one_of(f"UPPER({sql.trimmed(column)})", code_list("code_upn_unknown_reason"))
        return f"{has_other_length(sql, column)} AND NOT {reasons}"

    def no_former_upn(sql: Sql, column: str) -> str:
        return f"{_type_of_id(sql)} = {sql.literal(_FORMER_UPN)} AND {has_other_length(sql, column)}"

    if field.conversion is Conversion.EXACT:
        yield _of(field, name, LEFT_OUT, no_upn)
        return
    yield _of(field, name, LEFT_OUT, no_former_upn)
    yield PreflightRule(
        field.table,
        "link_identifier_type",
        "nearly, but not quite, Former Unique Pupil Number",
        LEFT_OUT,
        lambda sql: f"{_type_of_id(sql)} LIKE 'FORMER%PUPIL%' AND {_type_of_id(sql)} <> {sql.literal(_FORMER_UPN)}",
    )


def _type_of_id(sql: Sql) -> str:
    return f"UPPER({sql.trimmed('t.link_identifier_type')})"


def _date_rules(field: Field) -> Iterator[PreflightRule]:
    yield _of(field, "after tomorrow", "outside the window", lambda sql, c: f"{c} > {sql.end_of_window}")


def _code_rule(field: Field) -> PreflightRule:
    codes, length = codes_of(field), field.length or 0

    def unlisted(sql: Sql, column: str) -> str:
        code = sql.code(column, length)
        return f"{code} <> '' AND NOT {sql.one_of(code, codes)}"

    return _of(field, "not in the code list", LEFT_OUT, unlisted)


def codes_of(field: Field) -> tuple[str, ...]:
    """Return the codes that are taken for a field, those of earlier years too."""
    name = field.codes or ""
    return (*code_list(name), *legacy_codes(name))


def _no_end_reason(sql: Sql, column: str) -> str:
    codes = codes_of(BY_PATH["social_care_episodes[].child_looked_after_placements[].end_reason"])
    text = sql.with_spaces_only(column)
    cut = f"UPPER(REPLACE({sql.first(sql.trimmed(text), 3)}, ' ', ''))"
    bare = "UPPER({})".format(sql.first(f"REPLACE({text}, ' ', '')", 3))
    return f"{bare} <> '' AND NOT {sql.one_of(cut, codes)} AND NOT {sql.one_of(bare, codes)}"


def _no_referral_source(sql: Sql, column: str) -> str:
    codes = codes_of(BY_PATH["social_care_episodes[].referral_source"])
    one, two = sql.code(column, 1), sql.code(column, 2)
    singles = [code for code in codes if len(code) == 1]
    doubles = [code for code in codes if len(code) == 2]
    return f"{one} <> '' AND NOT {sql.one_of(one, singles)} AND NOT {sql.one_of(two, doubles)}"


def _no_flag(sql: Sql, column: str) -> str:
    text = f"UPPER({sql.trimmed(column)})"
    return f"{text} <> '' AND NOT {sql.one_of(text, _FLAGS)}"


def _no_json(brackets: str) -> _Of:
    closing = {"[": "]", "{": "}"}

    def condition(sql: Sql, column: str) -> str:
        text = sql.trimmed(column)
        whole = " OR ".join(
            f"({sql.begins_with(text, bracket)} AND {text} LIKE '%{closing[bracket]}')" for bracket in brackets
        )
        return f"UPPER({text}) NOT IN ('', 'NULL') AND NOT ({whole})"

    return condition


def _score_rules(field: Field) -> Iterator[PreflightRule]:
    def digits(sql: Sql, column: str) -> str:
        return sql.trimmed(sql.as_text(column))

    yield _of(field, "missing", "the item is left out", lambda sql, c: f"({c} IS NULL OR {digits(sql, c)} = '')")
    yield _of(
        field,
        "not a whole number",
        "the item is left out",
        lambda sql, c: sql.holds_other_than(digits(sql, c), "0-9"),
    )
    yield _of(
        field,
        f"over {_HIGHEST_SCORE}",
        QUERIED,
        lambda sql, c: (
            f"CASE WHEN {sql.holds_other_than(digits(sql, c), '0-9')} THEN 0 "
            f"WHEN {sql.length(digits(sql, c))} > 9 THEN 999 "
            f"ELSE CAST({digits(sql, c)} AS INTEGER) END > {_HIGHEST_SCORE}"
        ),
    )
