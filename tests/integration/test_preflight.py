"""The pre-flight script on real databases: silent about an SSD in order, and each planted error found by its rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.sandbox.synthetic_ssd import create_tables
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.preflight import statements
from api_pipeline.staging.preflight.rules import PreflightRule
from api_pipeline.staging.preflight.script import ROWS_IN_ALL, all_rules
from api_pipeline.staging.tables import SSD_TABLES, SsdTable
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase
from tests.support.preflight_rows import CLEAN, VALUES, Rows

_TABLES = {table.name: table for table in SSD_TABLES}


@pytest.fixture
def ssd(database: TestDatabase) -> TestDatabase:
    """SSD tables as councils have them: without keys, and wide enough for what Mosaic's columns take."""

    def execute(sql: str) -> None:
        database.execute(re.sub(r", PRIMARY KEY \(.*?\)\)$", ")", sql))

    create_tables(execute, database.dialect, database.schema)
    if database.dialect is not Dialect.SQLITE:
        to_type = "TYPE " if database.dialect is Dialect.POSTGRESQL else ""
        for table, column in (
            ("ssd_cla_placement", "clap_cla_placement_postcode"),
            ("ssd_sdq_scores", "csdq_sdq_score"),
            ("ssd_person", "pers_upn_unknown"),
        ):
            database.execute(f"ALTER TABLE {database.named(table)} ALTER COLUMN {column} {to_type}VARCHAR(100)")
    return database


_REAL = pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)


@_REAL
def test_an_ssd_in_order_breaks_no_rule(ssd: TestDatabase) -> None:
    _fill(ssd, CLEAN)

    found = [row for table in _TABLES for row in _results(ssd, table)]
    assert {row["rule"] for row in found if row["found"]} == {ROWS_IN_ALL}
    assert len(found) == len(all_rules()) + len(SSD_TABLES)


@_REAL
def test_each_planted_error_is_found_by_its_rule(ssd: TestDatabase) -> None:
    wrong: dict[str, object] = {}
    _fill(ssd, CLEAN)
    for rule in all_rules():
        table = _TABLES[rule.table]
        rows = deepcopy(CLEAN)
        key = _plant(rule, rows)
        assert [name for name in rows if rows[name] != CLEAN[name]] == [table.name]
        _fill(ssd, rows, [table])
        found = {
            row["rule"]: (row["found"], row["example_key"])
            for row in _results(ssd, rule.table)
            if row["column_name"] == rule.column and row["found"] and row["rule"] != ROWS_IN_ALL
        }
        expected = {rule.name: (2 if rule.name == "the same key twice" else 1, key)}
        if found != expected:
            wrong[f"{rule.column}: {rule.name}"] = found
        _fill(ssd, CLEAN, [table])

    assert not wrong


@_REAL
def test_every_code_and_every_usual_way_to_write_it_is_taken(ssd: TestDatabase) -> None:
    columns = {
        ("ssd_person", "pers_ethnicity"): code_list("code_ethnicity"),
        ("ssd_cin_episodes", "cine_referral_source_code"): (*code_list("code_referral_source"), "10 x", "4x", " 3f x"),
        ("ssd_cin_episodes", "cine_close_reason"): (*code_list("code_closure_reason"), " rc8 - closed"),
        ("ssd_cla_episodes", "clae_cla_episode_ceased_reason"): (
            *code_list("code_end_reason"),
            *("E4A Returned", "e4b\tx", "E8 Other", "E 8", None, " "),
        ),
        ("ssd_cla_episodes", "clae_cla_episode_start_reason"): (*code_list("code_start_reason"), "s x", None, ""),
        ("ssd_cla_placement", "clap_cla_placement_type"): (*code_list("code_placement_type"), "H5", "U1 x", "Z14 x"),
        ("ssd_care_leavers", "clea_care_leaver_activity"): (*code_list("code_care_leaver_activity"), "f2 x", ""),
        ("ssd_assessment_factors", "cinf_assessment_factors_json"): (None, "", "null", "[]", '{"1A":"Yes"}'),
        ("ssd_cin_episodes", "cine_referral_nfa"): (None, "", " ", "Y", "y", "t", "1", "N", "f", "0"),
        ("ssd_person", "pers_upn"): (None, "", "UN10", " un4 "),
    }
    wrong: list[str] = []
    for (table, column), values in columns.items():
        rows = deepcopy(CLEAN)
        key = _TABLES[table].key[0]
        rows[table] = [
            {**CLEAN[table][0], column: value, key: f"{CLEAN[table][0][key]}{number or ''}"}
            for number, value in enumerate(values)
        ]
        _fill(ssd, rows)
        allowed = {ROWS_IN_ALL, "missing in a closed episode"}
        wrong += [
            f"{column}: {row['rule']} {row['example_key']}"
            for row in _results(ssd, table)
            if row["column_name"] == column and row["found"] and row["rule"] not in allowed
        ]

    assert not wrong


