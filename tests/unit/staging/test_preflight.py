"""The pre-flight script: what it asks, that it only asks, and what stands in the archive of a release."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from functools import cache
from pathlib import Path
from subprocess import run

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.errors import SettingsError
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.fields import FIELDS, Conversion
from api_pipeline.staging.preflight import render, statements
from api_pipeline.staging.preflight.rules import field_rules
from api_pipeline.staging.preflight.script import COLUMNS, all_rules
from api_pipeline.staging.tables import SSD_TABLES
from tests.support.commands import ROOT, invoke_cli

_SQLGLOT = {Dialect.SQLSERVER: "tsql", Dialect.POSTGRESQL: "postgres", Dialect.SQLITE: "sqlite"}
_LATER_THAN_2012 = re.compile(
    r"ISJSON|JSON_VALUE|OPENJSON|STRING_AGG|STRING_SPLIT|\bTRIM\s*\(|CONCAT_WS|TRANSLATE|TRY_", re.I
)
# Any text may be sent as a name; the expected birth date and the flag depend on other columns (see relations).
_NOTHING_BY_ITSELF = {Conversion.TEXT, Conversion.EXPECTED_DATE, Conversion.UASC_FLAG}


@cache
def parsed_statements(dialect: Dialect) -> list[list[exp.Expr | None]]:
    """Return what each statement for a schema is, parsed once for all tests."""
    return [sqlglot.parse(statement, dialect=_SQLGLOT[dialect]) for statement in statements(dialect, "ssd_development")]


@pytest.mark.unmeasured
@pytest.mark.parametrize("dialect", Dialect)
def test_every_statement_is_one_select_and_nothing_else(dialect: Dialect) -> None:
    for found in parsed_statements(dialect):
        (parsed,) = found

        assert isinstance(parsed, exp.Select | exp.Union)
        forbidden = (exp.Command, exp.Into, exp.Insert, exp.Update, exp.Delete, exp.Drop, exp.Create, exp.Merge)
        assert not list(parsed.find_all(*forbidden))


def test_script_for_sql_server_needs_nothing_newer_than_2012() -> None:
    assert not _LATER_THAN_2012.search(render(Dialect.SQLSERVER))


@pytest.mark.unmeasured
def test_no_column_of_the_result_is_a_reserved_word_of_sql_server() -> None:
    # Those of SQL Server's list of reserved words that a result like this one might be tempted by.
    reserved = {"rule", "check", "column", "table", "key", "order", "percent", "plan", "user", "index", "case", "group"}

    for (parsed,) in parsed_statements(Dialect.SQLSERVER):
        assert parsed is not None
        aliases = {alias.alias for alias in parsed.find_all(exp.Alias)}
        assert aliases == set(COLUMNS)
        assert not aliases & reserved


def test_sql_server_script_has_one_batch_for_each_table() -> None:
    batches = re.split(r"^GO$", render(Dialect.SQLSERVER), flags=re.MULTILINE)

    assert len([batch for batch in batches if batch.strip()]) == len(SSD_TABLES)


@pytest.mark.unmeasured
@pytest.mark.parametrize("dialect", Dialect)
def test_every_table_is_named_with_the_schema(dialect: Dialect) -> None:
    for (parsed,) in parsed_statements(dialect):
        assert parsed is not None
        assert {table.db for table in parsed.find_all(exp.Table)} == {"ssd_development"}


def test_every_table_is_checked_and_every_rule_has_a_name_of_its_own() -> None:
    rules = all_rules()

    assert {rule.table for rule in rules} == {table.name for table in SSD_TABLES}
    assert len({(rule.table, rule.column, rule.name) for rule in rules}) == len(rules)
    columns = {table.name: table.column_names for table in SSD_TABLES}
    assert all(rule.column in columns[rule.table] for rule in rules)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_every_field_with_a_form_has_a_rule(field: object) -> None:
    (found,) = [known for known in FIELDS if known is field]

    assert bool(list(field_rules(found))) == (found.conversion not in _NOTHING_BY_ITSELF)


def test_script_is_plain_ascii_and_says_that_it_only_reads() -> None:
    for dialect in Dialect:
        text = render(dialect)
        assert text.isascii()
        assert "Read-only" in text


def test_schema_that_is_no_name_is_refused() -> None:
    with pytest.raises(SettingsError):
        render(Dialect.SQLSERVER, "dbo; DROP TABLE x")


@pytest.mark.parametrize("dialect", Dialect)
def test_command_prints_the_script_without_settings(dialect: Dialect, tmp_path: Path) -> None:
    done = invoke_cli(["preflight", "--dialect", dialect.value, "--schema", "ssd"], {}, tmp_path)

    assert done.code == 0
    assert done.out == render(dialect, "ssd")


def test_command_prints_for_sql_server_unless_told_otherwise(tmp_path: Path) -> None:
    assert invoke_cli(["preflight"], {}, tmp_path).out == render(Dialect.SQLSERVER)


def test_command_refuses_a_schema_that_is_no_name(tmp_path: Path) -> None:
    done = invoke_cli(["preflight", "--schema", "a b"], {}, tmp_path)

    assert done.code == 2
    assert "Traceback" not in done.text


def test_archive_of_a_release_holds_the_three_scripts_and_how_to_use_them(tmp_path: Path) -> None:
    made = [tmp_path / "one" / "checks.zip", tmp_path / "two" / "checks.zip"]
    for path in made:
        script = str(ROOT / "scripts" / "make_preflight.py")
        run([sys.executable, script, str(path)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})

    with zipfile.ZipFile(made[0]) as archive:
        texts = {name: archive.read(name).decode("ascii").replace("\r\n", "\n") for name in archive.namelist()}
    assert made[0].read_bytes() == made[1].read_bytes()
    assert texts.keys() == {"README.txt", *(f"preflight_{dialect.value}.sql" for dialect in Dialect)}
    for dialect in Dialect:
        assert texts[f"preflight_{dialect.value}.sql"] == render(dialect)
        assert f"preflight_{dialect.value}.sql" in texts["README.txt"]
