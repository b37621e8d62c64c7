"""`stage` reports what the table holds, or ends with exit code 3: whatever triggers do behind its back."""

from __future__ import annotations

import pytest

from api_pipeline.sql.identifiers import Dialect
from tests.support.council_ssd import CouncilSsd

pytestmark = pytest.mark.strict

SWALLOWING = {
    Dialect.SQLITE: [
        "CREATE TRIGGER swallow AFTER INSERT ON {table} BEGIN DELETE FROM {table} WHERE id = NEW.id; END",
    ],
    Dialect.POSTGRESQL: [
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER swallow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION swallow()",
    ],
}
UNDOING = (
    "CREATE TRIGGER undo AFTER UPDATE OF current_hash ON {table} WHEN NEW.current_hash IS NOT OLD.current_hash "
    "BEGIN UPDATE {table} SET current_hash = OLD.current_hash WHERE id = NEW.id; END"
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_rows_that_a_trigger_swallows_are_not_reported_as_staged(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    for statement in SWALLOWING[ssd.database.dialect]:
        ssd.database.execute(statement.format(table=ssd.database.table))

    done = ssd.stage()

    assert done.code == 3
    assert "rows new" not in done.out
    assert "ask the database administrator" in done.err.lower()
    assert ssd.rows() == {}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_new_payload_that_a_trigger_undoes_is_an_error(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.staged()
    ssd.rename("1001", "Renamed")
    ssd.database.execute(UNDOING.format(table=ssd.database.table))

    done = ssd.stage()

    assert done.code == 3
    assert "1 of 1 rows that were staged are not in" in done.err
