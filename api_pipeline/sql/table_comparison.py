"""How a table that is there differs from what is expected of it (`expected_tables`). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from api_pipeline.sql.expected_tables import SIZE, UNLIMITED, ColumnKind, ExpectedColumn, ExpectedTable, Need, kind_of

# Types of SQL Server for texts in a code page.
_NARROW = frozenset({"varchar", "char", "text"})


class FoundColumn(NamedTuple):
    """A column as the database describes it: the type's name, its length in characters (or bytes), and nullability.

    `size` may be None, 0, -1 or very large for a type without limit; a length in the type's name counts as well.
    """

    name: str
    type_name: str
    size: int | None
    is_nullable: bool


class SchemaFinding(NamedTuple):
    """One difference: what it is (`message`) and what to do about it (`remedy`, with a `statement` where one helps).

    `column` is None where it is about the whole table.
    """

    table: str
    column: str | None
    need: Need
    message: str
    remedy: str
    statement: str = ""


def compare(
    found: Sequence[FoundColumn], expected: ExpectedTable, *, letters_matter: bool = False
) -> list[SchemaFinding]:
    """Return the differences between a table and what is expected of it, in the order of the script's columns.

    `found` is empty where there is no such table. Columns that nobody expects are left alone. `letters_matter` says
    that `Person_ID` is another name than `person_id` here.
    """
    if not found:
        message = f"The table {expected.name} does not exist: {expected.why}."
        remedy = f"d2i-csc-api deploy-schema --apply makes it (packaged script {expected.script})"
        return [SchemaFinding(expected.name, None, expected.need, message, remedy)]
    there = {column.name.lower(): column for column in found}
    findings: list[SchemaFinding] = []
    for column in expected.columns:
        if column.name in there and letters_matter and there[column.name].name != column.name:
            findings.append(_misspelt(there[column.name], column, expected))
        elif column.name in there:
            findings.extend(_differences(there[column.name], column, expected))
        else:
            findings.append(_missing(column, expected))
    return findings


def advice(findings: Sequence[SchemaFinding]) -> str:
    """Return what to do about the differences: each remedy once, and below it its statements, one on each line."""
    parts = []
    for remedy in dict.fromkeys(one.remedy for one in findings):
        statements = [one.statement for one in findings if one.remedy == remedy and one.statement]
        parts.append("\n".join([remedy, *statements]))
    parts.sort(key=lambda part: "\n" in part)
    return "; ".join(parts)


def unreadable(expected: ExpectedTable, why: str) -> SchemaFinding:
    """Return the finding for a table that is there and that this login cannot read; `why` is a sentence."""
    message = f"The table {expected.name} cannot be read: {expected.why}. {why}"
    return SchemaFinding(expected.name, None, expected.need, message, "give this login the rights that are missing")


def _size_of(column: FoundColumn) -> int:
    name = column.type_name.lower()
    written = SIZE.search(name)
    if written:
        return int(written[1])
    if not column.size or column.size < 0 or any(word in name for word in ("text", "json", "max", "bytea", "xml")):
        return UNLIMITED
    return column.size


def _differences(found: FoundColumn, column: ExpectedColumn, table: ExpectedTable) -> list[SchemaFinding]:
    def finding(need: Need, message: str) -> SchemaFinding:
        remedy = f"the packaged script {table.script} has it as: {column.name} {column.definition}"
        return SchemaFinding(table.name, column.name, need, f"{table.name}.{column.name} {message}", remedy)

    kind = kind_of(found.type_name)
    if kind is not ColumnKind.UNDECLARED and kind not in column.kinds:
        return [finding(column.need, f"is {found.type_name}, which does not hold {column.kinds[0].value}.")]
    findings = []
    if (kind, column.kinds[0]) == (ColumnKind.TEXT, ColumnKind.BINARY):
        findings.append(finding(Need.RECOMMENDED, f"is {found.type_name}; it works, but bytes are compared exactly."))
    if column.definition.startswith("NVARCHAR(MAX)") and found.type_name.lower() in _NARROW:
        said = "under most collations a letter that its code page lacks is stored as a question mark, without an error."
        findings.append(finding(Need.RECOMMENDED, f"is {found.type_name}: {said}"))
    if "json" in found.type_name.lower():
        said = "the database rewrites JSON, so that a payload is not sent byte for byte as it was staged."
        findings.append(finding(Need.RECOMMENDED, f"is {found.type_name}: {said}"))
    if column.min_length is not None and _size_of(found) < column.min_length:
        expected = "no limit" if column.min_length == UNLIMITED else f"at least {column.min_length}"
        findings.append(finding(column.need, f"holds {_size_of(found)} characters or bytes; expected {expected}."))
    if column.must_accept_null and not found.is_nullable:
        findings.append(finding(column.need, "refuses null, which the pipeline writes into it."))
    return findings


def _misspelt(found: FoundColumn, column: ExpectedColumn, table: ExpectedTable) -> SchemaFinding:
    return SchemaFinding(
        table.name,
        column.name,
        column.need,
        f"The table {table.name} has no column {column.name} ({column.need.value}) but {found.name}: this database "
        "tells capital from small letters in names.",
        f"rename it to {column.name}, or name a view in TABLE_NAME that calls its columns as {table.script} does",
    )


def _missing(column: ExpectedColumn, table: ExpectedTable) -> SchemaFinding:
    purpose = f": {column.why}" if column.why else ""
    message = f"The table {table.name} has no column {column.name} ({column.need.value}){purpose}."
    statement = _addition(column, table)
    if statement:
        remedy = (
            f"no packaged script alters a table that exists; add what is missing, with the types of {table.script}:"
        )
    else:
        remedy = (
            f"{column.name} is the primary key and cannot be added to a table that exists: rename {table.name}, make "
            "it anew with d2i-csc-api deploy-schema --apply, and copy its rows"
        )
    return SchemaFinding(table.name, column.name, column.need, message, remedy, statement)


def _addition(column: ExpectedColumn, table: ExpectedTable) -> str:
    """Return the statement that adds a column, "" where there is none: rows that are there have no key."""
    definition = column.definition
    if "PRIMARY KEY" not in definition:
        # Rows that are there have no value for it, and a default would give them one: they would seem to be pending.
        definition = definition.partition(" DEFAULT ")[0].replace("NOT NULL", "NULL")
    elif "IDENTITY" not in definition:
        return ""
    return f"ALTER TABLE {table.name} ADD {column.name} {definition};"
