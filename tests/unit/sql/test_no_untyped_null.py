"""No null reaches a driver as a parameter: of every packaged statement, and because there is one way to send one."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import pytest

import api_pipeline
from api_pipeline.sql.binding import bind
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from tests.support.statements import count_of

DATA = Path(str(files("api_pipeline") / "data"))
FILES = sorted(path.relative_to(DATA).as_posix() for path in DATA.rglob("*queries.sql"))
# What hands a driver a statement with parameters, for each of the two kinds of driver; what opens a connection passes a
# fixed sample of text, never a null.
SENDERS = {
    "db/connection.py: cursor.execute(bound.sql, bound.values)",
    "db/odbc.py: cursor.execute(text, bound.values)",
    "db/opening.py: raw.execute(load()[statement].sql, *parameters)",
}


def test_the_files_of_statements_are_found() -> None:
    assert {"queries.sql", "staging_queries.sql", "sdr_queries.sql", "xporter/queries.sql"} <= set(FILES)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("name", FILES)
def test_every_statement_is_sent_without_a_parameter_that_is_null(name: str, dialect: Dialect) -> None:
    for statement in load(name).values():
        count = count_of(statement.sql)

        bound = bind(statement.sql, [None] * count, dialect)

        assert bound.values == []
        assert count_of(bound.sql) == 0, statement.name
        assert bound.sql.count("NULL") == statement.sql.count("NULL") + count


@pytest.mark.unmeasured
def test_only_connections_hand_values_to_a_driver() -> None:
    """Calls of execute and executemany on a cursor or a driver's connection with more than the statement."""
    root = Path(api_pipeline.__file__).parent
    found = {
        f"{path.relative_to(root).as_posix()}: {ast.unparse(call)}"
        for path in root.rglob("*.py")
        if ".execute" in (text := path.read_text(encoding="utf-8"))
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("execute", "executemany")
        and len(call.args) + len(call.keywords) > 1
        and ast.unparse(call.func.value).rpartition(".")[2] in ("cursor", "_raw", "raw", "opened", "file")
    }

    assert found == SENDERS
