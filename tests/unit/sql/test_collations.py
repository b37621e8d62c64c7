"""No statement makes SQL Server compare two columns of different collations: that is error 468 there, and nowhere else.

The keys of the control tables are Latin1_General_BIN2. Every other column has the collation of its database, or, where
the table is the council's own, whatever the council gave it. A comparison of two of them names a collation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.sdr.schema import render as render_sdr
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging import preflight
from api_pipeline.xporter.layout import Names
from api_pipeline.xporter.schema import child_attendance
from tests.support.statements import SDR, STAGING, t_sql_statements

pytestmark = pytest.mark.unmeasured

# Tables that a council may have made itself: their texts may have any collation.
OWN = {STAGING, f"{STAGING}_anon", SDR, "own_list"}
NUMBERS = re.compile(r"^(INT|BIGINT|DATE|BINARY|VARBINARY)", re.IGNORECASE)
COLUMN = re.compile(r"^    (\w+) ([A-Z]+\S*)(?: COLLATE (\w+))?", re.MULTILINE)
TABLE = re.compile(r"CREATE TABLE (\S+) \((.*?)\n\)", re.DOTALL)
BINARY = "Latin1_General_BIN2"
EXPLICIT, CONFLICT = "explicit", "conflict"


def declared() -> dict[str, dict[str, str | None]]:
    """Return for each table of ours the collation of each column; None for what is not a text."""
    scripts = ddl.render(Dialect.SQLSERVER, STAGING) + render_sdr(Dialect.SQLSERVER, SDR)
    return {
        name: {
            column: None if NUMBERS.match(kind) else f"of {name}" if name in OWN else given or "of the database"
            for column, kind, given in COLUMN.findall(body)
        }
        for name, body in TABLE.findall(scripts)
    }


DECLARED = declared()


class Scope:
    """What the columns of a query stand for: its tables and, behind them, those of the query around it."""

    def __init__(self, sources: Mapping[str, str | exp.Expr], outer: Scope | None = None) -> None:
        self.sources = sources
        self.outer = outer

    def label(self, column: exp.Column) -> str | None:
        found = [column.table] if column.table else list(self.sources)
        for name in found:
            source = self.sources.get(name)
            if isinstance(source, str):
                if source not in DECLARED:
                    return f"of {'the SSD' if source.startswith('ssd_') else source}"
                if column.name in DECLARED[source]:
                    return DECLARED[source][column.name]
            elif source is not None and column.name in names_of(source):
                return projected(source, names_of(source).index(column.name), self)
        return self.outer.label(column) if self.outer else None


def label(node: exp.Expr, scope: Scope) -> str | None:
    """Return the collation label of an expression: of its column, explicit, or none at all."""
    if isinstance(node, exp.Collate):
        return EXPLICIT
    if isinstance(node, exp.Column):
        return scope.label(node)
    if isinstance(node, (exp.Cast, exp.Lower, exp.Trim, exp.Substring, exp.Paren)):
        return label(node.this, scope)
    return None


def together(one: str | None, other: str | None) -> str | None:
    if EXPLICIT in (one, other):
        return EXPLICIT
    return one if other is None or one == other else other if one is None else CONFLICT


def projected(query: exp.Expr, place: int, scope: Scope) -> str | None:
    """Return the label of a column of a query's result, by its place."""
    if isinstance(query, exp.SetOperation):
        return together(projected(query.this, place, scope), projected(query.expression, place, scope))
    if not isinstance(query, exp.Select):
        return None
    return label(query.expressions[place].unalias(), Scope(sources(query), scope))


def names_of(query: exp.Expr) -> list[str]:
    """Return the names of a query's columns: those of its first part."""
    while isinstance(query, exp.SetOperation):
        query = query.this
    return [one.alias_or_name for one in query.expressions] if isinstance(query, exp.Select) else []


def sources(query: exp.Expr) -> dict[str, str | exp.Expr]:
    found: dict[str, str | exp.Expr] = {}
    places = [query.this] if isinstance(query, (exp.Update, exp.Delete)) else []
    start = query.args.get("from_") or query.args.get("from")
    places += [start.this] if start else []
    for place in places + [join.this for join in query.args.get("joins") or []]:
        if isinstance(place, exp.Subquery):
            found[place.alias] = place.this
        elif isinstance(place, exp.Table):
            found[place.alias or place.name] = place.name
    return found


