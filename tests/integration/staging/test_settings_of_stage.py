"""Settings of `stage`: whom it takes, the window, what it lists, and which table it fills."""

from __future__ import annotations

import csv
from contextlib import closing
from pathlib import Path

import pytest

from api_pipeline.db import connect
from api_pipeline.errors import DatabaseError
from api_pipeline.staging.reader import Reader, SsdSource
from tests.support.council_ssd import CouncilSsd, child_rows
from tests.support.marks import EMBEDDED
from tests.support.ssd import cp_plan, disability, person, rows


@EMBEDDED
@pytest.mark.parametrize(
    ("setting", "lists"),
    [
        ("COHORT_INCLUDE_CP_PLANS", {"cp_plans": [cp_plan(of="1001", referral=None)]}),
        ("COHORT_INCLUDE_DISABLED", {"disabilities": [disability("AUT")._replace(person_id="1001")]}),
    ],
)
def test_children_that_a_setting_brings_in_are_not_deleted_again(
    ssd: CouncilSsd, setting: str, lists: dict[str, list[tuple[object, ...]]]
) -> None:
    ssd.put(rows(person("1001"), **{"cin_episodes": [], **lists}))
    ssd.children("1002")
    assert sorted(ssd.staged()) == ["1002"]

    before = ssd.staged(**{setting: "true"})

    assert sorted(before) == ["1001", "1002"]
    assert ssd.staged(**{setting: "true"}) == before


@EMBEDDED
def test_listed_people_are_taken_as_the_ssd_spells_them_and_those_it_lacks_are_named(ssd: CouncilSsd) -> None:
    create = ssd.database.rows("SELECT sql FROM sqlite_master WHERE name = 'ssd_person'")[0][0]
    ssd.database.execute("DROP TABLE ssd_person")
    ssd.database.execute(create.replace("pers_person_id TEXT", "pers_person_id TEXT COLLATE NOCASE"))
    ssd.children("P1", "P2")

    done = ssd.stage(COHORT_PERSON_IDS="p1,P7")

    assert list(ssd.rows()) == ["P1"]
    assert "1 of the 2 people in COHORT_PERSON_IDS are not in the SSD, or not in COHORT_FILTER_TABLE: P7;" in done.err


