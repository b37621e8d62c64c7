"""The tables of the Single Data Return: their names, and the packaged scripts that make them."""

from __future__ import annotations

from dataclasses import dataclass

from api_pipeline.db import Connection, connect
from api_pipeline.sql import ddl
from api_pipeline.sql.connection_string import is_embedded
from api_pipeline.sql.identifiers import Dialect, QualifiedName, parse_table_name

_BESIDE = {
    "held": "sdr_held",
    "submission": "sdr_submission",
    "validation": "sdr_validation",
    "log": "sdr_submission_log",
    "runs": "sdr_runs",
}
_INDEXES = {
    "staging_page_index": ("staging", "page"),
    "log_run_index": ("log", "run"),
    "log_record_index": ("log", "record"),
}


@dataclass(frozen=True, slots=True)
class Tables:
    """The six tables, each quoted and safe to put into a statement."""

    staging: str
    held: str
    submission: str
    validation: str
    log: str
    runs: str


def tables(table_name: str, dialect: Dialect) -> Tables:
    """Return the names for SDR_TABLE_NAME; the others stand in the staging table's schema. Errors: SettingsError."""
    names = {key: name.sql(dialect) for key, name in _names(table_name).items()}
    return Tables(**names)


def render(dialect: Dialect, table_name: str) -> str:
    """Return the script, comments and all. Errors: SettingsError where `table_name` is not a table name."""
    text = ddl.packaged(f"sdr_{dialect.value}")
    given = _names(table_name)
    names = {key: name.sql(dialect) for key, name in given.items()}
    names.update((f"{key}_unqualified", name.table.sql(dialect)) for key, name in given.items())
    staging = given["staging"]
    names["staging_key"] = f"uq_{staging.table.text}_record".lower()
    names["schema"] = staging.schema.sql(dialect) if staging.schema else "public"
    for key, (table, column) in _INDEXES.items():
        index = f"ix_{given[table].table.text}_{column}".lower()
        names[key] = given[table].beside(index).sql(dialect) if dialect is Dialect.SQLITE else index
    return ddl.PLACEHOLDER.sub(lambda found: names[found[1]], text)


def apply(connection: Connection, table_name: str) -> None:
    """Make what is missing; what is there stays as it is."""
    for statement in ddl.split(connection.dialect, render(connection.dialect, table_name)):
        connection.execute(statement)


def script_for(connection_string: str, table_name: str, dialect: str | None) -> str:
    """Return the script for `dialect`, or for the configured database without one. Errors: DatabaseError."""
    if dialect or is_embedded(connection_string):
        return render(Dialect(dialect or "sqlite"), table_name)
    connection = connect(connection_string)
    try:
        return render(connection.dialect, table_name)
    finally:
        connection.close()


def make_tables(connection_string: str, table_name: str) -> None:
    """Run the script on the configured database, and make an embedded one that is missing. Errors: DatabaseError."""
    connection = connect(connection_string, create=True)
    try:
        apply(connection, table_name)
    finally:
        connection.close()


def _names(table_name: str) -> dict[str, QualifiedName]:
    staging = parse_table_name(table_name, "SDR_TABLE_NAME")
    return {"staging": staging, **{key: staging.beside(name) for key, name in _BESIDE.items()}}
