"""The CSV files of student management systems: each row becomes a record.

Titles become member names in camelCase ("Student Identification Code" -> studentIdentificationCode), a cell with `;` in
it becomes a list. Types come from TEC's OpenAPI file where there is one; else every value is text but dates.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unicodedata import combining, normalize

from api_pipeline.errors import SettingsError
from api_pipeline.sdr.checks import id_error
from api_pipeline.sdr.csv_lines import check_end, lines_of
from api_pipeline.sdr.nouns import Collection

# The names of the files of 2025 and later, and of the years before.
_FILE_NAMES = {
    "LEAR": Collection.LEARNERS,
    "REGT": Collection.COURSES,
    "ENRL": Collection.COURSE_ENROLMENTS,
    "COURCOMP": Collection.COURSE_COMPLETIONS,
    "QUALCOMP": Collection.QUALIFICATION_COMPLETIONS,
    "STUD": Collection.LEARNERS,
    "CREG": Collection.COURSES,
    "COUR": Collection.COURSE_ENROLMENTS,
    "COMP": Collection.COURSE_COMPLETIONS,
    "QUAL": Collection.QUALIFICATION_COMPLETIONS,
}
_STUDENT, _COURSE, _QUALIFICATION = "studentIdentificationCode", "courseCode", "qualificationCode"
_KEYS: Mapping[Collection, tuple[str, ...]] = {
    Collection.COURSES: (_COURSE,),
    Collection.LEARNERS: (_STUDENT,),
    Collection.COURSE_ENROLMENTS: (_STUDENT, _QUALIFICATION, _COURSE, "courseStartDate"),
    Collection.COURSE_COMPLETIONS: (_STUDENT, _COURSE, "courseStartDate"),
    Collection.QUALIFICATION_COMPLETIONS: (_STUDENT, _QUALIFICATION, "yearRequirementsMet"),
}
# A column with the records' own ids is taken at its word.
_OWN_ID = "localId"
# It has no member: it is the EDUMIS number, which travels as a header.
_LEFT_OUT = frozenset({"providerCode"})
_IS_DATE = re.compile(r"(Date|OfBirth)$")
# A day, alone or with the midnight that databases and spreadsheets write behind it.
_MIDNIGHT = r"(?:[T ](?:0?0:00(?::00(?:\.0+)?)?Z?|12:00(?::00)? ?[aA]\.?[mM]\.?))?"
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})" + _MIDNIGHT, re.ASCII),
    re.compile(r"(?P<d>\d{1,2})[/-](?P<m>\d{1,2})[/-](?P<y>\d{4})" + _MIDNIGHT, re.ASCII),
)
# What spreadsheets write into a line before the titles, and what stands between cells in other countries.
_SEPARATOR_LINE = ["sep=", ""]
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
# Not more digits than a whole number of JSON has everywhere.
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(slots=True)
class Assumed:
    """What was assumed of a file, for the report: columns by what became of them, and rows that cannot be used."""

    columns: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    key: tuple[str, ...] = ()
    unusable: Counter[str] = field(default_factory=Counter)
    rows: int = 0


def collection_of(path: Path) -> Collection:
    """Return what a file holds, by its name. Errors: SettingsError for a name that says nothing."""
    words = re.split(r"[^A-Z]+", path.stem.upper())
    found = {_FILE_NAMES[word] for word in words if word in _FILE_NAMES}
    if len(found) != 1:
        raise SettingsError(
            f"The file {path.name} does not say which collection it holds: expected LEAR, REGT, ENRL, COURCOMP or "
            "QUALCOMP in its name; rename it, or give --collection."
        )
    return found.pop()


def camel_case(title: str) -> str:
    """Return the member name of a column's title; letters lose their macrons, which no name of TEC's has."""
    plain = "".join(letter for letter in normalize("NFKD", title) if not combining(letter))
    words: list[str] = re.findall(r"[A-Za-z0-9]+", plain)
    if "".join(words).lower() == _OWN_ID.lower():
        return _OWN_ID
    if len(words) < 2:
        word = plain.strip()
        return word.lower() if word.isupper() else word[:1].lower() + word[1:]
    return words[0].lower() + "".join(word[:1].upper() + word[1:].lower() for word in words[1:])


def records(
    path: Path, collection: Collection, properties: Mapping[str, Any], assumed: Assumed
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the localId and the record of each row; `properties` are the types of TEC's file, empty without one.

    Two rows with one key are an error of the file: a second record would replace the first without a word. Errors:
    SettingsError for a file that cannot be read.
    """
    seen: set[str] = set()
    # Counted as a spreadsheet shows them: from the first line of the file, empty ones among them.
    rows = enumerate(lines_of(path), 1)
    titles = _titles(path, rows)
    names = _names(path, titles)
    _assume(titles, names, collection, properties, assumed)
    last, width = 0, len(names)
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            # Spreadsheets leave rows of empty cells behind.
            width = len(names)
            continue
        assumed.rows += 1
        last, width = number, len(cells)
        _check_cells(path, number, names, cells)
        row = dict(zip(names, cells, strict=False))
        record = _record(row, properties)
        own = row.get(_OWN_ID)
        local_id = own.strip() if own is not None else "|".join(str(record.get(name, "")) for name in assumed.key)
        problem = id_error(local_id.replace("|", "") and local_id)
        if local_id in seen:
            problem = "its key stands in an earlier row too"
        if problem:
            assumed.unusable[problem] += 1
            continue
        seen.add(local_id)
        yield local_id, record
    if width < len(names):
        check_end(path, last)


