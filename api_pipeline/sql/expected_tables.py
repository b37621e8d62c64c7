"""What the staging table and its control tables must look like (contract 1, 3); `table_comparison` compares.

Names, types and purposes of the columns are read from the packaged scripts, so that the two cannot disagree. A staging
table that another tool made may have less than the script would give it; what it must have stands in `_STAGING`.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from api_pipeline.sql.ddl import render, script_name
from api_pipeline.sql.identifiers import CONTROL_TABLES, STAGING_TABLE, Dialect, table_names

UNLIMITED = 2**30 - 1
_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\S+) \(\n(.*?)\n\);", re.DOTALL)
_COLUMN = re.compile(r"^    (?P<name>[a-z_]+) (?P<definition>.+?),?(?:  -- (?P<purpose>.*))?$")
SIZE = re.compile(r"\((\d+)\)")
"""The length in the name of a type, such as NVARCHAR(48)."""


class ColumnKind(str, Enum):
    """What a column holds, whatever a database calls the type."""

    INTEGER = "whole numbers"
    TEXT = "text"
    BINARY = "bytes"
    UUID = "ids of the type uuid"
    TIMESTAMP = "a time"
    OTHER = "something else"
    UNDECLARED = "anything"


class Need(str, Enum):
    """Whether the pipeline cannot work without something, or works better with it."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"


class ExpectedColumn(NamedTuple):
    """A column the pipeline looks for.

    `kinds` are the kinds that do, the best first; another than the first gets a remark. `min_length` is in characters
    (bytes), UNLIMITED where no limit will do, None where length does not matter. `must_accept_null` is whether the
    pipeline writes nulls into it. `definition` is the column's type in the packaged script.
    """

    name: str
    kinds: tuple[ColumnKind, ...]
    need: Need
    why: str
    definition: str
    min_length: int | None = None
    must_accept_null: bool = False


class ExpectedTable(NamedTuple):
    """A table the pipeline looks for, its name as it stands in SQL, and the packaged script that makes it."""

    name: str
    need: Need
    why: str
    script: str
    columns: tuple[ExpectedColumn, ...]


class _Asked(NamedTuple):
    """What is asked of one column of the staging table, where that is less or more than the script gives it."""

    need: Need = Need.REQUIRED
    min_length: int | None = None
    must_accept_null: bool = False


_STAGING: dict[str, _Asked] = {
    "id": _Asked(),
    "person_id": _Asked(min_length=20),
    "legacy_id": _Asked(Need.RECOMMENDED),
    "previous_json_payload": _Asked(min_length=UNLIMITED, must_accept_null=True),
    "json_payload": _Asked(min_length=UNLIMITED),
    "partial_json_payload": _Asked(min_length=UNLIMITED, must_accept_null=True),
    "current_hash": _Asked(min_length=32),
    "previous_hash": _Asked(min_length=32, must_accept_null=True),
    "submission_status": _Asked(min_length=len("pending")),
    "submission_timestamp": _Asked(must_accept_null=True),
    "api_response": _Asked(min_length=UNLIMITED),
    "row_state": _Asked(min_length=len("unchanged")),
    "last_updated": _Asked(Need.RECOMMENDED),
}
# Whether a run of deltas refuses to start without a control table, and what the table is for.
_CONTROL = {
    "held": (
        True,
        "what a receiver holds of a child; without it deltas are refused and vanished parts cannot be purged",
    ),
    "log": (True, "the audit trail of every record sent; without it deltas are refused"),
    "unconfirmed": (True, "which records were under way when a run was cut off; without it deltas are refused"),
    "left_window": (
        False,
        "what left the time window of stage; without it such parts are purged as if they were deleted",
    ),
    "built": (False, "what stage built each payload from; without it every payload is built again each night"),
    "runs": (False, "the journal of runs, which status shows"),
}


def expected_tables(dialect: Dialect, table_name: str, *, deltas: bool = False) -> tuple[ExpectedTable, ...]:
    """Return the staging table that TABLE_NAME names, and its control tables, as the pipeline expects them.

    With `deltas` the control tables without which a run of deltas refuses to start are required too.
    Errors: SettingsError where `table_name` is not a table name.
    """
    names = table_names(table_name, dialect)
    script = script_name(dialect)
    bodies = _bodies(dialect)
    staging = _staging_table(names.staging, dialect, bodies)
    control_tables = (
        ExpectedTable(
            getattr(names, key),
            Need.REQUIRED if deltas and of_deltas else Need.RECOMMENDED,
            why,
            script,
            _columns(bodies[CONTROL_TABLES[key]], dialect, is_staging=False),
        )
        for key, (of_deltas, why) in _CONTROL.items()
    )
    return (staging, *control_tables)


