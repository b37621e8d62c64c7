"""The synthetic SSD: the same from the same seed, of rows that fit the tables, with every case of the mapping."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime

import pytest

from api_pipeline.sandbox.synthetic_ssd import ALL_CASES, NightChange, SyntheticSsd, create_tables
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.tables import SSD_TABLES, SsdKind

AS_OF = date(2026, 8, 10)
START, END = "2024-04-01 00:00:00", "2026-08-11 00:00:00"
SMALL = len(ALL_CASES) + 60

# What must occur, as somebody looking for it in the tables would ask; {start} and {end} are the window's bounds.
CASES = {
    "1 closed at the very start": "ssd_cin_episodes WHERE cine_close_date = {start}",
    "1 referred at the very end": "ssd_cin_episodes WHERE cine_referral_date = {end}",
    "1 referred after the end": "ssd_cin_episodes WHERE cine_referral_date > {end}",
    "1 a time of day": "ssd_cin_episodes WHERE cine_referral_date NOT LIKE '% 00:00:00'",
    "2.1 26 at the start": "ssd_person WHERE pers_dob = '1998-04-01 00:00:00'",
    "2.1 26 a day later": "ssd_person WHERE pers_dob = '1998-04-02 00:00:00'",
    "2.1 born on 29 February": "ssd_person WHERE pers_dob LIKE '%-02-29%'",
    "2.1 unborn in the window": "ssd_person WHERE pers_dob IS NULL AND pers_expected_dob BETWEEN {start} AND {end}",
    "2.1 estimated birth years ago": "ssd_person WHERE pers_dob IS NULL AND pers_expected_dob < {start}",
    "2.1 neither date": "ssd_person WHERE pers_dob IS NULL AND pers_expected_dob IS NULL",
    "2.2 open without a date": "ssd_cin_episodes WHERE cine_referral_date IS NULL AND cine_close_date IS NULL",
    "2.2 CIN plan of a closed referral": "ssd_cin_plans JOIN ssd_cin_episodes ON cinp_referral_id = cine_referral_id "
    "WHERE cine_close_date < {start} AND cinp_cin_plan_end_date >= {start}",
    "2.2 CP plan of a closed referral": "ssd_cp_plans JOIN ssd_cin_episodes ON cppl_referral_id = cine_referral_id "
    "WHERE cine_close_date < {start} AND cppl_cp_plan_end_date IS NULL",
    "2.2 looked after by another's referral": "ssd_cla_episodes JOIN ssd_cin_episodes "
    "ON clae_referral_id = cine_referral_id JOIN ssd_person ON pers_person_id = cine_person_id "
    "WHERE clae_person_id <> cine_person_id",
    "2.2 looked after by the placement": "ssd_cla_episodes "
    "JOIN ssd_cin_episodes ON clae_referral_id = cine_referral_id JOIN ssd_cla_placement ON clap_cla_id = clae_cla_id "
    "WHERE cine_close_date < {start} AND clap_cla_placement_end_date IS NULL",
    "2.2 care leaver of 19 with an open referral": "ssd_care_leavers "
    "JOIN ssd_person ON pers_person_id = clea_person_id JOIN ssd_cin_episodes ON cine_person_id = clea_person_id "
    "WHERE pers_dob < '2008-01-01' AND cine_close_date IS NULL AND clea_care_leaver_latest_contact >= {start}",
    "2.2 nobody's person": "ssd_person WHERE pers_person_id NOT IN (SELECT cine_person_id FROM ssd_cin_episodes "
    "WHERE cine_person_id IS NOT NULL)",
    "4 person id over 20": "ssd_person WHERE LENGTH(pers_person_id) > 20",
    "4 person id of 20": "ssd_person WHERE LENGTH(pers_person_id) = 20",
    "4 person id with a sign": "ssd_person WHERE pers_person_id GLOB '*[^A-Za-z0-9]*'",
    "4 legacy id over 36": "ssd_person WHERE LENGTH(pers_legacy_id) > 36",
    "4 legacy id blank": "ssd_person WHERE TRIM(pers_legacy_id) = ''",
    "4 UPN column holds a UN code": "ssd_person WHERE UPPER(pers_upn) LIKE 'UN%'",
    "4 UPN of 12": "ssd_person WHERE LENGTH(pers_upn) = 12",
    "4 a pupil number among the reasons": "ssd_person WHERE pers_upn_unknown GLOB 'H[0-9]*'",
    "4 an unlisted reason": "ssd_person WHERE pers_upn_unknown = 'UN11'",
    "4 two former UPNs": "(SELECT link_person_id FROM ssd_linked_identifiers "
    "WHERE link_identifier_type = 'Former Unique Pupil Number' GROUP BY link_person_id HAVING COUNT(*) > 2)",
    "4 the newest former UPN is short": "ssd_linked_identifiers "
    "WHERE link_identifier_type = 'Former Unique Pupil Number' AND LENGTH(link_identifier_value) < 13",
    "4 sex in words": "ssd_person WHERE pers_sex = 'Male'",
    "4 ethnicity with its description": "ssd_person WHERE pers_ethnicity LIKE 'WBRI White%'",
    "4 disability NONE with others": "ssd_disability a JOIN ssd_disability b ON a.disa_person_id = b.disa_person_id "
    "WHERE TRIM(UPPER(a.disa_disability_code)) = 'NONE' AND b.disa_disability_code = 'AUT'",
    "4 disability twice": "(SELECT 1 FROM ssd_disability GROUP BY disa_person_id, disa_disability_code "
    "HAVING COUNT(*) > 1)",
    "4 all disabilities at once": "(SELECT 1 FROM ssd_disability GROUP BY disa_person_id HAVING COUNT(*) >= 13)",
    "4 postcode over 8": "ssd_address WHERE LENGTH(TRIM(addr_address_postcode)) > 8",
    "4 postcode blank": "ssd_address WHERE TRIM(addr_address_postcode) = ''",
    "4 address without start": "ssd_address WHERE addr_address_start_date IS NULL",
    "4 two addresses of one day": "(SELECT 1 FROM ssd_address GROUP BY addr_person_id, addr_address_start_date "
    "HAVING COUNT(*) > 1)",
    "4.1 status U": "ssd_immigration_status WHERE TRIM(UPPER(immi_immigration_status)) = 'U'",
    "4.1 status in words": "ssd_immigration_status WHERE immi_immigration_status LIKE 'Unaccompanied Asylum%'",
    "4.1 status ended before the window": "ssd_immigration_status WHERE immi_immigration_status_end_date < {start}",
    "4.1 status ended in the window": "ssd_immigration_status WHERE immi_immigration_status_end_date > {start}",
    "5 SDQ at the bounds": "ssd_sdq_scores WHERE csdq_sdq_completed_date IN ({start}, {end})",
    "5 SDQ without score": "ssd_sdq_scores WHERE csdq_sdq_score IS NULL",
    "5 SDQ without date": "ssd_sdq_scores WHERE csdq_sdq_completed_date IS NULL",
    "6 referral id over 36": "ssd_cin_episodes WHERE LENGTH(cine_referral_id) > 36",
    "6 closed without reason": "ssd_cin_episodes WHERE cine_close_date IS NOT NULL AND cine_close_reason IS NULL",
    "6 no-further-action flag blank": "ssd_cin_episodes WHERE cine_referral_nfa = ''",
    "6.1 a source of the form that is not a code": "ssd_cin_episodes WHERE cine_referral_source_code = '1E'",
    "6.1 source 10 with words": "ssd_cin_episodes WHERE cine_referral_source_code LIKE '10 %'",
    "7 assessment by its authorisation": "ssd_cin_assessments "
    "WHERE cina_assessment_start_date < {start} AND cina_assessment_auth_date >= {start}",
    "7 enquiry by its conference": "ssd_s47_enquiry JOIN ssd_initial_cp_conference "
    "ON icpc_s47_enquiry_id = s47e_s47_enquiry_id WHERE s47e_s47_end_date < {start} AND icpc_icpc_date >= {start}",
    "7 several conferences": "(SELECT 1 FROM ssd_initial_cp_conference GROUP BY icpc_s47_enquiry_id "
    "HAVING COUNT(*) > 2)",
    "7 rows of nobody": "ssd_cin_plans WHERE cinp_referral_id NOT IN (SELECT cine_referral_id FROM ssd_cin_episodes)",
    "7.1 factors as an object": "ssd_assessment_factors WHERE cinf_assessment_factors_json LIKE '{{%Yes%'",
    "7.1 factors null in words": "ssd_assessment_factors WHERE cinf_assessment_factors_json = 'null'",
    "7.1 factors that are no JSON": "ssd_assessment_factors WHERE cinf_assessment_factors_json = 'not JSON'",
    "7.1 two factor rows": "(SELECT 1 FROM ssd_assessment_factors GROUP BY cinf_assessment_id HAVING COUNT(*) > 1)",
    "7.1 outcome that is not JSON": "ssd_s47_enquiry WHERE s47e_s47_outcome_json = 'not JSON'",
    "7.2 an open placement after an ended one": "ssd_cla_placement a JOIN ssd_cla_placement b "
    "ON a.clap_cla_id = b.clap_cla_id "
    "WHERE a.clap_cla_placement_end_date IS NOT NULL AND b.clap_cla_placement_end_date IS NULL",
    "7.2 a placement that ends before it starts": "ssd_cla_placement "
    "WHERE clap_cla_placement_end_date < clap_cla_placement_start_date",
    "7.2 two episodes on one placement": "(SELECT 1 FROM ssd_cla_episodes WHERE clae_cla_placement_id IS NOT NULL "
    "GROUP BY clae_cla_placement_id HAVING COUNT(*) > 1)",
    "7.2 a placement without episode": "ssd_cla_placement WHERE clap_cla_placement_id NOT IN "
    "(SELECT clae_cla_placement_id FROM ssd_cla_episodes WHERE clae_cla_placement_id IS NOT NULL)",
    "7.2 a type missing in SystemC": "ssd_cla_placement WHERE clap_cla_placement_type = 'Z14'",
    "7.2 reasons with blanks inside": "ssd_cla_episodes WHERE clae_cla_episode_ceased_reason = ' E 8 '",
    "7.3 adoption by period of care": "ssd_permanence WHERE perm_person_id IS NULL AND perm_cla_id IS NOT NULL",
    "7.3 several adoptions": "(SELECT 1 FROM ssd_permanence GROUP BY perm_person_id HAVING COUNT(*) > 2)",
    "7.4 care leaver without contact": "ssd_care_leavers WHERE clea_care_leaver_latest_contact IS NULL",
    "7.4 activity in words": "ssd_care_leavers WHERE clea_care_leaver_activity = 'Employed'",
    "7.5 worker without number": "ssd_involvements JOIN ssd_professionals "
    "ON prof_professional_id = invo_professional_id WHERE prof_social_worker_registration_no IS NULL",
    "7.5 number over 12": "ssd_professionals WHERE LENGTH(TRIM(prof_social_worker_registration_no)) > 12",
    "7.5 role in small letters": "ssd_involvements WHERE invo_professional_role_id = 'cw '",
    "7.5 unknown professional": "ssd_involvements WHERE invo_professional_id = 'nobody'",
    "7.5 worker between census dates": "ssd_involvements WHERE invo_involvement_start_date = '2024-04-21 00:00:00' "
    "AND invo_involvement_end_date < '2025-03-31'",
}


@pytest.fixture(scope="module")
def small() -> Iterator[sqlite3.Connection]:
    """Yield an SSD with a person for every case, and some ordinary ones, in memory."""
    with closing(sqlite3.connect(":memory:")) as connection:
        create_tables(connection.execute, Dialect.SQLITE)
        ssd = SyntheticSsd(SMALL, AS_OF)
        people = list(ssd.persons())
        for table in SSD_TABLES:
            rows = [row for person in people for row in person.rows(table)]
            if table.name == "ssd_professionals":
                rows = [tuple(map(row.get, table.column_names)) for row in ssd.professionals()]
            _insert(connection, table.name, rows)
        yield connection


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    stored = [tuple(str(value) if isinstance(value, datetime) else value for value in row) for row in rows]
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", stored)


def test_every_case_of_the_mapping_occurs(small: sqlite3.Connection) -> None:
    conditions = {case: condition.format(start=f"'{START}'", end=f"'{END}'") for case, condition in CASES.items()}
    counts = {case: small.execute(f"SELECT COUNT(*) FROM {sql}").fetchone()[0] for case, sql in conditions.items()}

    assert [case for case, count in counts.items() if count == 0] == []


def test_the_first_people_are_one_case_each() -> None:
    named = [person.case for person in SyntheticSsd(SMALL, AS_OF).persons()]

    assert named[: len(ALL_CASES)] == [case.name for case in ALL_CASES]
    assert len({(case.section, case.name) for case in ALL_CASES}) == len(ALL_CASES)
    assert {case.section.split(".")[0] for case in ALL_CASES} == set("124567")


@pytest.mark.slow
def test_a_large_ssd_has_as_few_odd_people_as_a_council() -> None:
    named = Counter(person.case is None for person in SyntheticSsd(400, AS_OF, all_cases_first=False).persons())

    assert named[True] == 380


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    def texts(seed: int) -> list[str]:
        return [repr(person) for person in SyntheticSsd(60, AS_OF, seed).persons()]

    assert texts(5) == texts(5)
    assert texts(5) != texts(6)


def test_the_same_seed_gives_the_same_nights() -> None:
    def nights() -> list[str]:
        ssd, rng = SyntheticSsd(SMALL, AS_OF), random.Random(8)
        return [repr(ssd.next_night(rng, 0.1)) for _ in range(2)]

    assert nights() == nights()


def test_an_ordinary_person_has_about_sixty_rows() -> None:
    people = SyntheticSsd(200, AS_OF, all_cases_first=False).persons()
    counts = [sum(map(len, person.tables.values())) for person in people]

    assert 50 <= sum(counts) / len(counts) <= 70


def test_every_row_fits_its_table() -> None:
    ssd = SyntheticSsd(SMALL, AS_OF)
    known = {table.name: {column.name: column for column in table.columns} for table in SSD_TABLES}
    everything = [*(person.tables for person in ssd.persons()), {"ssd_professionals": ssd.professionals()}]

    for tables in everything:
        for name, rows in tables.items():
            for row in rows:
                for column, value in row.items():
                    assert column in known[name]
                    length = known[name][column].length
                    assert length is None or value is None or len(str(value)) <= length, (name, column, value)
                    if known[name][column].kind is SsdKind.DATE:
                        assert value is None or isinstance(value, datetime)


@pytest.mark.slow
def test_keys_stay_unique_over_many_nights() -> None:
    ssd, rng = SyntheticSsd(SMALL, AS_OF), random.Random(4)
    for _ in range(5):
        ssd.next_night(rng, 0.2)

    people = list(ssd.persons())
    for table in SSD_TABLES:
        keys = [row[: len(table.key)] for person in people for row in person.rows(table)]
        assert len(keys) == len(set(keys)), table.name


@pytest.mark.slow
def test_every_kind_of_change_happens_and_changes_what_it_says() -> None:
    ssd, rng = SyntheticSsd(400, AS_OF, all_cases_first=False), random.Random(2)
    steps = [step for _ in range(8) for step in ssd.next_night(rng, 0.1).steps]

    assert {step.change for step in steps} == set(NightChange)
    for step in steps:
        assert (step.before is None) == (step.change in (NightChange.CAME, NightChange.RETURNED))
        assert (step.after is None) == (step.change is NightChange.VANISHED)
        if (
            step.before
            and step.after
            and step.change in (NightChange.FIELDS, NightChange.OPENED, NightChange.RENUMBERED)
        ):
            assert step.before.tables != step.after.tables


@pytest.mark.slow
def test_renumbering_changes_ids_and_nothing_else() -> None:
    ssd, rng = SyntheticSsd(400, AS_OF, all_cases_first=False), random.Random(2)
    steps = [step for _ in range(8) for step in ssd.next_night(rng, 0.1).steps if step.change is NightChange.RENUMBERED]

    for step in steps:
        assert step.before
        assert step.after
        for table in SSD_TABLES:
            for old, new in zip(step.before.rows(table), step.after.rows(table), strict=True):
                changed = {name for name, a, b in zip(table.column_names, old, new, strict=True) if a != b}
                assert all(name.endswith("_id") and not name.endswith("person_id") for name in changed)


def test_who_vanished_and_returned_is_the_same_person() -> None:
    ssd, rng = SyntheticSsd(150, AS_OF, all_cases_first=False), random.Random(1)
    gone: dict[int, str] = {}
    returned = 0
    for _ in range(10):
        for step in ssd.next_night(rng, 0.1).steps:
            if step.change is NightChange.VANISHED:
                gone[step.number] = repr(step.before)
            if step.change is NightChange.RETURNED:
                assert repr(step.after) == gone.pop(step.number)
                returned += 1
        assert all(ssd.person(number) is None for number in gone)

    assert returned
