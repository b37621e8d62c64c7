"""The name under which the database sees a run."""

from __future__ import annotations

import re

import pytest

from tests.support.world import World


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(
    ("given", "named"), [("", r"d2i-csc-api run [0-9a-f-]{36}"), (";pqopt={application_name=jobs}", "jobs")]
)
def test_database_sees_the_run_unless_another_program_is_named(world: World, given: str, named: str) -> None:
    world.stage(1)
    table = world.database.table
    world.database.execute("CREATE TABLE seen (name TEXT)")
    world.database.execute(
        "CREATE OR REPLACE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen VALUES (current_setting('application_name')); RETURN NEW; END $$"
    )
    world.database.execute(f"CREATE TRIGGER seeing BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION see()")
    done = world.run("--log-file", "run.log", DB_CONNECTION_STRING=world.database.connection_string + given)
    assert done.code == 0, done.text
    ((name,),) = world.database.rows("SELECT DISTINCT name FROM seen")
    assert re.fullmatch(named, name)
    if not given:
        assert name.split()[-1] in (world.folder / "run.log").read_text(encoding="utf-8")
