"""The SQL Server scripts, which cannot be run here: parsed, and held to what SQL Server 2012 knows."""

from __future__ import annotations

import json
import re

import jsonschema_rs
import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.errors import SettingsError
from api_pipeline.sdr import schema as sdr
from api_pipeline.sql import ddl
from api_pipeline.sql.expected_tables import expected_staging_table
from api_pipeline.sql.identifiers import Dialect, table_names
from tests.support.commands import ROOT

_GUARD = re.compile(r"IF (?P<condition>.+?)\n(?P<body>(?:CREATE|INSERT)\b.*)", re.DOTALL)
# An index that is there under a name that the catalogue does not show is not an error either.
_TRIED = re.compile(
    r"BEGIN TRY\n(?P<body>.*)\nEND TRY\n"
    r"BEGIN CATCH\n    IF ERROR_NUMBER\(\) NOT IN \(1913, 1919, 1944, 2714\) THROW;\nEND CATCH",
    re.DOTALL,
)

_LATER_THAN_2012 = re.compile(
    r"DROP\s+\w+\s+IF\s+EXISTS|CREATE\s+OR\s+ALTER|ISJSON|JSON_VALUE|JSON_QUERY|JSON_MODIFY|OPENJSON|FOR\s+JSON|"
    r"STRING_AGG|STRING_SPLIT|\bTRIM\s*\(|CONCAT_WS|\bTRANSLATE\s*\(|AT\s+TIME\s+ZONE|\bINDEX\s+\w+\s*\([^)]*\)\s*,",
    re.IGNORECASE,
)
_DESTRUCTIVE = (exp.Drop, exp.Delete, exp.Update, exp.Alter, exp.TruncateTable, exp.Merge)
TABLE = "[ssd].[ssd_api_data_staging]"
FIRST = "SET QUOTED_IDENTIFIER ON"
SCRIPTS = [
    ddl.statements(Dialect.SQLSERVER, TABLE),
    ddl.split(Dialect.SQLSERVER, sdr.render(Dialect.SQLSERVER, "[ssd].[sdr_staging]")),
]
STATEMENTS = [statement for script in SCRIPTS for statement in script[1:]]


def test_script_begins_with_the_setting_that_sqlcmd_lacks() -> None:
    assert [script[0] for script in SCRIPTS] == [FIRST, FIRST]


def _parsed(statement: str) -> tuple[exp.Expr, exp.Expr]:
    guard = _GUARD.fullmatch(_TRIED.sub(lambda tried: tried["body"].strip(), statement))
    assert guard is not None, statement
    condition = sqlglot.parse_one(f"SELECT 1 WHERE {guard['condition']}", dialect="tsql")
    return condition, sqlglot.parse_one(guard["body"], dialect="tsql")


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_statement_parses_and_stands_behind_a_guard(statement: str) -> None:
    condition, body = _parsed(statement)

    assert isinstance(body, exp.Create | exp.Insert)
    for part in (condition, body):
        assert not list(part.find_all(exp.Command)), "sqlglot did not understand the statement"
        assert not list(part.find_all(*_DESTRUCTIVE))


def test_guard_asks_for_the_very_thing_that_the_statement_makes() -> None:
    for statement in STATEMENTS:
        condition, body = _parsed(statement)
        asked = {literal.this for literal in condition.find_all(exp.Literal, exp.National)}
        if isinstance(body, exp.Insert):
            assert "[ssd].[ssd_api_data_staging_anon]" in asked
        elif body.args["kind"] == "TABLE":
            assert body.this.this.sql(dialect="tsql") in asked
        else:
            assert body.this.name in asked
            assert body.this.args["table"].sql(dialect="tsql") in asked


def test_all_tables_are_made_in_the_schema_of_the_staging_table() -> None:
    made = {
        body.this.this.sql(dialect="tsql")
        for _, body in map(_parsed, SCRIPTS[0][1:])
        if isinstance(body, exp.Create) and body.args["kind"] == "TABLE"
    }

    assert made == {
        "[ssd].[ssd_api_data_staging]",
        "[ssd].[ssd_api_data_staging_anon]",
        "[ssd].ssd_api_held",
        "[ssd].ssd_api_submission_log",
        "[ssd].ssd_api_unconfirmed",
        "[ssd].ssd_api_left_window",
        "[ssd].ssd_api_built",
        "[ssd].ssd_api_runs",
    }


@pytest.mark.parametrize("version", ddl.VERSIONS)
def test_script_keeps_to_what_sql_server_2012_knows(version: str) -> None:
    text = re.sub(r"N'[^']*'|-- .*", "", ddl.render(Dialect.SQLSERVER, TABLE, version))

    assert _LATER_THAN_2012.search(text) is None


def test_scripts_for_both_versions_differ_in_their_first_line_alone() -> None:
    newer, older = (ddl.render(Dialect.SQLSERVER, TABLE, version).splitlines() for version in ddl.VERSIONS)

    assert newer[1:] == older[1:]
    assert "2016" in newer[0]
    assert "2012" in older[0]


def test_unknown_version_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="SQL Server 2008"):
        ddl.render(Dialect.SQLSERVER, TABLE, "2008")


