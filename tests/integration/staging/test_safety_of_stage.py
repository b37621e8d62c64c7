"""What keeps a staging from doing harm: the guard, the lock, dry runs, kills, and whom it takes at all."""

from __future__ import annotations

import csv
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api_pipeline.db import connect
from api_pipeline.run_lock import take
from api_pipeline.sandbox.synthetic_ssd import ALL_CASES, SyntheticSsd
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging import first_look
from api_pipeline.staging.tables import ADDRESS, CIN_PLAN, SSD_TABLES
from tests.support.commands import started_cli
from tests.support.council_ssd import AS_OF, CouncilSsd, child_rows, council, fill_synthetic, with_plan
from tests.support.databases import TestDatabase
from tests.support.killed import wait_until_lock_is_free
from tests.support.ssd import RUN_DATE, address, cp_plan, disability, person, rows

EMBEDDED = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
MANY = [f"1{number:03}" for number in range(40)]
# Several chunks, so that a staging that is struck after its first one is not over yet.
PEOPLE = 5 * first_look.PEOPLE_IN_A_CHUNK


@contextmanager
def locked(ssd: CouncilSsd) -> Iterator[None]:
    connection = connect(ssd.database.connection_string)
    lock = take(connection, ssd.database.table, None)
    try:
        yield
    finally:
        lock.release()
        connection.close()


@pytest.mark.strict
def test_a_staging_that_would_delete_too_many_changes_nothing(ssd: CouncilSsd) -> None:
    ssd.children(*MANY)
    before = ssd.staged()
    for gone in MANY[:3]:
        ssd.remove(gone)
    ssd.rename(MANY[5], "Other")
    ssd.children("2001")

    done = ssd.stage()

    assert done.code == 3
    assert "3 of 40 rows would be deleted" in done.err
    assert "--allow-deletions" in done.err
    assert ssd.rows() == before


@EMBEDDED
def test_deletions_up_to_the_share_go_through(ssd: CouncilSsd) -> None:
    ssd.children(*MANY)
    ssd.staged()
    for gone in MANY[:2]:
        ssd.remove(gone)

    assert [row["row_state"] for row in ssd.staged().values()].count("deleted") == 2


@EMBEDDED
def test_the_share_is_a_setting_and_deleted_rows_do_not_count(ssd: CouncilSsd) -> None:
    ssd.children(*MANY)
    ssd.staged()
    for gone in MANY[:20]:
        ssd.remove(gone)
    ssd.staged(MAX_DELETED_SHARE="0.5")
    ssd.remove(MANY[20])
    ssd.remove(MANY[21])

    done = ssd.stage(MAX_DELETED_SHARE="0.09")

    assert done.code == 3
    assert "2 of 20 rows" in done.err


@pytest.mark.strict
def test_an_empty_ssd_marks_nobody_deleted(ssd: CouncilSsd) -> None:
    ssd.children(*MANY)
    before = ssd.staged()
    for table in SSD_TABLES:
        ssd.empty(table)

    done = ssd.stage(MAX_DELETED_SHARE="1")

    assert done.code == 3
    assert "ssd_person" in done.err
    assert ssd.rows() == before


@EMBEDDED
def test_a_table_that_is_empty_stops_the_staging_only_if_it_was_not_before(ssd: CouncilSsd) -> None:
    plan = with_plan("1001", "P1")
    plan.addresses = [address("AB1 2CD")._replace(person_id="1001")]
    ssd.put(plan)
    before = ssd.staged()
    ssd.empty(CIN_PLAN)
    ssd.empty(ADDRESS)

    done = ssd.stage()

    assert done.code == 3
    assert "ssd_address, ssd_cin_plans" in done.err
    assert ssd.rows() == before
    assert "child_in_need_plans" not in ssd.staged("--allow-deletions")["1001"]["json_payload"]
    assert ssd.stage().code == 0


@EMBEDDED
def test_guard_passes_when_nothing_is_staged_yet(ssd: CouncilSsd) -> None:
    assert ssd.staged() == {}
    ssd.children("1001")
    assert list(ssd.staged()) == ["1001"]


