"""SSDs as they differ: names of columns, schemas, types of ids, and the same rows from every database."""

from __future__ import annotations

import json
import re
from uuid import UUID

import pytest

from api_pipeline.sandbox.synthetic_ssd import ALL_CASES, SyntheticSsd
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.tables import CIN_EPISODE, PERSON, SSD_TABLES, SsdTable
from tests.support.altering import rename_column
from tests.support.council_ssd import CouncilSsd, council, fill_synthetic
from tests.support.databases import TestDatabase, over_odbc
from tests.support.ssd import RUN_DATE


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_the_ids_of_plans_may_be_called_as_in_mosaic(database: TestDatabase, ssd: CouncilSsd) -> None:
    plans = database.named("ssd_cin_plans")
    rename_column(database, "ssd_cin_plans", "cinp_cin_plan_id", "cin_plan_id")
    ssd.children("1001")
    database.execute(f"INSERT INTO {plans} VALUES ('P1', 'R1001', '1001', '2025-02-01', NULL)")

    assert '"P1"' in ssd.staged()["1001"]["json_payload"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_another_column_of_such_plans_is_named_when_it_is_missing(database: TestDatabase, ssd: CouncilSsd) -> None:
    for column, name in (("cinp_cin_plan_id", "cin_plan_id"), ("cinp_person_id", "person_id")):
        database.execute(f"ALTER TABLE ssd_cin_plans RENAME COLUMN {column} TO {name}")

    done = ssd.stage()

    assert done.code == 3
    assert "The SSD table ssd_cin_plans has no column cinp_person_id that may be read" in done.text


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_the_ssd_may_be_in_a_schema_of_its_own(database: TestDatabase, ssd: CouncilSsd) -> None:
    ssd.children("1001")
    database.execute("CREATE SCHEMA ssd_development")
    for table in SSD_TABLES:
        database.execute(f"ALTER TABLE {table.name} SET SCHEMA ssd_development")

    assert ssd.stage().code == 3
    assert list(ssd.staged(SSD_SCHEMA="ssd_development")) == ["1001"]


@pytest.mark.strict
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_blanks_behind_an_id_separate_nobody_from_their_rows(database: TestDatabase, ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    for person_id, padded in (("1001", "ssd_person.pers_person_id"), ("1002", "ssd_cin_episodes.cine_person_id")):
        table, column = padded.split(".")
        database.execute(
            f"UPDATE {database.named(table)} SET {column} = ? WHERE {column} = ?", [person_id + "   ", person_id]
        )

    rows = {person_id.strip(): row for person_id, row in ssd.staged().items()}

    assert sorted(rows) == ["1001", "1002"]
    assert all("social_care_episodes" in row["json_payload"] for row in rows.values())


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_same_id_may_be_a_number_in_one_table_and_a_text_in_another(
    database: TestDatabase, ssd: CouncilSsd
) -> None:
    for table, columns in {
        "ssd_cin_episodes": ("cine_referral_id",),
        "ssd_s47_enquiry": ("s47e_s47_enquiry_id", "s47e_referral_id"),
    }.items():
        _as_numbers(database, table, columns)
    database.execute("INSERT INTO ssd_person (pers_person_id, pers_dob) VALUES ('1001', '2014-03-09')")
    database.execute(
        "INSERT INTO ssd_cin_episodes (cine_referral_id, cine_person_id, cine_referral_date) "
        "VALUES (7, '1001', '2025-01-10')"
    )
    database.execute("INSERT INTO ssd_cin_plans VALUES ('P1', '7', '1001', '2025-02-01', NULL)")
    database.execute("INSERT INTO ssd_s47_enquiry VALUES (9, 7, '1001', '2025-02-01', NULL, NULL)")
    database.execute("INSERT INTO ssd_initial_cp_conference VALUES ('C1', '9', '2025-02-11')")

    text = ssd.staged()["1001"]["json_payload"]

    for part in ('"social_care_episode_id":"7"', '"P1"', '"section_47_assessment_id":"9"', '"icpc_date":"2025-02-11"'):
        assert part in text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("numbers", [("ssd_person", "pers_person_id"), ("ssd_cin_episodes", "cine_person_id")])
def test_nobody_is_lost_where_one_table_sorts_ids_as_numbers_and_another_as_texts(
    database: TestDatabase, ssd: CouncilSsd, numbers: tuple[str, str]
) -> None:
    _as_numbers(database, numbers[0], numbers[1:])
    ssd.children("999", "1001")

    assert sorted(ssd.staged()) == ["1001", "999"]


@pytest.mark.parametrize(
    ("database", "collation"), [("sqlite", "NOCASE"), ("postgresql-odbc", '"en-x-icu"')], indirect=["database"]
)
@pytest.mark.parametrize("table", [PERSON, CIN_EPISODE], ids=lambda table: table.name)
def test_nobody_is_lost_where_tables_sort_ids_by_other_collations(
    database: TestDatabase, ssd: CouncilSsd, collation: str, table: SsdTable
) -> None:
    _collate(database, table, collation)
    people = ["A3", "B1", "C9", "a1", "ab", "b2"]
    ssd.children(*people)

    rows = ssd.staged()

    assert sorted(rows) == people
    assert all("social_care_episodes" in row["json_payload"] for row in rows.values())


def _collate(database: TestDatabase, table: SsdTable, collation: str) -> None:
    column = next(name for name in table.column_names if name.endswith("_person_id"))
    if database.dialect is Dialect.POSTGRESQL:
        database.execute(f"ALTER TABLE {table.name} ALTER COLUMN {column} TYPE VARCHAR(48) COLLATE {collation}")
        return
    ((sql,),) = database.rows("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [table.name])
    database.execute(f"DROP TABLE {table.name}")
    database.execute(sql.replace(f"{column} TEXT", f"{column} TEXT COLLATE {collation}"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_view_whose_ids_are_numbers_and_which_repeats_rows_reads_like_a_table(
    database: TestDatabase, ssd: CouncilSsd
) -> None:
    ssd.children("999", "1001")
    usual = {person: row["json_payload"] for person, row in ssd.staged().items()}
    database.execute("UPDATE ssd_api_data_staging SET json_payload = '{}', current_hash = NULL")
    for table, key in (("ssd_person", "pers_person_id"), ("ssd_cin_episodes", "cine_person_id")):
        database.execute(f"ALTER TABLE {table} RENAME TO kept_{table}")
        names = [column.name for one in SSD_TABLES if one.name == table for column in one.columns]
        columns = ", ".join(f"{key} + 0 AS {key}" if name == key else name for name in names)
        one = f"SELECT {columns} FROM kept_{table}"
        database.execute(f"CREATE VIEW {table} AS {one} UNION ALL {one}")

    assert {person: row["json_payload"] for person, row in ssd.staged().items()} == usual


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_ids_of_people_may_be_of_a_type_without_a_least_value(database: TestDatabase, ssd: CouncilSsd) -> None:
    for table in SSD_TABLES:
        for column in (name for name in table.column_names if name.endswith("_person_id")):
            database.execute(f"ALTER TABLE {table.name} ALTER COLUMN {column} TYPE uuid USING {column}::uuid")
    ssd.children("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")

    done = ssd.stage()

    assert done.code == 0, done.text
    assert re.search(r"the cohort +1\b", done.out)


@pytest.mark.parametrize("kind", ["numeric", "uuid"])
@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_ids_that_are_no_texts_in_any_table_are_joined(database: TestDatabase, ssd: CouncilSsd, kind: str) -> None:
    first, second = (f"'{UUID(int=number)}'" if kind == "uuid" else str(number) for number in (7, 8))
    joined = re.compile(r"_(referral|cla|assessment|s47_enquiry|professional|cla_placement|icpc|\w+_plan)_id$")
    for one in SSD_TABLES:
        for column in (name for name in one.column_names if joined.search(name) or _is_of_people(name, kind)):
            database.execute(f"ALTER TABLE {one.name} ALTER COLUMN {column} TYPE {kind} USING {column}::{kind}")
    person = "1001" if kind == "numeric" else "'1001'"
    for table, values in {
        "ssd_person (pers_person_id, pers_dob)": f"{person}, '2014-03-09'",
        "ssd_cin_episodes (cine_referral_id, cine_person_id, cine_referral_date)": f"{first}, {person}, '2025-01-10'",
        "ssd_cin_assessments": f"{first}, {person}, {first}, '2025-01-11', NULL",
        "ssd_assessment_factors": f"'F1', {first}, '[\"1A\"]'",
        "ssd_cin_plans": f"{first}, {first}, {person}, '2025-02-01', NULL",
        "ssd_s47_enquiry": f"{first}, {first}, {person}, '2025-02-01', NULL, NULL",
        "ssd_initial_cp_conference": f"{first}, {first}, '2025-02-11'",
        "ssd_cp_plans": f"{first}, {first}, {person}, '2025-02-01', NULL",
        "ssd_cla_episodes": f"'E1', {person}, {second}, {first}, {first}, '2025-02-01', 'S', NULL, NULL",
        "ssd_cla_placement": f"{second}, {first}, '2025-02-01', NULL, NULL, NULL, NULL",
        "ssd_permanence": f"'P1', NULL, {first}, NULL, '2025-03-01', NULL",
        "ssd_involvements": f"'I1', {first}, 'CW', {first}, '2025-03-01', NULL",
        "ssd_professionals": f"{first}, 'S1', 'SW1'",
    }.items():
        database.execute(f"INSERT INTO {table} VALUES ({values})")

    (episode,) = json.loads(ssd.staged()["1001"]["json_payload"])["social_care_episodes"]

    assert [episode["adoption"]["matched_date"], episode["care_worker_details"][0]["worker_id"]] == [
        "2025-03-01",
        "SW1",
    ]
    assert episode["child_and_family_assessments"][0]["factors"] == ["1A"]
    assert episode["section_47_assessments"][0]["icpc_date"] == "2025-02-11"
    assert episode["child_looked_after_placements"][0]["start_reason"] == "S"
    assert {"child_in_need_plans", "child_protection_plans"} < episode.keys()


def _is_of_people(column: str, kind: str) -> bool:
    # A uuid is longer than the receiver takes as a child's id.
    return kind == "numeric" and column.endswith("_person_id")


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_listed_people_that_the_type_of_ids_cannot_hold_are_not_in_the_ssd(
    database: TestDatabase, ssd: CouncilSsd
) -> None:
    ssd.children("1001")
    for table, column in (("ssd_person", "pers_person_id"), ("ssd_cin_episodes", "cine_person_id")):
        database.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint USING {column}::bigint")

    done = ssd.stage(COHORT_PERSON_IDS="1001,1002x")

    assert done.code == 0, done.text
    assert "1 of the 2 people in COHORT_PERSON_IDS are not in the SSD, or not in COHORT_FILTER_TABLE: 1002x" in done.err
    assert list(ssd.rows()) == ["1001"]


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz", "text"])
@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_dates_that_no_driver_can_read_are_never_taken_for_today(
    database: TestDatabase, ssd: CouncilSsd, kind: str
) -> None:
    ssd.children("1001", "1002", "1003")
    for column in ("cine_referral_date", "cine_close_date"):
        database.execute(f"ALTER TABLE ssd_cin_episodes ALTER COLUMN {column} TYPE {kind} USING {column}::{kind}")
    far, last, first = (
        ("9999-12-31",) * 2 + ("0001-01-01",) if kind == "text" else ("12026-08-01", "infinity", "-infinity")
    )
    periods = {"1001": ("2025-01-10", f"'{last}'"), "1002": (first, f"'{far}'"), "1003": ("2025-01-10", "NULL")}
    for person, (began, ended) in periods.items():
        database.execute(
            f"UPDATE ssd_cin_episodes SET cine_referral_date = CAST('{began}' AS {kind}), "
            f"cine_close_date = CAST({ended} AS {kind}) WHERE cine_person_id = '{person}'"
        )

    payloads = {person: json.loads(row["json_payload"]) for person, row in ssd.staged().items()}

    episodes = {person: payload["social_care_episodes"][0] for person, payload in payloads.items()}
    dates = {person: (one["referral_date"], one.get("closure_date")) for person, one in episodes.items()}
    assert dates == {
        "1001": ("2025-01-10", "9999-12-31"),
        "1002": ("0001-01-01", "9999-12-31"),
        "1003": ("2025-01-10", None),
    }


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_ids_of_people_with_decimals_beside_texts_are_refused(database: TestDatabase, ssd: CouncilSsd) -> None:
    ssd.children("1001")
    before = ssd.staged()
    for change in ("numeric(18, 2) USING disa_person_id::numeric", "double precision"):
        database.execute(f"ALTER TABLE ssd_disability ALTER COLUMN disa_person_id TYPE {change}")
        database.execute("DELETE FROM ssd_disability")
        database.execute("INSERT INTO ssd_disability (disa_table_id, disa_person_id) VALUES ('D1', 1001)")

        done = ssd.stage()

        assert done.code == 3
        assert "numbers with decimals in ssd_disability.disa_person_id and as texts in other columns" in done.err
        assert ssd.rows() == before


def _as_numbers(database: TestDatabase, table: str, columns: tuple[str, ...]) -> None:
    (sql,) = database.rows("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [table])[0]
    for column in columns:
        sql = sql.replace(f"{column} TEXT", f"{column} INTEGER")
    database.execute(f"DROP TABLE {table}")
    database.execute(sql)


@pytest.mark.slow
@over_odbc
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
