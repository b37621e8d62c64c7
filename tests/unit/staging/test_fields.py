"""The table of fields, held against the packaged schema and the SSD tables, and the reference made from it."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.payloads.shape import schema
from api_pipeline.staging.fields import FIELDS, Conversion, Field
from api_pipeline.staging.issues import IssueRule
from api_pipeline.staging.tables import SSD_TABLES
from scripts.reference_fields import field_reference, specification_number


def leaves(node: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Return every field of the schema but the purge flags, by its path as the table writes it."""
    found: dict[str, dict[str, Any]] = {}
    for name, member in node["properties"].items():
        inner = member.get("items", member)
        inner_path = f"{path}{name}[]" if "items" in member else f"{path}{name}"
        if "properties" in inner:
            found |= leaves(inner, f"{inner_path}.")
        elif name != "purge":
            found[inner_path] = resolved(inner)
    return found


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    found: dict[str, Any] = {**schema()["$defs"][reference.rsplit("/", 1)[-1]], **node}
    return found


LEAVES = leaves(schema())


def test_field_table_follows_the_specification() -> None:
    specification = [path for path in LEAVES if not path.startswith("health")]
    table = [field.path for field in FIELDS if not field.path.startswith("health")]

    assert table == specification
    assert len(FIELDS) == len(LEAVES) == len({field.path for field in FIELDS})


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_length_and_code_list_are_those_of_the_schema(field: Field) -> None:
    node = LEAVES[field.path]
    is_date = node.get("format") == "date"
    codes = node.get("x-codes")

    assert field.length == (None if is_date else node.get("maxLength"))
    assert field.codes == (codes and codes.rsplit("/", 1)[-1])


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_a_fields_source_is_a_table_and_columns_that_are_read(field: Field) -> None:
    (table,) = [table for table in SSD_TABLES if table.name == field.table]

    assert field.columns
    assert set(field.columns) <= set(table.column_names)


def test_every_conversion_is_used() -> None:
    assert {field.conversion for field in FIELDS} == set(Conversion)


def test_every_conversion_and_rule_is_explained() -> None:
    assert [word for word in (*Conversion, *IssueRule) if not word.sentence] == []


def test_a_field_knows_its_own_name() -> None:
    names = {field.path: field.name for field in FIELDS}

    assert names["la_child_id"] == "la_child_id"
    assert names["child_details.disabilities[]"] == "disabilities"
    assert names["social_care_episodes[].adoption.placed_date"] == "placed_date"


def test_the_specifications_numbers_are_2_to_55_each_once() -> None:
    numbers = [specification_number(field) for field in FIELDS]

    assert sorted(int(number) for number in numbers if number) == list(range(2, 56))
    assert [field.path for field in FIELDS if not specification_number(field)] == ["mis_child_id"]


REFERENCE = field_reference()


def test_the_reference_has_a_row_for_every_field_conversion_and_rule() -> None:
    lines = REFERENCE.splitlines()

    assert [sum(line.startswith(f"| `{field.path}` |") for line in lines) for field in FIELDS] == [1] * len(FIELDS)
    for conversion in Conversion:
        assert sum(line.startswith(f"| {conversion.value} | {conversion.sentence}") for line in lines) == 1
    for rule in IssueRule:
        assert f"| `{rule.value}` | {rule.sentence} |" in lines


def test_reference_row_names_number_source_length_and_codes() -> None:
    assert (
        "| `social_care_episodes[].closure_reason` | 20 | `ssd_cin_episodes`: `cine_close_reason` | code | 3 | "
        "RC1, RC2, RC3, RC4, RC5, RC6, RC7, RC8, RC9 |"
    ) in REFERENCE.splitlines()
    assert "of earlier years H5, P2, Z1" in REFERENCE


def test_every_reference_row_has_as_many_cells_as_its_head() -> None:
    for block in REFERENCE.split("\n\n"):
        table = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in table}) <= 1
    assert all(code in REFERENCE for code in code_list("code_assessment_factor"))
