"""Whether a table is there and has the columns that it needs, read with no more rights than the table itself needs."""

from __future__ import annotations

from api_pipeline.db import Connection, Row, TableMissing, hidden_by_schema, refusal_of, unless_refused
from api_pipeline.errors import DatabaseError, SettingsError
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import check_ids
from api_pipeline.sql.expected_tables import ExpectedTable, Need, expected_staging_table
from api_pipeline.sql.identifiers import Dialect, parse_table_name, table_names
from api_pipeline.sql.statements import load
from api_pipeline.sql.table_comparison import FoundColumn, SchemaFinding, advice, compare, unreadable

QUERIES = "diagnostics_queries.sql"
# What a driver calls the types of the columns of a result, for a table that the catalogue does not show.
_TYPE_NAMES = {"str": "nvarchar", "bytearray": "varbinary", "bytes": "varbinary", "int": "int", "Decimal": "numeric"}
_LONGEST_PLAIN = 8000
_SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog", "sys"})
# A table of another kind may lack everything: one sentence is read, a page of them is not.
_SHOWN = 2


def check_staging_table(store: StagingTable, table_name: str) -> None:
    """Check that a run can read the staging table, as `test-schema` does. Errors: DatabaseError."""
    _check_layout(store.connection, table_name)
    store.check_table()
    check_ids(store)


def _check_layout(connection: Connection, table_name: str) -> None:
    wrong = lacking(connection, expected_staging_table(connection.dialect, table_name))
    if wrong:
        shown = [one.message for one in wrong[:_SHOWN]]
        if len(wrong) > _SHOWN:
            shown.append(f"There are {len(wrong) - _SHOWN} more findings.")
        raise DatabaseError(
            f"The staging table cannot be used, and nothing was sent: {' '.join(shown)} d2i-csc-api test-schema shows "
            f"all of it. To put it right: {advice(wrong[:_SHOWN])}"
        )


def lacking(connection: Connection, expected: ExpectedTable) -> list[SchemaFinding]:
    """Return what a table lacks of all that is required of it. Errors: DatabaseError.

    What the catalogue does not show (a table that only a synonym names, say) is left to the statements themselves.
    """
    found = found_columns(connection, expected.name)
    return [one for one in differences(connection, found, expected) if one.need is Need.REQUIRED] if found else []


def refuse_second_table(connection: Connection, table_name: str) -> None:
    """Check that making the table would not make a second one beside that of another schema.

    A name with its schema says where the table is meant to be. Errors: SettingsError.
    """
    names = table_names(table_name, connection.dialect)
    if parse_table_name(table_name).schema is not None or found_columns(connection, names.staging):
        return
    if elsewhere := found_elsewhere(connection, table_name):
        detail, remedy = elsewhere
        raise SettingsError(
            f"{detail} Nothing was made: {remedy} To make one all the same, name it with its schema: --table "
            f"SCHEMA.{table_name}."
        )


def found_elsewhere(connection: Connection, table_name: str) -> tuple[str, str] | None:
    """Return what to say of a table of the same name in another schema, and the advice; None where there is none."""
    if connection.dialect is Dialect.SQLITE:
        return None
    name = parse_table_name(table_name)
    if name.schema is None and (hidden := hidden_by_schema(connection, name.table.text)):
        detail, remedy = hidden
        return f"{detail}.", f"{remedy}."
    rows = connection.query(load(QUERIES)[f"elsewhere_{connection.dialect.value}"].sql, [name.table.text])
    schemas = [str(row[0]) for row in rows if str(row[0]).lower() not in _SYSTEM_SCHEMAS]
    if name.schema is not None:
        schemas = [schema for schema in schemas if schema.lower() != name.schema.text.lower()]
    if not schemas:
        return None
    names = [f"{schema}.{name.table.text}" for schema in schemas]
    return (
        f"There is no table {table_name} where this login looks for it, but there is {' and '.join(names)}.",
        f"set TABLE_NAME={names[0]}, if that is the staging table, instead of making a second one.",
    )


def found_columns(connection: Connection, table: str) -> list[FoundColumn]:
    """Return the columns of a table, whose name is as it stands in SQL; none where there is no such table.

    Errors: DatabaseError.
    """
    if connection.dialect is Dialect.SQLSERVER:
        return _on_sql_server(connection, table)
    parameters = [table]
    if connection.dialect is Dialect.SQLITE:
        schema, _, name = table.replace('"', "").rpartition(".")
        parameters = [name, schema or "main"]
    return _columns(connection.query(load(QUERIES)[f"columns_{connection.dialect.value}"].sql, parameters))


def differences(connection: Connection, found: list[FoundColumn], expected: ExpectedTable) -> list[SchemaFinding]:
    """Return the differences between the columns of a table and what is expected of it. Errors: DatabaseError."""
    findings = compare(found, expected, letters_matter=_letters_matter(connection, found, expected))
    if findings and (why := _why_hidden(connection, expected.name)):
        return [unreadable(expected, why)]
    return findings


def _why_hidden(connection: Connection, table: str) -> str | None:
    """Return why a table of which the catalogue does not show everything cannot be read; None where there is none.

    SQL Server shows a login only what it has a right on, of a table too. Errors: ConnectionLost, DatabaseBusy.
    """
    refusal = refusal_of(connection, table)
    return None if refusal is None or isinstance(refusal, TableMissing) else str(refusal)


def _letters_matter(connection: Connection, found: list[FoundColumn], expected: ExpectedTable) -> bool:
    """Return whether the table lacks a column only because its name is written with other letters, large for small.

    SQL Server compares names by the database's collation, PostgreSQL letter by letter; the statement itself shows it.
    """
    names = {column.name for column in found}
    lowered = {name.lower() for name in names}
    odd = [column.name for column in expected.columns if column.name not in names and column.name in lowered]
    return bool(odd) and refusal_of(connection, expected.name, ", ".join(odd)) is not None


def _on_sql_server(connection: Connection, table: str) -> list[FoundColumn]:
    schema, _, name = table.replace("[", "").replace("]", "").rpartition(".")
    schemas = [schema] if schema else [str(connection.query(load(QUERIES)["schema_sqlserver"].sql)[0][0]), "dbo"]
    for one in dict.fromkeys(schemas):
        rows = connection.query(load(QUERIES)["columns_sqlserver"].sql, [name, one])
        if rows:
            return _columns(rows)
    return _columns_seen(connection, table)


def _columns_seen(connection: Connection, table: str) -> list[FoundColumn]:
    """Return the columns as a result without rows shows them; none where that statement is refused.

    Errors: ConnectionLost, DatabaseBusy.
    """
    sql = load(QUERIES)["columns_seen_sqlserver"].sql.format(any_table=table)
    return [_seen(*column) for column in unless_refused(lambda: connection.describe(sql)) or ()]


def _seen(name: str, kind: type, size: int, is_nullable: bool) -> FoundColumn:
    type_name = _TYPE_NAMES.get(kind.__name__, kind.__name__)
    # A size beyond that of any plain type is a type without limit.
    return FoundColumn(name, type_name, None if size > _LONGEST_PLAIN else size, is_nullable)


def _columns(rows: list[Row]) -> list[FoundColumn]:
    return [
        FoundColumn(str(name), str(kind or ""), None if size is None else int(size), bool(is_nullable))
        for name, kind, size, is_nullable in rows
    ]
