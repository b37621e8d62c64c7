"""`stage` reports what the table holds, or ends with exit code 3: whatever others do to the table meanwhile."""

from __future__ import annotations

import threading
from datetime import date

import pytest

from api_pipeline.db import RowsMissed
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.sources import Sources
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.outcome import StagingObservers
from api_pipeline.staging.session import stage
from tests.support.altering import rename_column
from tests.support.council_ssd import AS_OF, CouncilSsd
from tests.support.layouts import make_table

pytestmark = pytest.mark.strict

SWALLOWING = {
    Dialect.SQLITE: [
        "CREATE TRIGGER swallow AFTER INSERT ON {table} BEGIN DELETE FROM {table} WHERE id = NEW.id; END",
    ],
    Dialect.POSTGRESQL: [
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER swallow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION swallow()",
    ],
    Dialect.SQLSERVER: ["CREATE TRIGGER {trigger} ON {table} INSTEAD OF INSERT AS SET NOCOUNT ON"],
}
UNDOING = (
    "CREATE TRIGGER undo AFTER UPDATE OF current_hash ON {table} WHEN NEW.current_hash IS NOT OLD.current_hash "
    "BEGIN UPDATE {table} SET current_hash = OLD.current_hash WHERE id = NEW.id; END"
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_rows_that_a_trigger_swallows_are_not_reported_as_staged(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    for statement in SWALLOWING[ssd.database.dialect]:
        ssd.database.execute(statement.format(table=ssd.database.table, trigger=ssd.database.named("swallow")))

    done = ssd.stage()

    assert done.code == 3
    assert "rows new" not in done.out
    assert "ask the database administrator" in done.err.lower()
    assert ssd.rows() == {}


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_first_staging_of_a_table_whose_hashes_are_texts_is_stored(ssd: CouncilSsd) -> None:
    ssd.database.execute(f"ALTER TABLE {ssd.database.table} DROP COLUMN current_hash")
    ssd.database.execute(f"ALTER TABLE {ssd.database.table} ADD COLUMN current_hash VARCHAR(64)")
    ssd.children("1001", "1002")
    first, second = ssd.stage(), ssd.stage()

    assert (first.code, second.code) == (0, 0), first.text
    assert "rows new                        2" in first.out
    assert "rows unchanged                  2" in second.out


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_payload_that_changes_is_stored_in_a_column_of_json(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    for column in ("json_payload", "previous_json_payload", "partial_json_payload"):
        ssd.database.execute(f"ALTER TABLE {ssd.database.table} ALTER COLUMN {column} TYPE jsonb USING {column}::jsonb")
    ssd.staged()
    ssd.rename("1001", "Other")

    assert '"Other"' in ssd.staged()["1001"]["json_payload"]
    assert "rows unchanged                  1" in ssd.stage().out


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_table_that_fills_ids_up_with_blanks_keeps_one_row_of_a_child(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.database.execute(f"ALTER TABLE {ssd.database.table} ALTER COLUMN person_id TYPE CHAR(20)")
    ssd.staged()
    ssd.rename("1001", "Other")

    assert "rows updated                    1" in ssd.stage().out
    ssd.remove("1002")
    rows = ssd.staged("--allow-deletions")

    assert {person.strip(): row["row_state"] for person, row in rows.items()} == {"1001": "new", "1002": "deleted"}
    ssd.children("1002")
    assert "rows returned                   1" in ssd.stage().out


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_blanks_that_come_behind_an_id_make_no_other_child(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    before = ssd.staged()
    ssd.database.execute("UPDATE ssd_person SET pers_person_id = '1001  ' WHERE pers_person_id = '1001'")

    assert ssd.staged() == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_id_among_others_that_is_no_number_ends_with_a_sentence(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    ssd.database.execute(f"DROP TABLE {ssd.database.table}")
    make_table(ssd.database, ssd.database.table, "today", id="TEXT PRIMARY KEY")
    for row_id in ("1", "1x", "2"):
        ssd.database.execute(
            f"INSERT INTO {ssd.database.table} (id, person_id, json_payload) VALUES (?, '1', '{{}}')", [row_id]
        )

    done = ssd.stage()

    assert (done.code, len(ssd.rows())) == (3, 1), done.text
    assert "has the id 1x, which is not a whole number" in done.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_new_payload_that_a_trigger_undoes_is_an_error(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.staged()
    ssd.rename("1001", "Renamed")
    ssd.database.execute(UNDOING.format(table=ssd.database.table))

    done = ssd.stage()

    assert done.code == 3
    assert "1 of 1 rows that were staged are not in" in done.err


@pytest.mark.parametrize("change", ["removed", "renamed"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_table_filled_anew_meanwhile_gives_no_row_the_fate_of_another_child(ssd: CouncilSsd, change: str) -> None:
    ssd.children("1001", "1002", "1003")
    ssd.staged()
    if change == "removed":
        ssd.remove("1001")
    else:
        ssd.rename("1001", "Renamed")

    swaps = [("1001", "x"), ("1003", "1001"), ("x", "1003")]

    def fill_anew(_summary: object) -> None:
        while swaps:
            before, after = swaps.pop(0)
            ssd.database.execute(f"UPDATE {ssd.database.table} SET person_id = ? WHERE person_id = ?", [after, before])

    settings = load_settings(Sources({}, ssd.settings, ssd.folder), Purpose.STAGE)
    call = StageCall(date.fromisoformat(AS_OF), allows_deletions=True)

    with pytest.raises(RowsMissed, match="emptied or filled anew"):
        stage(settings, call, StagingObservers(progress=fill_anew), threading.Event())
    assert [row["row_state"] for row in ssd.rows().values()] == ["new"] * 3


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_nothing_is_staged_while_what_is_retained_cannot_be_read(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    retained = ssd.database.named("ssd_api_left_window")
    rename_column(ssd.database, "ssd_api_left_window", "elements", "others")

    done = ssd.stage()

    assert done.code == 3
    assert "ssd_api_left_window is there and cannot be read" in done.err
    assert ssd.rows() == {}
    ssd.database.execute(f"DROP TABLE {retained}")
    assert ssd.stage().code == 0
