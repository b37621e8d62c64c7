"""TEC's own schema of the records, from an OpenAPI file: what a record breaks, and how a cell is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.sdr.csv_files import Assumed, records
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.openapi import schema_check, schemas

LEARNERS = Collection.LEARNERS
PATHS = {**{one: one.value for one in Collection}, LEARNERS: "people"}
NUMBER = {"$ref": "#/components/schemas/Number"}


def put(record: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"properties": {"content": {"type": "array", "items": record}}}
    return {"put": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}


def written(folder: Path, record: Mapping[str, Any]) -> Path:
    """Write an OpenAPI file in which the learners are these records, and return its path."""
    path = folder / "tec.json"
    components = {"schemas": {"Learner": record, "Number": {"type": "integer"}}}
    paths = {"/v1.0/people": put({"$ref": "#/components/schemas/Learner"})}
    path.write_text(json.dumps({"paths": paths, "components": components}), encoding="utf-8")
    return path


def test_records_are_checked_against_the_openapi_file(tmp_path: Path) -> None:
    record = {
        "type": "object",
        "required": ["localId", "studentIdentificationCode"],
        "properties": {
            "studentIdentificationCode": {"type": "string", "maxLength": 10},
            "nsn": {"allOf": [NUMBER], "nullable": True},
            "iwi": {"type": "array", "items": NUMBER},
        },
    }
    path = written(tmp_path, record)
    described = schemas(path, PATHS)
    assert set(described) == {LEARNERS}
    check = schema_check(path, PATHS)
    sheet = tmp_path / "LEAR.csv"
    sheet.write_text("Student Identification Code,NSN,Iwi\ns1,0123,7;8\n", encoding="utf-8")
    ((_, loaded),) = records(sheet, LEARNERS, described[LEARNERS]["properties"], Assumed())
    assert loaded == {"studentIdentificationCode": "s1", "nsn": 123, "iwi": [7, 8]}
    assert check(LEARNERS, loaded) == []
    assert check(LEARNERS, {"studentIdentificationCode": "s1", "nsn": None}) == []
    assert check(LEARNERS, {"studentIdentificationCode": "s" * 11}) == [
        "studentIdentificationCode: breaks the schema's rule maxLength"
    ]
    assert check(Collection.COURSES, {"anything": 1}) == []


def test_every_branch_of_a_choice_is_followed(tmp_path: Path) -> None:
    record = {"properties": {"code": {"anyOf": [NUMBER, {"type": "string", "nullable": True, "maxLength": 1}]}}}
    check = schema_check(written(tmp_path, record), PATHS)
    assert [check(LEARNERS, {"code": code}) for code in (12, "x", None)] == [[], [], []]
    assert check(LEARNERS, {"code": "xy"}) == ["code: breaks the schema's rule anyOf"]


def test_no_more_than_five_broken_rules_are_named(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(7)]
    check = schema_check(written(tmp_path, {"properties": dict.fromkeys(names, NUMBER)}), PATHS)
    assert len(check(LEARNERS, dict.fromkeys(names[:4], "x"))) == 4
    assert len(check(LEARNERS, dict.fromkeys(names, "x"))) == 5


@pytest.mark.parametrize(("text", "words"), [("{", "cannot be read as JSON"), ("[]", "describes no upload")])
def test_file_that_is_no_openapi_file_of_tec_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tec.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        schemas(path, PATHS)