def conflicts(node: exp.Expr, scope: Scope | None = None) -> Iterator[str]:
    """Yield the comparisons, and the set operations, of two columns of different collations."""
    if isinstance(node, (exp.Select, exp.Update, exp.Delete)):
        scope = Scope(sources(node), scope)
    # The rows of a UNION are compared with one another (error 468); a column of a UNION ALL gets no collation, and
    # cannot be selected then (errors 451, 457).
    if isinstance(node, exp.Union):
        labels = [projected(node, place, scope or Scope({})) for place in range(len(names_of(node)))]
        yield from (node.sql() for found in labels if found == CONFLICT)
    # What stands at the left of SET is a column that is written, not one that is compared.
    is_written = isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
    pair: tuple[str | None, str | None] = (None, None)
    if isinstance(node, exp.Predicate) and isinstance(node, exp.Binary) and scope is not None and not is_written:
        pair = (label(node.left, scope), label(node.right, scope))
    if isinstance(node, exp.In) and scope is not None and (query := node.args.get("query")) is not None:
        pair = (label(node.this, scope), projected(query.unnest(), 0, scope))
    if together(*pair) == CONFLICT:
        yield node.sql()
    for child in node.iter_expressions():
        yield from conflicts(child, scope)


def compared(statements: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the statements that compare two columns of different collations, and where."""
    named = ((name, list(conflicts(sqlglot.parse_one(sql, dialect="tsql")))) for name, sql in statements)
    return {name: found for name, found in named if found}


def test_no_two_columns_of_different_collations_are_compared() -> None:
    statements = list(t_sql_statements())

    assert len(statements) > 100
    assert compared(statements) == {}


def test_preflight_compares_tables_of_the_ssd_whatever_their_collations() -> None:
    """The SSD's tables may be views of other databases; under this name each has a collation of its own."""
    statements = preflight.statements(Dialect.SQLSERVER)

    assert statements
    assert compared((sql.split("'")[1], sql.replace("ssd_", "own_")) for sql in statements) == {}


def test_attendance_view_compares_the_ssd_with_schools_by_one_collation() -> None:
    sql = child_attendance(Names(Dialect.SQLSERVER), "")

    assert "UPPER(LTRIM(RTRIM(student.[UPN]))) COLLATE DATABASE_DEFAULT = UPPER(LTRIM(RTRIM(person.pers_upn)))" in sql


def made_one(sql: str) -> list[str]:
    """Return the ids of the log that a statement gives each once though they may differ in case alone."""
    query = sqlglot.parse_one(sql, dialect="tsql")
    if not isinstance(query, exp.Select) or "ssd_api_submission_log" not in sources(query).values():
        return []
    grouped = query.args.get("group")
    given = query.expressions if query.args.get("distinct") else grouped.expressions if grouped else []
    return [one.sql() for one in given if isinstance(one, exp.Column) and one.name in ("person_id", "la_child_id")]


def test_ids_of_the_log_that_differ_in_case_alone_stay_two() -> None:
    found = {name: made_one(sql) for name, sql in t_sql_statements()}

    assert {name: ids for name, ids in found.items() if ids} == {}
    assert made_one("SELECT DISTINCT person_id FROM ssd_api_submission_log") == ["person_id"]
    assert made_one("SELECT MIN(id) FROM ssd_api_submission_log AS l GROUP BY l.person_id") == ["l.person_id"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM ssd_api_held h WHERE EXISTS (SELECT 1 FROM own_list s WHERE s.person_id = h.receiver{})",
        "SELECT 1 FROM ssd_api_held h JOIN ssd_api_submission_log l ON LOWER(l.person_id{}) = h.la_child_id",
        "SELECT 1 FROM ssd_api_held h JOIN (SELECT person_id AS c FROM own_list) k ON k.c = h.receiver{}",
        "SELECT la_child_id{} FROM ssd_api_held UNION SELECT la_child_id FROM ssd_api_submission_log",
        "SELECT la_child_id{} FROM ssd_api_held UNION ALL SELECT la_child_id FROM ssd_api_submission_log",
        "DELETE FROM ssd_api_submission_log WHERE la_child_id IN (SELECT la_child_id{} FROM ssd_api_held)",
        "SELECT 1 FROM ssd_person WHERE pers_person_id{} IN (SELECT person_id FROM own_list)",
    ],
)
def test_a_comparison_that_sql_server_refuses_shows(sql: str) -> None:
    assert len(list(conflicts(sqlglot.parse_one(sql.format(""), dialect="tsql")))) == 1
    assert list(conflicts(sqlglot.parse_one(sql.format(f" COLLATE {BINARY}"), dialect="tsql"))) == []
