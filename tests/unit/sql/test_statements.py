"""The statements of the main job: named, explained, and such that SQL Server, PostgreSQL and SQLite all take them."""

from __future__ import annotations

import re
from functools import cache

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.db import dialect_pieces
from api_pipeline.sql.binding import rows_as_table
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import Statement, load

STATEMENTS = load()
STAGING = "ssd_api_data_staging"
# Contract 3: all other columns of the staging table belong to whoever fills it.
WRITABLE = {
    "partial_json_payload",
    "submission_status",
    "submission_timestamp",
    "api_response",
    "row_state",
    "previous_json_payload",
    "previous_hash",
}
PIECES = {
    "table": f"[ssd].[{STAGING}]",
    "any_table": f"[ssd].[{STAGING}]",
    "held": "[ssd].ssd_api_held",
    "log": "[ssd].ssd_api_submission_log",
    "unconfirmed": "[ssd].ssd_api_unconfirmed",
    "left_window": "[ssd].ssd_api_left_window",
    "runs": "[ssd].ssd_api_runs",
    "columns": "id, person_id",
    "ids": "IN (?, ?)",
    "children": "IN (?, ?)",
    "people": "IN (?, ?)",
    "spellings": "IN (?, ?)",
    "rows": rows_as_table(Dialect.SQLSERVER, (int, str), 2),
    "delta": "done.delta",
    "payload": "changed.payload",
    "milliseconds": "30000",
    "person": "AND person_id = ?",
    "after": "AND id > ?",
    "odd_words": "OR submission_status IN (?)",
    "column": "json_payload",
    "matching": "AND api_response LIKE ?",
}
# What T-SQL lacks or spells in another way, and what SQL Server 2012 does not know.
FOREIGN = re.compile(
    r"\bLIMIT\b|\|\||\bTRUE\b|\bFALSE\b|ON CONFLICT|RETURNING|::|\bILIKE\b|\bTRIM\s*\(|CONCAT_WS|STRING_AGG",
    re.IGNORECASE,
)


def is_for_sql_server(name: str) -> bool:
    return not name.endswith(("_postgresql", "_sqlite"))


def as_t_sql(statement: Statement) -> str:
    pieces = dialect_pieces(Dialect.SQLSERVER, 200)
    return statement.sql.format(**PIECES, **pieces).replace("?", "@value")


for_sql_server = pytest.mark.parametrize("name", [name for name in STATEMENTS if is_for_sql_server(name)])


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_says_what_it_is_for(name: str) -> None:
    assert re.fullmatch(r"[A-Z].{20,}\.", STATEMENTS[name].purpose)


@cache
def parsed_statement(name: str) -> list[exp.Expr | None]:
    """Return what a statement is as SQL Server gets it, parsed once for all tests."""
    return sqlglot.parse(as_t_sql(STATEMENTS[name]), dialect="tsql")


@pytest.mark.unmeasured
@for_sql_server
def test_every_statement_parses_as_t_sql(name: str) -> None:
    sql = as_t_sql(STATEMENTS[name])
    assert not FOREIGN.search(sql)
    if name in ("lock_sqlserver", "unlock_sqlserver"):
        # A call with an answer, which the parser does not take apart.
        assert {"lock_sqlserver": "sp_getapplock", "unlock_sqlserver": "sp_releaseapplock"}[name] in sql
        return
    (parsed,) = parsed_statement(name)
    kinds = (
        exp.Set
        if name in ("lock_timeout_sqlserver", "row_counts_sqlserver")
        else exp.Query | exp.Insert | exp.Update | exp.Delete
    )
    assert parsed is not None
    assert isinstance(parsed, kinds)
    assert not list(parsed.find_all(exp.Command))


@pytest.mark.unmeasured
@for_sql_server
def test_no_statement_writes_what_belongs_to_others(name: str) -> None:
    (parsed, *_) = parsed_statement(name)
    assert parsed is not None
    target = parsed.find(exp.Table)
    if isinstance(parsed, exp.Insert | exp.Delete):
        assert target is not None
        assert target.name != STAGING
    if isinstance(parsed, exp.Update) and parsed.this.name == STAGING:
        assert {change.this.name.lower() for change in parsed.args["expressions"]} <= WRITABLE


def test_batch_that_silences_row_counts_lets_the_session_have_them_again() -> None:
    """A driver may send it as one plain batch, where the setting stays until somebody takes it back."""
    silent = [one.sql for one in load().values() if "SET NOCOUNT ON" in one.sql]
    assert len(silent) == 2
    assert all(sql.endswith(";\nSET NOCOUNT OFF") for sql in silent)