@pytest.mark.strict
def test_a_dry_run_changes_nothing_and_says_who_would_change(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002", "1003")
    before = ssd.staged()
    ssd.rename("1001", "Other")
    ssd.remove("1002")
    ssd.children("1004")

    done = ssd.stage("--dry-run")

    assert ssd.rows() == before
    lines = done.out.splitlines()
    assert {line for line in lines if line[:1].islower()} == {"new       1004", "updated   1001", "deleted   1002"}
    assert "DRY RUN, nothing was changed" in done.out
    assert done.code == 3, "a staging would be refused, so the dry run says so too"
    assert "1 of 3 rows would be deleted" in done.err
    assert ssd.stage("--dry-run", "--allow-deletions").code == 0


@EMBEDDED
def test_a_dry_run_makes_no_lock_and_leaves_no_file(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    files = sorted(ssd.folder.iterdir())
    with locked(ssd):
        done = ssd.stage("--dry-run")
    assert done.code == 0
    assert [file for file in sorted(ssd.folder.iterdir()) if not file.name.endswith(".run-lock")] == files


def test_second_staging_at_once_is_refused(ssd: CouncilSsd) -> None:
    ssd.children("1001")

    with locked(ssd):
        done = ssd.stage()

    assert done.code == 75
    assert ssd.rows() == {}
    assert list(ssd.staged()) == ["1001"]


@EMBEDDED
def test_run_and_staging_exclude_each_other(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    environment = {**ssd.settings, "TESTING_MODE": "true"}
    with locked(ssd), started_cli(["run"], environment, ssd.folder) as process:
        assert process.wait(60) == 75


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_a_staging_killed_half_way_is_completed_by_the_next(ssd: CouncilSsd) -> None:
    children = [f"{number:05}" for number in range(PEOPLE)]
    ssd.many_children(children)
    half = _kill_while_it_changes(ssd, "1 = 1")
    assert half % first_look.PEOPLE_IN_A_CHUNK == 0, "whole chunks or none of them"
    before = ssd.rows()

    whole = ssd.staged()

    assert sorted(whole) == children
    assert {person: whole[person] for person in before} == before

    people = ssd.database.named("ssd_person")
    ssd.database.execute(f"UPDATE {people} SET pers_forename = 'Other' WHERE pers_person_id < '{PEOPLE - 1000:05}'")
    ssd.database.execute(f"DELETE FROM {people} WHERE pers_person_id >= '{PEOPLE - 100:05}'")
    half = _kill_while_it_changes(ssd, "json_payload LIKE '%Other%'")
    assert half % first_look.PEOPLE_IN_A_CHUNK == 0

    whole = ssd.staged()

    assert {person for person, row in whole.items() if "Other" in row["json_payload"]} == set(children[: PEOPLE - 1000])
    assert {person for person, row in whole.items() if row["row_state"] == "deleted"} == set(children[PEOPLE - 100 :])


def _kill_while_it_changes(ssd: CouncilSsd, where: str) -> int:
    """Start a staging, kill it as soon as a condition holds for some rows, and return for how many it holds then."""
    with started_cli(["stage", "--as-of", AS_OF], ssd.settings, ssd.folder) as process:
        while process.poll() is None and not ssd.database.count(ssd.database.table, where):
            time.sleep(0.01)
        process.kill()
        assert process.wait(60) != 0, "it was done before it could be killed"
    # What the server was still at has come to its end by then.
    wait_until_lock_is_free(ssd.database)
    return ssd.database.count(ssd.database.table, where)


@EMBEDDED
def test_only_the_listed_people_are_staged_and_other_rows_are_left_alone(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002", "1003")
    ssd.staged()
    ssd.children("1004", "1005")
    for name in ("1001", "1003"):
        ssd.rename(name, "Other")
    ssd.remove("1002")

    rows = ssd.staged("--allow-deletions", COHORT_PERSON_IDS="1001, 1004, 1999")

    assert sorted(rows) == ["1001", "1002", "1003", "1004"]
    assert "Other" in rows["1001"]["json_payload"]
    assert "Other" not in rows["1003"]["json_payload"]
    assert rows["1002"]["row_state"] == "new"


def test_a_table_of_ones_own_limits_whom_a_staging_takes(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002", "1003")
    own = ssd.database.named("return_cohort")
    ssd.database.execute(f"CREATE TABLE {own} (person_id VARCHAR(48))")
    ssd.database.execute(f"INSERT INTO {own} VALUES ('1001'), ('1003')")
    assert sorted(ssd.staged(COHORT_FILTER_TABLE=own)) == ["1001", "1003"]
    ssd.database.execute(f"DELETE FROM {own} WHERE person_id = '1003'")

    rows = ssd.staged("--allow-deletions", COHORT_FILTER_TABLE=own)

    assert rows["1003"]["row_state"] == "deleted"


@EMBEDDED
def test_a_table_of_ones_own_that_is_not_there_is_named(ssd: CouncilSsd) -> None:
    done = ssd.stage(COHORT_FILTER_TABLE="nobody")
    assert done.code == 3
    assert "nobody (COHORT_FILTER_TABLE)" in done.err


@EMBEDDED
def test_log_contains_the_counts_of_a_staging(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    log = ssd.folder / "stage.log"
    assert ssd.stage("--log-file", str(log)).code == 0
    assert "1 of 1 people in the cohort, 0 held back; rows: 1 new, 0 updated" in log.read_text(encoding="utf-8")


@EMBEDDED
def test_quiet_prints_nothing(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    assert ssd.stage("--quiet").text == ssd.stage("--dry-run", "--quiet").text == ""


@EMBEDDED
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in the manner of POSIX")
@pytest.mark.parametrize("command", [["stage", "--as-of", AS_OF], ["run", "--stage"]])
def test_a_signal_ends_a_staging_after_the_chunk_under_way(ssd: CouncilSsd, command: list[str]) -> None:
    ssd.many_children([f"{number:05}" for number in range(PEOPLE)])
    with started_cli(command, ssd.settings, ssd.folder) as process:
        while process.poll() is None and not ssd.database.count(ssd.database.table):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "the next staging completes it" in process.stderr.read()
    count = ssd.database.count(ssd.database.table)
    assert 0 < count < PEOPLE
    assert count % first_look.PEOPLE_IN_A_CHUNK == 0
    assert ssd.database.count(ssd.database.table, "submission_status = 'pending'") == count


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
def test_unwritable_issue_list_ends_with_code_2(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    done = ssd.stage("--issues-csv", str(ssd.folder / "nowhere" / "issues.csv"))
    assert done.code == 2
    assert ssd.rows() == {}


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


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_the_ids_of_plans_may_be_called_as_in_mosaic(database: TestDatabase, ssd: CouncilSsd) -> None:
    plans = database.named("ssd_cin_plans")
    if database.dialect is Dialect.SQLSERVER:
        database.execute(f"EXEC sp_rename '{plans}.cinp_cin_plan_id', 'cin_plan_id', 'COLUMN'")
    else:
        database.execute(f"ALTER TABLE {plans} RENAME COLUMN cinp_cin_plan_id TO cin_plan_id")
    ssd.children("1001")
    database.execute(f"INSERT INTO {plans} VALUES ('P1', 'R1001', '1001', '2025-02-01', NULL)")

    assert '"P1"' in ssd.staged()["1001"]["json_payload"]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_the_ssd_may_be_in_a_schema_of_its_own(database: TestDatabase, ssd: CouncilSsd) -> None:
    ssd.children("1001")
    database.execute("CREATE SCHEMA ssd_development")
    for table in SSD_TABLES:
        database.execute(f"ALTER TABLE {table.name} SET SCHEMA ssd_development")

    assert ssd.stage().code == 3
    assert list(ssd.staged(SSD_SCHEMA="ssd_development")) == ["1001"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_same_id_may_be_a_number_in_one_table_and_a_text_in_another(
    deployed: TestDatabase, tmp_path: object
) -> None:
    ssd = council(deployed, tmp_path)  # type: ignore[arg-type] # pytest's own folder
    for table, columns in {
        "ssd_cin_episodes": ("cine_referral_id",),
        "ssd_s47_enquiry": ("s47e_s47_enquiry_id", "s47e_referral_id"),
    }.items():
        _as_numbers(deployed, table, columns)
    deployed.execute("INSERT INTO ssd_person (pers_person_id, pers_dob) VALUES ('1001', '2014-03-09')")
    deployed.execute(
        "INSERT INTO ssd_cin_episodes (cine_referral_id, cine_person_id, cine_referral_date) "
        "VALUES (7, '1001', '2025-01-10')"
    )
    deployed.execute("INSERT INTO ssd_cin_plans VALUES ('P1', '7', '1001', '2025-02-01', NULL)")
    deployed.execute("INSERT INTO ssd_s47_enquiry VALUES (9, 7, '1001', '2025-02-01', NULL, NULL)")
    deployed.execute("INSERT INTO ssd_initial_cp_conference VALUES ('C1', '9', '2025-02-11')")

    text = ssd.staged()["1001"]["json_payload"]

    for part in ('"social_care_episode_id":"7"', '"P1"', '"section_47_assessment_id":"9"', '"icpc_date":"2025-02-11"'):
        assert part in text


def _as_numbers(database: TestDatabase, table: str, columns: tuple[str, ...]) -> None:
    (sql,) = database.rows("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [table])[0]
    for column in columns:
        sql = sql.replace(f"{column} TEXT", f"{column} INTEGER")
    database.execute(f"DROP TABLE {table}")
    database.execute(sql)


def test_the_staged_rows_are_the_same_byte_for_byte_from_every_database(ssd: CouncilSsd) -> None:
    synthetic = SyntheticSsd(len(ALL_CASES) + 60, RUN_DATE)
    fill_synthetic(ssd.database, synthetic)
    here = _content(ssd)
    reference = _reference(ssd, synthetic)

    assert len(here) > len(ALL_CASES) // 2
    assert here == reference


def _reference(ssd: CouncilSsd, synthetic: SyntheticSsd) -> dict[str, tuple[object, ...]]:
    """Return the rows that an embedded database of its own gives."""
    from tests.support.databases import sqlite_database

    folder = ssd.folder / "reference"
    folder.mkdir()
    with sqlite_database(folder) as database:
        other = council(database.deploy(), folder)
        fill_synthetic(database, synthetic)
        return _content(other)


def _content(ssd: CouncilSsd) -> dict[str, tuple[object, ...]]:
    columns = ("legacy_id", "json_payload", "current_hash", "submission_status", "row_state")
    return {person: tuple(row[name] for name in columns) for person, row in ssd.staged().items()}
