"""The packaged scripts that make the staging table, its anonymised copy and their control tables (contract 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files

from api_pipeline.errors import SettingsError
from api_pipeline.sql.identifiers import (
    ANONYMISED_ENDING,
    CONTROL_TABLES,
    Dialect,
    Identifier,
    QualifiedName,
    parse_table_name,
)

VERSIONS = ("2016", "2012")
# One script serves every version of SQL Server; its first line says which versions a copy of it is for.
_VERSIONS_OF = {"sqlserver_2016.sql": "2016 and later", "sqlserver_2012.sql": "2012 and 2014"}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
# PostgreSQL cuts a longer name off without a word; two indexes could then end up with one name.
_LONGEST_NAME = 63
_INDEXES = {
    "staging_due_index": ("staging", "due"),
    "staging_person_index": ("staging", "person"),
    "anon_due_index": ("anon", "due"),
    "anon_person_index": ("anon", "person"),
    "log_run_index": ("log", "run"),
    "log_person_index": ("log", "person"),
}


def script_name(dialect: Dialect, version: str = "2016") -> str:
    """Return the name of the packaged script; `version` is SQL Server's, 2016 (and later) or 2012 (and 2014).

    Errors: SettingsError for another version.
    """
    if dialect is not Dialect.SQLSERVER:
        return f"{dialect.value}.sql"
    if version not in VERSIONS:
        raise SettingsError(f"There is no script for SQL Server {version}; expected one of {', '.join(VERSIONS)}.")
    return f"sqlserver_{version}.sql"


def render(dialect: Dialect, table_name: str, version: str = "2016") -> str:
    """Return the whole script, comments and all, with the names that belong to a TABLE_NAME put in.

    TABLE_NAME may name the live staging table or its anonymised copy (ending in `_anon`); the script makes both.
    Errors: SettingsError where it is not a table name, or for an unknown version.
    """
    names = _names(dialect, table_name)
    if dialect is Dialect.SQLSERVER:
        names["sqlserver_versions"] = _VERSIONS_OF[script_name(dialect, version)]
    text = (files("api_pipeline") / "data" / "ddl" / f"{dialect.value}.sql").read_text(encoding="utf-8")
    return _PLACEHOLDER.sub(lambda found: names[found[1]], text)


def statements(dialect: Dialect, table_name: str) -> list[str]:
    """Return the script's statements one by one, in order and without comments, as a driver takes them.

    Errors: SettingsError where `table_name` is not a table name.
    """
    return split(dialect, render(dialect, table_name))


def split(dialect: Dialect, script: str) -> list[str]:
    """Return the statements of a script one by one, in order and without comments, as a driver takes them."""
    separator = r"^GO$" if dialect is Dialect.SQLSERVER else r";\n(?=\n|\Z)"
    parts = re.split(separator, script, flags=re.MULTILINE)
    bare = (_without_comments(part).strip().rstrip(";") for part in parts)
    return [statement for statement in bare if statement]


def apply(execute: Callable[[str], object], dialect: Dialect, table_name: str) -> None:
    """Make what is missing, by `execute` for each statement; what is there stays as it is.

    Errors: SettingsError where `table_name` is not a table name, and whatever `execute` raises.
    """
    for statement in statements(dialect, table_name):
        execute(statement)


def _without_comments(part: str) -> str:
    """Take the comments out: a driver that looks for parameters and quotes would find them in there."""
    lines = (re.sub(r"(^|\s+)--( .*)?$", "", line) for line in part.splitlines())
    return "\n".join(line for line in lines if line)


def table_names(dialect: Dialect, table_name: str) -> list[str]:
    """Return the tables that the script makes, quoted. Errors: SettingsError where `table_name` is not a table name."""
    names = _names(dialect, table_name)
    return [names[key] for key in ("staging", "anon", *CONTROL_TABLES)]


def _names(dialect: Dialect, table_name: str) -> dict[str, str]:
    staging, anon = live_and_copy(parse_table_name(table_name))
    tables = {"staging": staging, "anon": anon}
    tables.update((key, staging.beside(name)) for key, name in CONTROL_TABLES.items())
    names = {key: name.sql(dialect) for key, name in tables.items()}
    names.update((f"{key}_unqualified", name.table.sql(dialect)) for key, name in tables.items())
    for key, (table, column) in _INDEXES.items():
        names[key] = _index_name(dialect, tables[table], column)
    names["schema"] = staging.schema.sql(dialect) if staging.schema else "public"
    return names


def live_and_copy(name: QualifiedName) -> tuple[QualifiedName, QualifiedName]:
    """Return the live staging table and its anonymised copy, whichever of the two was named."""
    text = name.table.text
    if text.lower().endswith(ANONYMISED_ENDING) and len(text) > len(ANONYMISED_ENDING):
        live = Identifier(text[: -len(ANONYMISED_ENDING)], name.table.is_quoted)
        return QualifiedName(name.schema, live), name
    return name, QualifiedName(name.schema, Identifier(text + ANONYMISED_ENDING, name.table.is_quoted))


def _index_name(dialect: Dialect, table: QualifiedName, column: str) -> str:
    name = f"ix_{table.table.text}_{column}".lower()
    if len(name) > _LONGEST_NAME:
        digest = sha256(name.encode("ascii")).hexdigest()[:8]
        name = f"{name[: _LONGEST_NAME - 9]}_{digest}"
    # SQLite alone wants the schema before the index instead of before the table.
    if dialect is Dialect.SQLITE:
        return table.beside(name).sql(dialect)
    return name
