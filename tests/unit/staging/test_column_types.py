"""Dates with a zone and ids of several collations are read from SQL Server without an error of its own."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.db import dialect_pieces
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import NamedSql, load
from api_pipeline.staging.column_types import ColumnTypes, column_types
from api_pipeline.staging.reader import FILE, among_people
from api_pipeline.staging.tables import SSD_TABLES, SsdKind

PLAIN, OTHER = "Latin1_General_CI_AS", "SQL_Latin1_General_CP1_CI_AS"
REFERRAL = ("dbo", "ssd_cin_episodes", "cine_referral_id", "nvarchar", PLAIN)
READING = [statement for name, statement in load(FILE).items() if name.startswith("ssd_")]
EVERY_DATE = frozenset(column.name for table in SSD_TABLES for column in table.columns if column.kind is SsdKind.DATE)


def test_dates_with_a_zone_and_ids_of_two_collations_are_seen() -> None:
    found = column_types(
        [
            REFERRAL,
            ("dbo", "SSD_CIN_EPISODES", "cine_referral_date", "datetimeoffset", None),
            ("dbo", "ssd_cin_episodes", "cine_close_date", "datetime", None),
            ("dbo", "ssd_cin_assessments", "cina_referral_id", "nvarchar", OTHER),
        ],
        "",
    )
    assert found == ColumnTypes(frozenset({"cine_referral_date"}), is_mixed=True)


def test_usual_ssd_is_read_as_its_statements_stand() -> None:
    found = column_types([REFERRAL, ("dbo", "ssd_person", "pers_dob", "datetime", None)], "dbo")
    sql = load(FILE)["ssd_person"].sql
    assert found == ColumnTypes()
    assert found.applied(sql) is sql


def test_tables_of_another_schema_and_columns_not_read_say_nothing() -> None:
    rows = [
        REFERRAL,
        ("old", "ssd_cin_assessments", "cina_referral_id", "nvarchar", OTHER),
        ("old", "ssd_person", "pers_dob", "datetimeoffset", None),
        ("dbo", "ssd_person", "pers_death_date", "datetimeoffset", None),
        ("dbo", "ssd_person", "pers_surname", "nvarchar", OTHER),
    ]
    assert column_types(rows, "DBO") == ColumnTypes()


def person(column: str, data_type: str, collation: str | None = OTHER) -> tuple[str, str, str, str, str | None]:
    table = "ssd_person" if column.startswith("pers") else "ssd_disability"
    return ("dbo", table, column, data_type, collation)


@pytest.mark.parametrize(
    ("people", "others", "is_narrow", "orders_differ"),
    [
        ("nvarchar", "nvarchar", False, False),
        ("nvarchar", "varchar", False, False),
        ("varchar", "varchar", True, False),
        ("char", "varchar", True, False),
        ("varchar", "nvarchar", True, True),
    ],
)
def test_ids_sorted_as_varchar_are_compared_as_varchar(
    people: str, others: str, is_narrow: bool, orders_differ: bool
) -> None:
    found = column_types([person("pers_person_id", people), person("disa_person_id", others)], "")

    assert (found.is_narrow, found.orders_differ) == (is_narrow, orders_differ)


@pytest.mark.parametrize("name", [*(statement.name for statement in READING), "is_person", "people_of_chunk"])
def test_every_id_of_a_person_is_cast_to_the_type_that_sorts_it(name: str) -> None:
    pieces = {"ssd": "[ssd].", "cin_plan_id": "cinp_cin_plan_id", "alike": "", "as_text": "", "filter": ""}
    sql = load(FILE)[name].sql.format(**pieces)

    cast = ColumnTypes(is_narrow=True).applied(sql)

    assert cast.count("CAST(? AS VARCHAR(100))") == cast.count("?") == sql.count("?")
    assert cast.name == sql.name
    assert ColumnTypes(EVERY_DATE, is_narrow=True).applied(sql).count("CAST(? AS VARCHAR(100))") == sql.count("?")


@pytest.mark.parametrize("statement", READING, ids=lambda statement: statement.name)
def test_statement_with_both_repairs_is_t_sql_that_reads_the_same_columns(statement: object) -> None:
    sql = getattr(statement, "sql")  # noqa: B009 - a parameter's type
    pieces = {"ssd": "[ssd].", "cin_plan_id": "cinp_cin_plan_id", "as_text": ""}
    plain = sql.format(**pieces, alike="")
    repaired = ColumnTypes(EVERY_DATE).applied(
        sql.format(**pieces, alike=dialect_pieces(Dialect.SQLSERVER, 0)["usual"])
    )
    assert isinstance(repaired, NamedSql)
    assert repaired.name == sql.name
    (before,), (after,) = (sqlglot.parse(text.replace("?", "@value"), dialect="tsql") for text in (plain, repaired))
    assert isinstance(before, exp.Select)
    assert isinstance(after, exp.Select)
    assert after.named_selects == before.named_selects
    dates = [name for name in before.named_selects if name in EVERY_DATE]
    assert [column.alias for column in after.selects if isinstance(column, exp.Alias)] == dates
    # Every comparison of two columns has a side whose collation is named.
    assert len(list(after.find_all(exp.Collate))) == len(list(after.find_all(exp.In)))


def test_only_statements_with_a_comparison_name_a_collation() -> None:
    for statement in READING:
        assert len(re.findall(r"{alike}", statement.sql)) == statement.sql.count(" IN ("), statement.name


def test_each_id_that_is_compared_with_a_text_is_made_one_where_it_must() -> None:
    for statement in READING:
        assert statement.sql.count("{as_text} IN (") == statement.sql.count(" IN ("), statement.name


@pytest.mark.parametrize("statement", READING, ids=lambda statement: statement.name)
def test_no_range_of_ids_but_that_of_people_is_left_where_tables_sort_otherwise(statement: object) -> None:
    sql = getattr(statement, "sql")  # noqa: B009 - a parameter's type
    pieces = {"ssd": "[ssd].", "cin_plan_id": "cinp_cin_plan_id", "as_text": "", "alike": " COLLATE DATABASE_DEFAULT"}
    listed = among_people(sql, pieces).format(**pieces)

    assert set(re.findall(r"(\w+) >= \?", listed)) <= {"pers_person_id"}
    assert listed.count("?") == sql.count("?")
    assert listed.name == sql.name
    (parsed,) = sqlglot.parse(listed.replace("?", "@value"), dialect="tsql")
    assert isinstance(parsed, exp.Select)
