"""The T-SQL of all services, read as SQL Server reads it: what it must parse, reserve, compare and keep in an index.

The rules are Microsoft's: reserved words stand in brackets, OFFSET follows an ORDER BY, a clustered key has 900 bytes,
any other 1,700 (900 before 2016), and nothing is newer than SQL Server 2012. A database whose collation is binary
compares names letter by letter, and a login's language decides how a date such as '2026-05-04' is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.db import dialect_pieces
from api_pipeline.sdr import schema as sdr
from api_pipeline.sql import ddl
from api_pipeline.sql.binding import rows_as_table
from api_pipeline.sql.identifiers import _RESERVED, Dialect, parse_table_name
from api_pipeline.sql.statements import load
from api_pipeline.staging import preflight
from api_pipeline.xporter import schema as xporter
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.layout import Names
from api_pipeline.xporter.typed import typed_column

pytestmark = pytest.mark.unmeasured

NAMES = Names(Dialect.SQLSERVER)
ENDPOINTS = load_catalogue().endpoints
FILES = (
    *("queries.sql", "staging_queries.sql", "report_queries.sql", "explain_queries.sql", "rights_queries.sql"),
    *("anonymise_queries.sql", "diagnostics_queries.sql", "sdr_queries.sql", "xporter/queries.sql"),
)
NEWER = re.compile(
    r"\bDROP\s+\w+\s+IF\s+EXISTS|CREATE\s+OR\s+ALTER|\bISJSON|\bJSON_(?:VALUE|QUERY|MODIFY|OBJECT|ARRAY|PATH_EXISTS)|OPENJSON|FOR\s+JSON|STRING_AGG|STRING_SPLIT|"
    r"\bTRIM\s*\(|CONCAT_WS|\bTRANSLATE\s*\(|AT\s+TIME\s+ZONE|\bGREATEST\b|\bLEAST\b|\bMERGE\b|\bLIMIT\b|\|\|",
    re.IGNORECASE,
)
BYTES = {"NVARCHAR": 2, "NCHAR": 2, "VARCHAR": 1, "CHAR": 1, "BINARY": 1, "VARBINARY": 1}
FIXED = {"INT": 4, "BIGINT": 8, "DATETIME2": 8}
# Collations, and names of columns of school data, which stand in brackets and are made with the same letters.
WRITTEN_LARGE = {"Latin1_General_BIN2", "DATABASE_DEFAULT"}
# A statement in the words of one parser of T-SQL that does not know it.
CALLS = ("lock_sqlserver", "unlock_sqlserver")


def statements() -> Iterator[tuple[str, str]]:
    """Yield name and text of every named statement that goes to SQL Server, each as it is sent there."""
    for file in FILES:
        for one in load(file).values():
            if one.name.endswith(("_postgresql", "_sqlite")) or one.name in (*CALLS, "only_listed"):
                continue
            given = dict.fromkeys(("person", "matching", "odd_words", "after", "filter", "more", "ssd", "prefix"), "")
            given |= {
                "columns": "id",
                "values": "(@v)",
                "tuples": "(@v)",
                "ids": "IN (@v)",
                "children": "IN (@v)",
                "people": "IN (@v)",
                "spellings": "IN (@v)",
            }
            given |= {"alike": " COLLATE DATABASE_DEFAULT", "as_text": "", "catalogue": "", "names": "@v"}
            given |= {"keys": "IN (@v)", "assignments": "first_seen = NULL", "version": "1", "milliseconds": "1"}
            given |= {
                "rows": rows_as_table(Dialect.SQLSERVER, (int, str, str, str, str, str), 1),
                "delta": "done.delta",
                "payload": "changed.payload",
            }
            given |= dialect_pieces(Dialect.SQLSERVER, 10)
            if file.startswith("xporter"):
                given |= {"person": "[ssd_person]", "type": "NVARCHAR(MAX)"}
            names = set(re.findall(r"\{(\w+)\}", one.sql)) - set(given)
            sql = str(one.sql).format(
                **given, **{name: f"[dbo].[{name}]" if name in TABLES else f"[{name}]" for name in names}
            )
            if one.name == "insert_copy":
                sql = sql.replace("((@v))", "(@v)")
            yield f"{file.partition('.')[0]}-{one.name}", re.sub(r"\?[a-z]*", "@v", sql)
    for number, sql in enumerate(preflight.statements(Dialect.SQLSERVER, "ssd")):
        yield f"preflight-{number}", sql


TABLES = (
    *("table", "held", "log", "unconfirmed", "runs", "left_window", "built", "any_table", "ssd_table", "filter_table"),
    *("staging", "submission", "validation", "source", "target", "school", "sync", "run", "run_log", "match", "outbox"),
    *("parent", "person", "cla"),
)
STATEMENTS = dict(statements())


@cache
def parsed_statements() -> dict[str, list[exp.Expr | None]]:
    """Return what each statement is, parsed once for all tests."""
    return {name: sqlglot.parse(sql, dialect="tsql") for name, sql in STATEMENTS.items()}


@cache
def created() -> list[tuple[str, exp.Create]]:
    """Return every table and index that the scripts make, of the school data those of some endpoints."""
    made = []
    scripts = ddl.statements(Dialect.SQLSERVER, "ssd_api_data_staging")
    scripts += ddl.split(Dialect.SQLSERVER, sdr.render(Dialect.SQLSERVER, "sdr_staging"))
    scripts += xporter.statements(NAMES, ENDPOINTS[:4])
    for text in scripts:
        found = re.search(r"^ *CREATE (?:TABLE|INDEX) .*?(?=;?\n?END TRY|;?\Z)", text, re.DOTALL | re.MULTILINE)
        if found is not None:
            parsed = sqlglot.parse_one(found[0], dialect="tsql")
            assert isinstance(parsed, exp.Create), text
            made.append((text, parsed))
    return made


def test_every_statement_is_t_sql_of_2012_with_no_reserved_word_bare() -> None:
    assert len(STATEMENTS) > 200
    assert {name: found for name in STATEMENTS if (found := list(refused(name)))} == {}


def refused(name: str) -> Iterator[str]:
    """Yield what a server of 2012 would refuse in a statement."""
    (parsed,) = parsed_statements()[name]
    if not isinstance(parsed, (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Set, exp.Alter)):
        yield "a statement of another kind"
        return
    if parsed.find(exp.Command):
        yield "what sqlglot did not understand"
    yield from NEWER.findall(re.sub(r"'[^']*'", "''", STATEMENTS[name]))
    yield from {one.name.lower() for one in parsed.find_all(exp.Identifier) if not one.quoted} & _RESERVED
    if any(one.args.get("offset") and not one.args.get("order") for one in parsed.find_all(exp.Select)):
        yield "an offset without an order"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 WHERE ISJSON(a) = 1",
        "SELECT plan FROM t",
        "DROP TABLE IF EXISTS t",
        "SELECT a FROM t OFFSET 2 ROWS",
        "SHUTDOWN NOW",
    ],
)
def test_what_a_server_of_2012_would_refuse_shows(sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STATEMENTS, "refused", sql)
    monkeypatch.setitem(parsed_statements(), "refused", sqlglot.parse(sql, dialect="tsql"))

    assert list(refused("refused")) != []


def names_in(parsed: exp.Expr) -> set[str]:
    """Return the names in a statement as they are written, but those of variables and types."""
    return {one.name for one in parsed.find_all(exp.Identifier) if not isinstance(one.parent, exp.Parameter)}


def test_names_are_spelt_as_a_database_with_a_binary_collation_knows_them() -> None:
    assert {name: found for name in STATEMENTS if (found := misspelt(name))} == {}


def misspelt(name: str) -> set[str]:
    """Return the names of a statement that such a database does not know."""
    (parsed,) = parsed_statements()[name]
    if parsed is None or isinstance(parsed, exp.Set):
        return set()
    if "INFORMATION_SCHEMA" in STATEMENTS[name]:
        return {one for one in names_in(parsed) if one != one.upper()}
    return {one for one in names_in(parsed) - WRITTEN_LARGE if one != one.lower()}


def test_columns_are_made_with_the_names_by_which_statements_ask_for_them() -> None:
    for text, made in created():
        if "xporter" not in text:
            assert all(name == name.lower() for name in names_in(made) - WRITTEN_LARGE), text


def test_no_date_is_written_as_a_text_that_a_language_reads_its_own_way() -> None:
    texts = [*STATEMENTS.values(), *(text for text, _ in created())]
    assert [text for text in texts if re.search(r"'\d{4}-?\d\d-?\d\d|'\d\d?[/.]\d\d?[/.]\d{2}", text)] == []


def test_no_time_of_the_staging_table_is_read_as_it_is() -> None:
    """Its column may be a DATETIMEOFFSET, which no ODBC driver for Python reads (type -155)."""
    for name, (parsed,) in parsed_statements().items():
        for select in parsed.find_all(exp.Select) if parsed is not None else ():
            read = {one.name for one in select.expressions if isinstance(one, exp.Column)}
            assert not read & {"submission_timestamp", "last_updated"}, name


def test_every_service_has_tables_here() -> None:
    assert len(created()) > 30
    assert any("sdr_held" in text for text, _ in created())
    assert any("xporter.[xporter_sync]" in text for text, _ in created())


def test_every_key_fits_and_no_name_is_a_reserved_word_bare() -> None:
    widths: dict[str, dict[str, int]] = {}
    for text, made in created():
        assert not {one.name.lower() for one in made.find_all(exp.Identifier) if not one.quoted} & _RESERVED
        if made.args["kind"] == "TABLE":
            table = made.this.this.name
            widths[table] = {one.name: width(one) for one in made.find_all(exp.ColumnDef)}
            keys = [[part.name for part in key.expressions] for key in made.find_all(exp.PrimaryKey)]
            inline = [one.name for one in made.find_all(exp.ColumnDef) if one.find(exp.PrimaryKeyColumnConstraint)]
            for key in [*keys, inline]:
                assert sum(widths[table][name] for name in key) <= 900, text
        else:
            table = made.this.args["table"].name
            names = [column.name for column in made.this.find_all(exp.Column)]
            assert names
            assert all(widths[table][name] <= 900 for name in names if name in widths[table]), text


def width(column: exp.ColumnDef) -> int:
    """Return how many bytes of a key a column takes; a text without limit takes too many."""
    kind = column.args["kind"].this.name
    size = column.args["kind"].find(exp.DataTypeParam)
    if kind in FIXED:
        return FIXED[kind]
    return BYTES.get(kind, 1) * int(size.name) if size is not None and size.name.isdigit() else 10_000


def test_a_column_compared_with_a_parameter_is_unicode_as_the_parameter_is() -> None:
    """Under a collation whose name begins with SQL_ the server reads the whole table otherwise."""
    keys = (
        "estab",
        "time_window",
        "row_key",
        "run_id",
        "endpoint",
        "collection",
        "local_id",
        "receiver",
        "status",
        "kind",
    )
    for text, made in created():
        if "xporter" in text or "sdr_" in text:
            for column in made.find_all(exp.ColumnDef):
                if column.name in keys:
                    assert column.args["kind"].this.name == "NVARCHAR", f"{column.name} of {text[:80]}"


def test_typed_views_make_nothing_of_an_empty_text() -> None:
    """SQL Server converts an empty text to 0, and to the first of January 1900."""
    by_type = {field.type: field for endpoint in ENDPOINTS for table in endpoint.tables for field in table.fields}
    assert {"date", "datetime", "integer"} <= set(by_type)
    for field in by_type.values():
        sql = typed_column(NAMES, field)
        assert "TRY_CONVERT" not in sql or re.match(r"CASE WHEN \[\w+\] LIKE '[%\[]+0-9", sql), sql
        sqlglot.parse_one(f"SELECT {sql}", dialect="tsql")


def test_a_hyphen_that_means_itself_is_the_first_of_its_set() -> None:
    """So Microsoft documents it; at the end of a set not every server that speaks T-SQL takes it for itself."""
    views = [
        typed_column(NAMES, field) for endpoint in ENDPOINTS for table in endpoint.tables for field in table.fields
    ]
    scripts = [*preflight.statements(Dialect.SQLSERVER, "ssd"), *views]
    sets = {one for text in scripts for one in re.findall(r"\[\^?((?:.-.|[^]])+)\](?=[^']*')", text) if "-" in one}

    assert {"-A-Za-z0-9_", "-0-9", "-0-9."} <= sets
    assert all("-" not in re.sub(r".-.", "", one.removeprefix("-")) for one in sets), sets


@pytest.mark.parametrize("word", ["Plan", "public", "file", "statistics", "external", "within", "order"])
def test_a_table_whose_name_is_reserved_stands_in_brackets(word: str) -> None:
    assert parse_table_name(f"dbo.{word}").sql(Dialect.SQLSERVER) == f"dbo.[{word}]"
    assert parse_table_name(f"{word}.rows").sql(Dialect.POSTGRESQL) == f'"{word.lower()}".rows'


def test_views_of_school_data_are_made_or_altered_where_they_differ_by_one_batch_of_2012() -> None:
    script = xporter.statements(NAMES, load_catalogue().endpoints, with_ssd="[dbo].")
    views = [text for text in script if "VIEW" in text]
    assert len(views) > 200
    for text in views:
        found = re.fullmatch(
            r"DECLARE @view NVARCHAR\(MAX\) = N'(VIEW (.+?) AS\n.+)'\n"
            r"IF OBJECT_ID\(N'(.+)', N'V'\) IS NULL EXEC\(N'CREATE ' \+ @view\)\n"
            r"ELSE IF ISNULL\(\(SELECT definition FROM sys\.sql_modules "
            r"WHERE object_id = OBJECT_ID\(N'(.+)', N'V'\)\), N''\) <> "
            r"\(N'CREATE ' \+ @view\) COLLATE Latin1_General_BIN2\n    EXEC\(N'ALTER ' \+ @view\)",
            text,
            re.DOTALL,
        )
        assert found, text
        assert found[2] == found[3] == found[4]
        statement = "CREATE " + found[1].replace("''", "'")
        assert not NEWER.findall(re.sub(r"'[^']*'", "''", statement))
        made = sqlglot.parse_one(statement, dialect="tsql")
        assert isinstance(made, exp.Create), text
        assert not made.find(exp.Command), text
