"""The documentation's reference of the fields that `stage` fills, made from the field table and the list of issues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from api_pipeline.payloads.shape import schema
from api_pipeline.staging.fields import FIELDS, Conversion, Explained, Field
from api_pipeline.staging.issues import IssueRule
from scripts.reference_commands import cell


def field_reference() -> str:
    """Return three Markdown tables: every field and its source, what each conversion does, and every rule of issues."""
    parts = (
        "## Fields",
        _table(("Field", "No.", "From", "Conversion", "Length", "Codes"), map(_field_row, FIELDS)),
        "## Conversions",
        _table(("Conversion", "What it does"), map(_named, Conversion)),
        "## Data-quality rules",
        _table(("Rule", "What was found, and what is done"), map(_named, IssueRule)),
    )
    return "\n\n".join(parts) + "\n"


def _named(word: Explained) -> tuple[str, ...]:
    return (f"`{word.value}`" if "_" in word.value else word.value, word.sentence)


def _field_row(field: Field) -> tuple[str, ...]:
    columns = ", ".join(f"`{column}`" for column in field.columns)
    return (
        f"`{field.path}`",
        specification_number(field),
        f"`{field.table}`: {columns}",
        field.conversion.value,
        "" if field.length is None else str(field.length),
        _codes(field),
    )


def specification_number(field: Field) -> str:
    """Return the number that the specification has for a field; "" where it has none."""
    node: Any = schema()
    for step in field.path.split("."):
        node = node["properties"][step.removesuffix("[]")]
        number = node.get("x-spec-no", "")
        node = node.get("items", node)
    return str(number)


def _codes(field: Field) -> str:
    if field.codes is None:
        return ""
    earlier = legacy_codes(field.codes)
    listed = ", ".join(code_list(field.codes))
    return f"{listed}; of earlier years {', '.join(earlier)}" if earlier else listed


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)
