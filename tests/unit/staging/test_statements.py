"""The statements of `stage`: they read exactly the columns of the table of tables, and are T-SQL too."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.sql.statements import Statement, load
from api_pipeline.staging.reader import FILE
from api_pipeline.staging.tables import SSD_TABLES, SsdTable

STATEMENTS = load(FILE)
CONDITIONS = {"only_listed"}
WRITING = {
    *("insert_new", "update_changed", "rehash", "delete_held", "delete_unknown"),
    *("delete_left_window", "insert_left_window", "delete_built", "insert_built"),
}
PIECES = {
    "payload": "changed.payload",
    "ssd": "[ssd].",
    "after": "AND id > ?",
    "ssd_table": "ssd_person",
    "cin_plan_id": "cinp_cin_plan_id",
    "filter": "",
    "filter_table": "[dbo].[own]",
    "listed": "CAST(person_id AS BIGINT)",
    "usual": "",
    "alike": "",
    "as_text": "",
    "catalogue": "",
    "names": "?, ?",
    "table": "[dbo].[ssd_api_data_staging]",
    "left_window": "[dbo].ssd_api_left_window",
    "built": "[dbo].ssd_api_built",
    "columns": "id, person_id",
    "column": "pers_person_id",
    "values": "(?, ?), (?, ?)",
    "rows": "(VALUES (?, ?, ?, ?, ?, ?, ?)) AS given (column1, column2, column3, column4, column5, column6, column7)",
    "ids": "IN (?, ?)",
    "people": "IN (?, ?)",
    "lock_rows": "",
    "locked": "",
    "more": ", legacy_id = changed.legacy_id, last_updated = ?time",
    "page": "OFFSET 0 ROWS FETCH NEXT 100 ROWS ONLY",
}


def parsed(statement: Statement, dialect: str = "tsql") -> exp.Expr:
    sql = str(statement.sql.format(**PIECES))
    if statement.name in CONDITIONS:
        sql = f"SELECT 1 FROM ssd_person WHERE 1 = 1 {sql}"
    if dialect == "tsql":
        sql = sql.replace("?", "@value")
    (found,) = sqlglot.parse(sql, dialect=dialect)
    assert isinstance(found, exp.Expr)
    return found


@pytest.mark.unmeasured
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=list(STATEMENTS))
def test_every_statement_is_t_sql_and_says_what_it_is_for(statement: Statement) -> None:
    tree = parsed(statement)
    assert not list(tree.find_all(exp.Command)), "sqlglot did not understand the statement"
    assert isinstance(tree, (exp.Insert, exp.Update, exp.Delete) if statement.name in WRITING else exp.Select)
    assert statement.purpose.endswith((".", ").", "COHORT_FILTER_TABLE)."))


@pytest.mark.parametrize("table", SSD_TABLES, ids=lambda table: table.name)
def test_a_table_is_read_with_the_columns_in_their_order(table: SsdTable) -> None:
    tree = parsed(STATEMENTS[table.name])
    assert isinstance(tree, exp.Select)
    assert [column.name for column in tree.selects] == list(table.column_names)
    source = tree.args["from_"].this
    assert (source.name, source.db) == (table.name, "ssd")


@pytest.mark.unmeasured
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=list(STATEMENTS))
def test_nothing_but_plain_columns_comparisons_and_casts_is_read(statement: Statement) -> None:
    if statement.name in WRITING:
        return
    allowed = (exp.Cast, exp.Count, exp.Min, exp.And, exp.Or, exp.In)
    odd = [type(node).__name__ for node in parsed(statement).find_all(exp.Func) if not isinstance(node, allowed)]
    assert odd == []
    assert not list(parsed(statement).find_all(exp.Join))


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=list(STATEMENTS))
def test_values_travel_as_parameters(statement: Statement) -> None:
    words = {"pending", "sent", "unchanged", "deleted"}
    assert {literal.this for literal in parsed(statement).find_all(exp.Literal) if literal.is_string} <= words


def test_every_reading_statement_takes_the_ends_of_a_chunk_in_pairs() -> None:
    for statement in STATEMENTS.values():
        if statement.name.startswith("ssd_"):
            pairs = re.findall(r"(\w+) >= \? AND \1 <= \?", statement.sql)
            assert statement.sql.count("?") == 2 * len(pairs), statement.name


@pytest.mark.unmeasured
@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_the_statements_are_sql_of_the_other_databases_as_well(dialect: str) -> None:
    plain = {**PIECES, "ssd": "ssd.", "filter_table": "own", "table": "staging", "left_window": "left_window"}
    plain |= {"built": "built", "page": "LIMIT 1"}
    for statement in STATEMENTS.values():
        sql = re.sub(r"\?[a-z]+", "?", statement.sql.format(**plain))
        sql = f"SELECT 1 FROM ssd_person WHERE 1 = 1 {sql}" if statement.name in CONDITIONS else sql
        assert not list(sqlglot.parse_one(sql, dialect=dialect).find_all(exp.Command))