def test_the_script_runs_on_every_database(ssd: TestDatabase) -> None:
    _fill(ssd, CLEAN)

    assert [row["found"] for table in _TABLES for row in _results(ssd, table) if row["rule"] == ROWS_IN_ALL] == [1] * 19


def _plant(rule: PreflightRule, rows: Rows) -> str:
    """Break one rule in rows that break none; return the key of the row that breaks it."""
    (row,) = rows[rule.table]
    key = _TABLES[rule.table].key[0]
    if rule.name.startswith("longer than"):
        length = int(rule.name.split()[2])
        row[rule.column] = "X" * (length + 1)
    elif rule.name.startswith("characters other than"):
        row[rule.column] = "A/1"
    elif rule.name.startswith("not in ssd_"):
        row[rule.column] = "nobody"
    elif rule.name == "the same key twice":
        rows[rule.table].append(dict(row))
    elif rule.name == "NONE beside another code":
        rows[rule.table].append({**row, "disa_table_id": "D2", "disa_disability_code": "none"})
        return "D2"
    elif rule.name == "there, but the episode is open":
        row["cine_close_date"] = None
    else:
        row[rule.column] = VALUES[rule.name]
        if rule.name == "before today without a birth date: an estimate?":
            row["pers_dob"] = None
        if rule.column == "cine_referral_date" and rule.name == "after tomorrow":
            row["cine_close_date"] = None
    return str(row[key])


def _fill(database: TestDatabase, rows: Rows, tables: Iterable[SsdTable] = SSD_TABLES) -> None:
    for table in tables:
        name = database.named(table.name)
        database.execute(f"DELETE FROM {name}")
        for row in rows[table.name]:
            values = [_bound(database, table, column, row.get(column)) for column in table.column_names]
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT INTO {name} ({', '.join(table.column_names)}) VALUES ({marks})", values)


def _bound(database: TestDatabase, table: SsdTable, column: str, value: object) -> object:
    if isinstance(value, datetime) and database.dialect is Dialect.SQLITE:
        return value.isoformat(" ", "milliseconds")
    if column == "csdq_sdq_score" and database.dialect is Dialect.POSTGRESQL and value is not None:
        return str(value)
    return value


_statements = cache(statements)


def _results(database: TestDatabase, table: str) -> list[dict[str, Any]]:
    position = list(_TABLES).index(table)
    statement = _statements(database.dialect, database.schema)[position]
    names = ("table_name", "column_name", "rule", "effect", "found", "example_key")
    return [dict(zip(names, row, strict=True)) for row in database.rows(statement)]


def test_invalid_schema_name_is_reported_by_the_option(tmp_path: Path) -> None:
    done = invoke_cli(["preflight", "--schema", "a;b"], {}, tmp_path)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: --schema: expected schema or database.schema of letters, digits and _")


@pytest.mark.parametrize("schema", ["dbo", "db.dbo", "[HDM].[ssd]"])
def test_a_schema_may_have_the_forms_of_the_setting(tmp_path: Path, schema: str) -> None:
    done = invoke_cli(["preflight", "--schema", schema], {}, tmp_path)

    assert done.code == 0, done.text
    assert f"FROM {schema}.ssd_person AS t" in done.out
