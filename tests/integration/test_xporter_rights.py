"""An account that lacks rights on the school data: nothing is passed over, and the sentence says what is missing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api_pipeline.db import Connection, connect
from api_pipeline.errors import DatabaseError
from api_pipeline.sandbox.synthetic_ssd.database import create_tables
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.xporter.asking import choices
from api_pipeline.xporter.cohort import people
from api_pipeline.xporter.schema import render
from tests.support.databases import TestDatabase
from tests.support.xporter import TODAY, Rehearsal, day, make_school

pytestmark = pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)

_ALL = "SELECT, INSERT, UPDATE, DELETE"


@contextmanager
def as_account(owner: Connection, *grants: str) -> Iterator[None]:
    """Work as an account of these rights."""
    role = f"account_{secrets.token_hex(6)}"
    owner.execute(f"CREATE ROLE {role}")
    for grant in grants:
        owner.execute(f"GRANT {grant} TO {role}")
    owner.execute(f"SET ROLE {role}")
    try:
        yield
    finally:
        owner.execute("RESET ROLE")
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")


@pytest.fixture
def owner(database: TestDatabase) -> Iterator[Connection]:
    connection = connect(database.connection_string)
    yield connection
    connection.close()


def two_rounds(owner: Connection, tmp_path: Path) -> Rehearsal:
    """Return a school that is collected, has a row to be written back, and revokes."""
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "unused.db", [school], endpoints=("Students", "SEN"), connection=owner)
    assert rehearsal.collect().exit_code == 0
    owner.execute("INSERT INTO xporter.xporter_outbox (estab, kind, body) VALUES ('9990001', 'attendance', '{}')")
    school.revoke(day(20))
    return rehearsal


@pytest.mark.parametrize("table", ["xporter_outbox", "students"])
def test_rows_that_the_account_may_not_read_are_not_passed_over_when_a_school_revokes(
    owner: Connection, tmp_path: Path, table: str
) -> None:
    rehearsal = two_rounds(owner, tmp_path)
    tables = owner.query("SELECT tablename FROM pg_tables WHERE schemaname = 'xporter'")
    others = [f"{_ALL} ON xporter.{name}" for (name,) in tables if name != table]
    # As where a later version, or another account, made the table.
    with as_account(owner, "USAGE ON SCHEMA xporter", *others):
        summary = rehearsal.collect()
        assert summary.exit_code == 3
        assert "may not do this in the database" in str(summary.errors[0])
        assert table in str(summary.errors[0])
    assert owner.query("SELECT state, purged_at FROM xporter.xporter_school") == [("authorised", None)]
    assert rehearsal.collect().exit_code == 0
    for name in ("xporter_outbox", "students"):
        assert owner.query(f"SELECT COUNT(*) FROM xporter.{name}")[0][0] == 0


def test_missing_rights_are_not_missing_tables(owner: Connection, tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path / "unused.db", [], endpoints=("Students",), connection=owner)
    with as_account(owner), pytest.raises(DatabaseError, match="grants that deploy-schema prints"):
        rehearsal.store().check()
    with as_account(owner, "USAGE ON SCHEMA xporter"), pytest.raises(DatabaseError, match="may not do this"):
        rehearsal.store().has_outbox()


def test_the_grants_of_the_printed_script_are_enough(owner: Connection, tmp_path: Path) -> None:
    create_tables(owner.execute, Dialect.POSTGRESQL)
    rehearsal = two_rounds(owner, tmp_path)
    script = render(rehearsal.names, [choice.endpoint for choice in choices(["Students"])], with_ssd="")
    grants = re.findall(r"^-- GRANT (.+) TO xporter_service;$", script, re.MULTILINE)
    assert len(grants) == 4
    with as_account(owner, *grants):
        assert rehearsal.collect().exit_code == 0
        assert people(owner, "") == []
        assert rehearsal.landed("Students", "9990001") == {}
        assert not rehearsal.store().outbox_counts()