def _check_cells(path: Path, number: int, names: list[str], cells: list[str]) -> None:
    """Raise SettingsError for a row with a cell under no title: a comma too many moves cells under other titles."""
    if any(cells[len(names) :]) or any(cell.strip() for name, cell in zip(names, cells, strict=False) if not name):
        raise SettingsError(
            f"The file {path.name} has more cells than titles in row {number}; nothing was loaded. Put "
            "double quotes around a cell with a comma in it."
        )


def _titles(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    """Return the titles, which are taken off the rows. Errors: SettingsError where there are none to be read."""
    lines = (cells for _, cells in rows if any(cell.strip() for cell in cells))
    titles = next(lines, [])
    if titles == _SEPARATOR_LINE:
        titles = next(lines, [])
    if not titles:
        raise SettingsError(f"The file {path.name} is empty: expected at least its titles; nothing was loaded.")
    if len(titles) == 1 and (other := next((sign for sign in _OTHER_SEPARATORS if sign in titles[0]), "")):
        raise SettingsError(
            f"The cells of the file {path.name} are separated by {_OTHER_SEPARATORS[other]}: expected commas; nothing "
            "was loaded. Save it as CSV with commas."
        )
    return titles


def _names(path: Path, titles: list[str]) -> list[str]:
    """Return the member name of each column, "" of one without a title. Errors: SettingsError where two are one."""
    names = [camel_case(title) for title in titles]
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise SettingsError(
            f"The file {path.name} has more than one column for {', '.join(twice)}; nothing was loaded. Leave one of "
            "them."
        )
    return names


def _assume(
    titles: list[str], names: list[str], collection: Collection, properties: Mapping[str, Any], assumed: Assumed
) -> None:
    for name in filter(None, names):
        if name == _OWN_ID:
            assumed.key = (_OWN_ID,)
        elif name in _LEFT_OUT:
            assumed.left_out.append(name)
        else:
            assumed.columns[name] = _kind_of(name, properties)
    if assumed.key:
        return
    missing = [name for name in _KEYS[collection][:2] if name not in names]
    if missing:
        raise SettingsError(
            f"The file of {collection.value} has no column for {', '.join(missing)}, of which a record's id is made; "
            f"its columns are: {', '.join(titles)}."
        )
    assumed.key = tuple(name for name in _KEYS[collection] if name in names)


def _record(row: Mapping[str, str], properties: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, cell in row.items():
        text = cell.strip()
        if name in (*_LEFT_OUT, _OWN_ID) or not text:
            continue
        kind = _kind_of(name, properties)
        if kind == "list" or (kind == "text" and ";" in text):
            parts = (part.strip() for part in text.split(";"))
            element = _type_of(properties[name].get("items")) if name in properties else "text"
            record[name] = [_typed(part, element) for part in parts if part]
        else:
            record[name] = _typed(text, kind)
    return record


def _kind_of(name: str, properties: Mapping[str, Any]) -> str:
    """Return what the cells of a column are: as TEC's file says, else by the column's name."""
    if name in properties:
        return _type_of(properties[name])
    return "date" if _IS_DATE.search(name) else "text"


def _type_of(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, dict) else None
    kinds = kind if isinstance(kind, list) else [kind]
    if "array" in kinds:
        return "list"
    if "integer" in kinds:
        return "whole number"
    if "number" in kinds:
        return "number"
    if "boolean" in kinds:
        return "true or false"
    return "date" if isinstance(schema, dict) and str(schema.get("format", "")).startswith("date") else "one text"


def _typed(text: str, kind: str) -> Any:
    match kind:
        case "whole number" if _WHOLE.fullmatch(text):
            return int(text)
        case "number" if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        case "true or false" if text.lower() in ("true", "y", "yes", "1", "false", "n", "no", "0"):
            return text.lower() in ("true", "y", "yes", "1")
        case "date":
            return _date(text)
    return text


def _date(text: str) -> str:
    """Return a day as midnight UTC: any other zone could make the day before of it at TEC. What is not one stays."""
    for pattern in _DATES:
        if found := pattern.fullmatch(text):
            with suppress(ValueError):
                return f"{date(int(found['y']), int(found['m']), int(found['d'])).isoformat()}T00:00:00Z"
    return text
