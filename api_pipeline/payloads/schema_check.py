"""Check a payload against the receiver's schema, the code lists and the returns' rules (specification 3, 4, 7).

Findings name path and rule, never the value.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from typing import Any

import jsonschema_rs

from api_pipeline.payloads.census_rules import cross_field_findings, firewall_findings, may_hold_hex
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.shape import UNKNOWN_MEMBER, is_harmless, schema
from api_pipeline.payloads.value_rules import DEFAULT_DATE_PATTERN, value_findings

# A date that is none of `value_rules`' default dates, in one pattern: beside it, the format would only take time.
_YEAR = "(?:19[1-9]|20[0-4])[0-9]"
_LONG_MONTH, _SHORT_MONTH = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])", "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
_DAY = f"(?:{_LONG_MONTH}|{_SHORT_MONTH}|02-(?:0[1-9]|1[0-9]|2[0-8]))"
_LEAP_YEAR = "(?:19(?:[2468][048]|[13579][26])|20(?:[024][048]|[13][26]))"
_DATE_PATTERN = f"^(?:{_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)$"
_DATE_LENGTH = 10
# How the members of a schema begin that are not part of the terse one.
_NO_RULE = ("x-", "$r", "$d")
# The identifiers of the schema, and those of them that do not begin like a default date.
_ID_PATTERN = "^[A-Za-z0-9_-]*$"
_UNDATED_ID_PATTERN = (
    f"^(?:(?:[0-9]{{0,3}}|[0-9]{{5,}}|{_YEAR})(?:[A-Za-z_-][A-Za-z0-9_-]*)?|[0-9]{{4}}(?:[A-Za-z_][A-Za-z0-9_-]*)?)$"
)


class Checker:
    """The compiled rules; one serves a whole run. `as_of` is the day that ages are reckoned at."""

    def __init__(self, as_of: date | None = None) -> None:
        self._terse = _terse_validator()
        self._as_of = as_of or date.today()  # noqa: DTZ011 - ages are reckoned in the council's own day

    def is_sound(self, data: Mapping[str, Any]) -> bool:
        """Return whether a payload is valid, codes included, and has neither a null nor a default date, nor purges."""
        return bool(self._terse.is_valid(data))

    def check(self, data: Mapping[str, Any], encoded: bytes | None = None, *, is_sound: bool = False) -> list[Finding]:
        """Return every finding in a payload without null members; `encoded` is its text as staged, in UTF-8.

        `is_sound` says that the payload is known to be sound.
        """
        if is_sound or self.is_sound(data):
            findings = cross_field_findings(data, self._as_of)
            findings += value_findings(data, encoded, is_sound=True)
        else:
            errors = list(_schema_validator().iter_errors(data))
            findings = [_finding(error) for error in errors]
            findings += [_code_finding(error) for error in _strict_validator().iter_errors(data) if _is_code(error)]
            sound = sound_parts(data, [error.instance_path for error in errors if _is_of_wrong_form(error)])
            findings += cross_field_findings(sound, self._as_of)
            findings += value_findings(data, encoded)
        if encoded is None or may_hold_hex(encoded):
            findings += firewall_findings(data)
        return findings

    def check_deletion(self, record: Mapping[str, Any]) -> list[Finding]:
        """Return every finding in a deletion, which has identifiers alone: only the schema says something of it."""
        return [_finding(error) for error in _schema_validator().iter_errors(record)]

    def may_be_child(self, la_child_id: str) -> bool:
        """Return whether a receiver can know a child by this identifier."""
        return bool(_schema_validator().is_valid({"la_child_id": la_child_id}))


def takes_mis_child_id(value: str) -> bool:
    """Return whether the schema takes a `mis_child_id`."""
    return bool(_schema_validator().is_valid({"la_child_id": "1", "mis_child_id": value}))


def identity_findings(person_id: str, la_child_id: str) -> list[Finding]:
    """Return a warning where a row and its payload name two people; a row without a person names nobody."""
    if not person_id.strip() or person_id.strip() == la_child_id.strip():
        return []
    message = "the row's person_id and the payload's la_child_id are not the same: is this the right child's payload?"
    return [Finding("cross_field", "$.la_child_id", "same_person", message, None)]


@cache
def _schema_validator() -> Any:
    return _compile(schema())


@cache
def _strict_validator() -> Any:
    return _compile(_with_codes(schema(), schema()["$defs"]))


@cache
def _terse_validator() -> Any:
    strict = _with_codes(schema(), schema()["$defs"])
    return _compile(_terse(strict, strict["$defs"]))


def _compile(source: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator(source, validate_formats=True)


def _with_codes(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the strict profile: each `x-codes` member replaced by the code list it names, legacy codes left out."""
    if isinstance(node, list):
        return [_with_codes(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    result = {name: _with_codes(item, definitions) for name, item in node.items()}
    if "x-codes" in node:
        result["enum"] = copy.copy(definitions[_list_name(node["x-codes"])]["enum"])
    return result


def _terse(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a short schema that accepts the same payloads, except those with a purge or a text like a default date.

    These get a full check. It has no references, says nothing twice, and has one pattern for a date and one for an
    identifier: a payload of 6.5 KB takes 22 microseconds, and 26 with a second pattern or the format. A search of every
    text for a purge would take 8 more.
    """
    if isinstance(node, list):
        return [_terse(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = node | definitions[_list_name(node["$ref"])]
    result = {name: _terse(item, definitions) for name, item in node.items() if name[:2] not in _NO_RULE}
    if isinstance(result.get("enum"), list):
        return {"enum": result["enum"]}
    if "x-purge-scope" in node:
        return {"enum": [False]}
    if result.get("format") == "date":
        return {"type": "string", "pattern": _DATE_PATTERN}
    if result.get("pattern") == _ID_PATTERN:
        return result | {"pattern": _UNDATED_ID_PATTERN}
    if result.get("type") == "string" and result.get("maxLength", _DATE_LENGTH) >= _DATE_LENGTH:
        result["not"] = {"pattern": DEFAULT_DATE_PATTERN}
    return result


def _list_name(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def code_list(name: str) -> tuple[str, ...]:
    """Return the codes of a list of the schema, such as `code_sex`."""
    return tuple(schema()["$defs"][name]["enum"])


def legacy_codes(name: str) -> tuple[str, ...]:
    """Return the codes of a list that earlier years used and that are only queried."""
    return tuple(schema()["$defs"][name].get("x-legacy", ()))


def _is_code(error: Any) -> bool:
    return isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Enum)


def _is_of_wrong_form(error: Any) -> bool:
    kinds = jsonschema_rs.ValidationErrorKind
    return isinstance(error.kind, (kinds.Type, kinds.Pattern, kinds.Format))


def sound_parts(data: Mapping[str, Any], wrong: Sequence[Sequence[str | int]]) -> Mapping[str, Any]:
    """Return a copy of a payload without the objects that have a wrong member at one of these paths.

    An empty object replaces what is taken out of an array, so that other paths stay right.
    """
    sound: dict[str, Any] = copy.deepcopy(dict(data))
    for path in wrong:
        is_member = isinstance(path[-1], str) and len(path) > 1
        # What an earlier path took out is not there any more.
        with suppress(KeyError):
            _take_out(sound, path[:-1] if is_member else path)
    return sound


def _take_out(within: Any, path: Sequence[str | int]) -> None:
    for step in path[:-1]:
        within = within[step]
    if isinstance(within, list):
        within[int(path[-1])] = {}
    else:
        del within[path[-1]]


def _finding(error: Any) -> Finding:
    kind = error.kind
    return Finding("schema", json_path(error.instance_path), kind.name, _sentence(kind), None)


def _code_finding(error: Any) -> Finding:
    name = _list_name(_codes_at(schema(), error.schema_path[:-1]))
    path = json_path(error.instance_path)
    if error.instance in legacy_codes(name):
        return Finding("code", path, "legacy_code", "the code belongs to an earlier year's list", name)
    codes = ", ".join(code_list(name))
    return Finding("code", path, "code_list", f"the value is not in the code list {name} ({codes})", name)


def _codes_at(node: Any, path: Sequence[str | int]) -> str:
    for step in path:
        node = node[step]
    return str(node["x-codes"])


def json_path(steps: Sequence[str | int]) -> str:
    """Return a path as text, such as `$.social_care_episodes[0].referral_source`; a strange name is not repeated."""
    return "$" + "".join(_step(step) for step in steps)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step if is_harmless(step) else UNKNOWN_MEMBER}"


def _sentence(kind: Any) -> str:
    """Return what is expected in plain words; the library's own message quotes the value."""
    kinds = jsonschema_rs.ValidationErrorKind
    match kind:
        case kinds.AdditionalProperties():
            return _unknown_members(kind.unexpected)
        case kinds.Required():
            return f"the member {kind.property} is missing"
        case kinds.MaxLength():
            return f"the text is longer than {kind.limit} characters"
        case kinds.MinLength():
            return f"the text is shorter than {kind.limit} characters"
        case kinds.MaxItems():
            return f"the array has more than {kind.limit} items"
        case kinds.Pattern():
            return f"the text has characters or a form that {kind.pattern} does not allow"
        case kinds.Format():
            return f"the text is not a valid {kind.format}"
        case kinds.UniqueItems():
            return "the array has an item twice"
        case kinds.Type():
            return f"the value is not of type {' or '.join(map(str, kind.types))}"
        case _:
            return f"the value breaks the rule {kind.name}"


def _unknown_members(names: Sequence[str]) -> str:
    harmless = [name for name in names if is_harmless(name)]
    if len(harmless) == len(names):
        return f"unknown members: {', '.join(harmless)}"
    return "1 unknown member" if len(names) == 1 else f"{len(names)} unknown members"
