"""The CSV files of student management systems: each row becomes a record. Pure but for the reading of the file.

Titles become member names in camelCase ("Student Identification Code" -> studentIdentificationCode), a cell with `;` in
it becomes a list. Types come from TEC's OpenAPI file where there is one; else every value is text but dates.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api_pipeline.errors import SettingsError
from api_pipeline.sdr.checks import id_error
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
# It has no member: it is the EDUMIS number, which travels as a header.
_LEFT_OUT = frozenset({"providerCode"})
_IS_DATE = re.compile(r"(Date|OfBirth)$")
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
    re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})"),
)


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
    """Return the member name of a column's title."""
    words: list[str] = re.findall(r"[A-Za-z0-9]+", title)
    if len(words) < 2:
        word = title.strip()
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
    for row in _rows(path):
        cells = {name: value for name, value in row.items() if name is not None}
        if not assumed.columns:
            _assume(list(cells), collection, properties, assumed)
        assumed.rows += 1
        if any(row.get(None) or ()):
            # A comma too many moves cells under other titles.
            raise SettingsError(
                f"The file {path.name} has more cells than titles in row {assumed.rows + 1}; nothing was loaded. Put "
                "double quotes around a cell with a comma in it."
            )
        record = _record(cells, properties)
        local_id = "|".join(_text(record.get(name)) for name in assumed.key)
        problem = id_error(local_id.replace("|", "") and local_id)
        if local_id in seen:
            problem = "its key stands in an earlier row too"
        if problem:
            assumed.unusable[problem] += 1
            continue
        seen.add(local_id)
        yield local_id, record


def _rows(path: Path) -> Iterator[dict[str | None, Any]]:
    """Yield the cells of each row by title; under None those beyond the last title."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            with path.open(encoding=encoding, newline="") as file:
                # Read to the end once, so that a letter of another encoding is met before a row is used.
                for _ in file:
                    continue
            with path.open(encoding=encoding, newline="") as file:
                reader = csv.DictReader(file)
                if not reader.fieldnames:
                    raise SettingsError(
                        f"The file {path.name} is empty: expected at least its titles; nothing was loaded."
                    )
                for row in reader:
                    yield {name: value if name is None else value or "" for name, value in row.items()}
                return
        except UnicodeDecodeError:
            continue
        except (OSError, csv.Error) as error:
            raise SettingsError(f"The file {path} cannot be read as CSV ({type(error).__name__}).") from None


def _assume(titles: list[str], collection: Collection, properties: Mapping[str, Any], assumed: Assumed) -> None:
    names = [camel_case(title) for title in titles]
    for name in names:
        if name in _LEFT_OUT:
            assumed.left_out.append(name)
        elif name in properties:
            assumed.columns[name] = _type_of(properties[name])
        else:
            assumed.columns[name] = "date" if _IS_DATE.search(name) else "text"
    missing = [name for name in _KEYS[collection][:2] if name not in names]
    if missing:
        raise SettingsError(
            f"The file of {collection.value} has no column for {', '.join(missing)}, of which a record's id is made; "
            f"its columns are: {', '.join(titles)}."
        )
    assumed.key = tuple(name for name in _KEYS[collection] if name in names)


def _record(row: Mapping[str, str], properties: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for title, cell in row.items():
        name, text = camel_case(title), cell.strip()
        if name in _LEFT_OUT or not text:
            continue
        kind = _type_of(properties[name]) if name in properties else "date" if _IS_DATE.search(name) else "text"
        if kind == "list" or (kind == "text" and ";" in text):
            record[name] = [part.strip() for part in text.split(";") if part.strip()]
        else:
            record[name] = _typed(text, kind)
    return record


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
    try:
        match kind:
            case "whole number":
                return int(text)
            case "number" if math.isfinite(float(text)):
                return float(text)
            case "true or false" if text.lower() in ("true", "y", "yes", "1", "false", "n", "no", "0"):
                return text.lower() in ("true", "y", "yes", "1")
            case "date":
                return _date(text)
    except ValueError:
        return text
    return text


def _date(text: str) -> str:
    """Return a day as midnight UTC: any other zone could make the day before of it at TEC."""
    for pattern in _DATES:
        found = pattern.fullmatch(text)
        if found:
            return f"{found['y']}-{int(found['m']):02d}-{int(found['d']):02d}T00:00:00Z"
    return text


def _text(value: Any) -> str:
    return "" if value is None else str(value)