@EMBEDDED
def test_listed_people_are_not_gone_where_the_ssd_is_taken_away_meanwhile(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    with closing(connect(ssd.database.connection_string)) as connection:
        reader = Reader(connection, SsdSource(person_ids=("1001",)))
        reader.check()
        ssd.database.execute("DROP TABLE ssd_person")

        with pytest.raises(DatabaseError):
            reader.person_ids()


@EMBEDDED
def test_an_ssd_without_people_and_a_list_that_names_none_of_them_are_said(ssd: CouncilSsd) -> None:
    assert "ssd_person holds nobody; see whether the SSD is loaded" in ssd.stage().err
    ssd.children("1001")
    ssd.database.execute("CREATE TABLE own (person_id TEXT)")
    ssd.database.execute("INSERT INTO own VALUES ('M1001')")

    done = ssd.stage(COHORT_FILTER_TABLE="own")

    assert "ssd_person holds nobody that own (COHORT_FILTER_TABLE) names; see whether the SSD is loaded" in done.err


@EMBEDDED
@pytest.mark.parametrize("ids", ["1234567", "NULL", None])
def test_list_from_excel_holds_the_same_ids_as_the_ssd(ssd: CouncilSsd, ids: str | None) -> None:
    ssd.children("1001", "1234567")
    ssd.database.execute("CREATE TABLE own (person_id REAL)")
    if ids:
        ssd.database.execute(f"INSERT INTO own VALUES ({ids})")

    ssd.stage(COHORT_FILTER_TABLE="own")

    assert list(ssd.rows()) == ([ids] if ids == "1234567" else [])


@EMBEDDED
def test_one_block_per_child_and_the_values_for_uasc_are_settings(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    ssd.database.execute("INSERT INTO ssd_immigration_status VALUES ('I1', '1001', 'Seeking', '2025-01-01', NULL)")

    assert 'uasc_flag":true' not in ssd.staged()["1001"]["json_payload"]
    assert 'uasc_flag":true' in ssd.staged(UASC_VALUES="seek*")["1001"]["json_payload"]


@EMBEDDED
def test_the_window_follows_the_day_and_its_settings(ssd: CouncilSsd) -> None:
    closed = child_rows("1001")
    closed.cin_episodes = [closed.cin_episodes[0]._replace(close_date=child_rows("1").cin_episodes[0].referral_date)]
    ssd.put(closed)

    assert ssd.staged("--as-of", "2027-03-31")["1001"]["row_state"] == "new"
    for day, settings, state in (
        ("2027-04-01", {}, "deleted"),
        ("2027-04-01", {"COHORT_MONTHS_BACK": "25"}, "new"),
        ("2027-03-31", {"COHORT_YEAR_START_MONTH": "2"}, "deleted"),
    ):
        rows = ssd.staged("--as-of", day, "--allow-deletions", **settings)
        assert rows["1001"]["row_state"] == state, day


def test_every_decision_about_a_value_is_listed_without_the_value(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.database.execute(f"UPDATE {ssd.database.named('ssd_person')} SET pers_ethnicity = 'ZEBRA'")
    path = ssd.folder / "issues.csv"

    done = ssd.stage("--issues-csv", str(path))

    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert lines[0] == ["rule", "person_id", "field", "where"]
    assert sorted(line[:2] for line in lines[1:]) == [["code_not_listed", "1001"], ["code_not_listed", "1002"]]
    assert "ZEBRA" not in path.read_text(encoding="utf-8") + done.text
    assert "2 x code_not_listed" in done.out


@EMBEDDED
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_day_at_the_end_of_the_calendar_ends_with_code_2(ssd: CouncilSsd, day: str) -> None:
    done = ssd.stage("--as-of", day)
    assert done.code == 2
    assert "expected a day of the years 1900 to 2900" in done.err


@EMBEDDED
def test_unwritable_issue_list_ends_with_code_2(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    done = ssd.stage("--issues-csv", str(ssd.folder / "nowhere" / "issues.csv"))
    assert done.code == 2
    assert ssd.rows() == {}


@EMBEDDED
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_issue_list_on_a_full_disk_ends_with_code_2(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    done = ssd.stage("--issues-csv", "/dev/full")
    assert done.code == 2
    assert "The file /dev/full cannot be written (No space left on device)" in done.err


@EMBEDDED
def test_real_children_never_go_into_the_table_of_invented_ones(ssd: CouncilSsd) -> None:
    ssd.children("1001")

    done = ssd.stage(TABLE_NAME="ssd_api_data_staging_anon")

    assert done.code == 2
    assert "the anonymised copy" in done.err
    assert "1001" not in {row[0] for row in ssd.database.rows("SELECT person_id FROM ssd_api_data_staging_anon")}


@EMBEDDED
def test_without_a_table_name_the_live_table_is_filled_even_when_testing(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    assert ssd.stage(TABLE_NAME="", TESTING_MODE="true").code == 0
    assert list(ssd.rows()) == ["1001"]


def test_a_missing_table_and_a_missing_column_are_named(ssd: CouncilSsd) -> None:
    ssd.database.execute(f"ALTER TABLE {ssd.database.named('ssd_cp_plans')} DROP COLUMN cppl_cp_plan_end_date")
    done = ssd.stage()
    assert done.code == 3
    assert "cppl_cp_plan_end_date" in done.err

    ssd.database.execute(f"DROP TABLE {ssd.database.named('ssd_cp_plans')}")
    done = ssd.stage()
    assert done.code == 3
    assert "ssd_cp_plans cannot be read; check SSD_SCHEMA" in done.err


@EMBEDDED
@pytest.mark.parametrize(
    ("table", "column", "whose"),
    [
        ("ssd_person", "pers_forename", " of 1002"),
        ("ssd_cin_episodes", "cine_close_reason", " of 1002"),
        ("ssd_professionals", "prof_staff_id", ""),
    ],
)
def test_text_that_cannot_be_read_is_named_by_table_and_person(
    ssd: CouncilSsd, table: str, column: str, whose: str
) -> None:
    ssd.children("1001", "1002", "1003")
    own = next(name for name in ("pers_person_id", "cine_person_id", "prof_staff_id") if name[:4] == column[:4])
    ssd.database.execute("INSERT INTO ssd_professionals (prof_professional_id, prof_staff_id) VALUES ('W1', '1002')")
    ssd.database.execute(f"UPDATE {table} SET {column} = CAST(X'41FF' AS TEXT) WHERE {own} = '1002'")

    done = ssd.stage()

    assert (done.code, ssd.rows()) == (3, {})
    assert f"The SSD table {table} holds text that cannot be read, in a row{whose}: half of a character" in done.err
