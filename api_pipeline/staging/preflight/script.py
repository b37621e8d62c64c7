"""The pre-flight script as text: one SELECT for each table, one row for each rule."""

from __future__ import annotations

from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.fields import FIELDS
from api_pipeline.staging.preflight.dialects import Sql
from api_pipeline.staging.preflight.relations import relation_rules
from api_pipeline.staging.preflight.rules import PreflightRule, field_rules
from api_pipeline.staging.tables import SSD_TABLES, SsdTable

# `rule` alone is a reserved word of SQL Server.
COLUMNS = ("table_name", "column_name", "rule_name", "effect", "found", "example_key")
ROWS_IN_ALL = "rows in all"
_TABLES = {table.name: table for table in SSD_TABLES}
_NAMES = {Dialect.SQLSERVER: "SQL Server 2012 or later", Dialect.POSTGRESQL: "PostgreSQL", Dialect.SQLITE: "SQLite"}
_HEAD = """\
-- Pre-flight checks of the Standard Safeguarding Dataset (SSD) for csc-api-pipeline, for {database}.
--
-- Read-only: it consists of SELECT statements and changes nothing. Run it in the database that holds the SSD.
-- Each statement checks one table and returns one row for each rule:
--   found        how many rows break the rule (in the first row: how many rows the table has)
--   example_key  the key of one of them, to look it up by; no names, dates or other values are shown
--   effect       what the program makes of such a row
-- A table or column that is missing here makes its own statement fail; the others still run.
-- Old rows count too, also those outside the reporting window, which are never sent.
"""


def render(dialect: Dialect, schema: str = "") -> str:
    """Return the whole script for a database; `schema` is that of the SSD's tables.

    Errors: SettingsError where `schema` is not a name of a schema.
    """
    end = "\nGO\n" if dialect is Dialect.SQLSERVER else ";\n"
    body = "\n".join(statement + end for statement in statements(dialect, schema))
    return f"{_HEAD.format(database=_NAMES[dialect])}\n{body}"


def statements(dialect: Dialect, schema: str = "") -> list[str]:
    """Return the script's statements, one for each table that is checked. Errors: as `render`."""
    sql = Sql(dialect, schema)
    rules = all_rules()
    return [
        "\nUNION ALL\n".join(
            [_row_count(table, sql), *(_select(rule, sql) for rule in rules if rule.table == table.name)]
        )
        for table in SSD_TABLES
    ]


def all_rules() -> list[PreflightRule]:
    """Return every rule: those of the field table, then those that concern two columns or two tables."""
    return [*(rule for field in FIELDS for rule in field_rules(field)), *relation_rules()]


def _row_count(table: SsdTable, sql: Sql) -> str:
    return _select(PreflightRule(table.name, table.key[0], ROWS_IN_ALL, "-", lambda _sql: "1 = 1"), sql)


def _select(rule: PreflightRule, sql: Sql) -> str:
    words = (sql.literal(word) for word in (rule.table, rule.column, rule.name, rule.effect))
    key = sql.as_id(f"t.{_TABLES[rule.table].key[0]}")
    values = (*words, "COUNT(*)", f"MIN({key})")
    shown = ", ".join(f"{value} AS {name}" for value, name in zip(values, COLUMNS, strict=True))
    return f"SELECT {shown}\nFROM {sql.table(rule.table)} AS t\nWHERE {rule.where(sql)}"