def expected_staging_table(dialect: Dialect, table_name: str) -> ExpectedTable:
    """Return the staging table that TABLE_NAME names, as the pipeline expects it.

    Each run asks for it alone: to read what the script says of all tables takes three times as long.
    Errors: SettingsError where `table_name` is not a table name.
    """
    name = table_names(table_name, dialect).staging
    return _staging_table(name, dialect, _bodies(dialect))


def kind_of(type_name: str) -> ColumnKind:
    """Return what a column of this type holds; the names are those of ODBC drivers, catalogues and SQLite."""
    name = type_name.lower()
    if not name:
        return ColumnKind.UNDECLARED
    if "timestamp" in name or "datetime" in name:
        return ColumnKind.TIMESTAMP
    if name == "uuid":
        return ColumnKind.UUID
    if any(word in name for word in ("char", "text", "json", "clob", "uniqueidentifier", "xml")):
        return ColumnKind.TEXT
    if any(word in name for word in ("binary", "bytea", "blob", "image")):
        return ColumnKind.BINARY
    if any(word in name for word in ("int", "serial", "numeric", "decimal")):
        return ColumnKind.INTEGER
    return ColumnKind.OTHER


def _bodies(dialect: Dialect) -> dict[str, str]:
    """Return what the script says of each table, by the name that it has where TABLE_NAME names no other."""
    return dict(_TABLE.findall(render(dialect, STAGING_TABLE)))


def _staging_table(name: str, dialect: Dialect, bodies: dict[str, str]) -> ExpectedTable:
    columns = _columns(bodies[STAGING_TABLE], dialect, is_staging=True)
    return ExpectedTable(name, Need.REQUIRED, "the rows that are to be sent", script_name(dialect), columns)


def _columns(body: str, dialect: Dialect, *, is_staging: bool) -> tuple[ExpectedColumn, ...]:
    found = (_COLUMN.match(line) for line in body.splitlines())
    return tuple(_column(match, dialect, is_staging=is_staging) for match in found if match)


def _column(match: re.Match[str], dialect: Dialect, *, is_staging: bool) -> ExpectedColumn:
    name, definition = match["name"], match["definition"]
    may_be_null = "NOT NULL" not in definition and "PRIMARY KEY" not in definition
    asked = _STAGING[name] if is_staging else _Asked(min_length=_length(definition), must_accept_null=may_be_null)
    return ExpectedColumn(
        name=name,
        kinds=_kinds(name, definition, dialect),
        need=asked.need,
        why=match["purpose"] or "",
        definition=definition,
        # SQLite keeps any length, whatever a column's type says.
        min_length=None if dialect is Dialect.SQLITE else asked.min_length,
        must_accept_null=asked.must_accept_null,
    )


def _kinds(name: str, definition: str, dialect: Dialect) -> tuple[ColumnKind, ...]:
    kind = kind_of(definition.split("(")[0].split()[0])
    if name in ("current_hash", "previous_hash"):
        return (ColumnKind.BINARY, ColumnKind.TEXT)
    if dialect is Dialect.SQLITE and (name.endswith(("_at", "_timestamp")) or name == "last_updated"):
        return (kind, ColumnKind.TIMESTAMP)
    # PostgreSQL alone has the type: it compares no text with it. Elsewhere the word stands for a text.
    if kind is ColumnKind.TEXT and (dialect is not Dialect.POSTGRESQL or name == "legacy_id"):
        return (kind, ColumnKind.UUID)
    return (kind,)


def _length(definition: str) -> int | None:
    size = SIZE.search(definition)
    if size:
        # The 3 of DATETIME2(3) is a number of decimals.
        return int(size[1]) if kind_of(definition) in (ColumnKind.TEXT, ColumnKind.BINARY) else None
    return UNLIMITED if "MAX" in definition or definition.startswith("TEXT") else None