def test_clustered_keys_fit_into_the_900_bytes_of_sql_server_2012() -> None:
    for _, body in map(_parsed, SCRIPTS[0][1:]):
        key = body.find(exp.PrimaryKey)
        if key is None:
            continue
        columns = {column.name: column for column in body.find_all(exp.ColumnDef)}
        lengths = [int(columns[part.name].find(exp.DataTypeParam).name) for part in key.expressions]  # type: ignore[union-attr]
        assert sum(2 * length for length in lengths) <= 900


@pytest.mark.parametrize("dialect", Dialect)
def test_every_statement_is_explained_to_the_administrator(dialect: Dialect) -> None:
    lines = ddl.render(dialect, "ssd_api_data_staging").splitlines()

    starts = [
        number
        for number, line in enumerate(lines)
        if re.match(r"(IF|CREATE|INSERT|DO|SET)\b", line) and not re.match(r"IF |   AND ", lines[number - 1])
    ]
    assert len(starts) == len(ddl.statements(dialect, "ssd_api_data_staging"))
    assert all(lines[number - 1].startswith("-- ") for number in starts)


@pytest.mark.parametrize("dialect", Dialect)
def test_no_placeholder_is_left_in_the_script(dialect: Dialect) -> None:
    assert re.search(r"\{[a-z_]+\}", ddl.render(dialect, "a.b")) is None


@pytest.mark.parametrize("dialect", Dialect)
def test_sample_payloads_are_valid_and_carry_their_rows_person_id(dialect: Dialect) -> None:
    schema = json.loads((ROOT / "api_pipeline/data/csc_payload.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    insert = ddl.statements(dialect, "ssd_api_data_staging")[-1]

    texts = [text for text in re.findall(r"'([^']*)'", insert) if text.startswith("{")]
    payloads = [json.loads(text) for text in texts]
    people = re.findall(r"\(N?'(\w+)', ", insert)

    assert len(people) == len(set(people)) == 4
    assert {payload["la_child_id"] for payload in payloads} == set(people)
    for text, payload in zip(texts, payloads, strict=True):
        assert "null" not in text
        assert validator.is_valid(payload)


@pytest.mark.parametrize(
    ("table", "dialect", "expected"),
    [
        ("Staging", Dialect.POSTGRESQL, "CREATE TABLE IF NOT EXISTS Staging ("),
        ("[Staging]", Dialect.POSTGRESQL, 'CREATE TABLE IF NOT EXISTS "Staging" ('),
        ("[dbo].[Staging]", Dialect.SQLITE, 'CREATE TABLE IF NOT EXISTS "dbo"."Staging" ('),
        ("[dbo].[Staging]", Dialect.SQLSERVER, "CREATE TABLE [dbo].[Staging] ("),
        ("dbo.order", Dialect.SQLSERVER, "CREATE TABLE dbo.[order] ("),
        ("Order", Dialect.POSTGRESQL, 'CREATE TABLE IF NOT EXISTS "order" ('),
        ("2026_rows", Dialect.SQLITE, 'CREATE TABLE IF NOT EXISTS "2026_rows" ('),
    ],
)
def test_names_are_quoted_where_the_database_needs_it(table: str, dialect: Dialect, expected: str) -> None:
    assert expected in ddl.render(dialect, table)


@pytest.mark.parametrize("table", ["a b", "x;y", "a.b.c", "", "[a", "a]", "x'y", "ssd--", "[a]b", "täble", "a.", "a\n"])
def test_anything_else_is_refused_as_a_table_name(table: str) -> None:
    with pytest.raises(SettingsError, match="TABLE_NAME"):
        ddl.render(Dialect.SQLITE, table)


@pytest.mark.parametrize("table", ["x.Rows", "x.Rows_anon", "x.Rows_ANON", "[x].[Rows]"])
def test_anonymised_table_name_is_derived_from_either_name(table: str) -> None:
    text = ddl.render(Dialect.SQLITE, table)

    made = re.findall(r"CREATE TABLE IF NOT EXISTS (\S+) ", text)
    assert [name.replace('"', "").lower() for name in made[:2]] == ["x.rows", "x.rows_anon"]


def test_long_table_names_still_get_indexes_of_different_names() -> None:
    text = ddl.render(Dialect.POSTGRESQL, "a" * 58)

    names = re.findall(r"CREATE INDEX IF NOT EXISTS (\S+) ", text)
    assert len(names) == len(set(names)) == 7
    assert all(len(name) <= 63 for name in names)


@pytest.mark.parametrize(("dialect", "most"), [(Dialect.POSTGRESQL, 63), (Dialect.SQLSERVER, 128)])
def test_name_that_the_database_would_cut_off_is_refused(dialect: Dialect, most: int) -> None:
    longest = "a" * (most - len("_anon"))
    ddl.render(dialect, longest)
    with pytest.raises(SettingsError, match=f"has {most + 1} letters, and the database takes at most {most}"):
        # Cut off, the copy's name is the live table's, and the sample's records would go into it.
        ddl.render(dialect, longest + "a")
    table_names("a" * most, dialect)
    with pytest.raises(SettingsError, match="choose a shorter one"):
        table_names("a" * (most + 1), dialect)


def test_live_table_whose_copy_could_have_no_name_is_still_compared() -> None:
    assert expected_staging_table(Dialect.POSTGRESQL, "a" * 63).name == "a" * 63
