"""The guard against an SSD in which one table holds too little: parts of children who stay are no longer there."""

from __future__ import annotations

import pytest

from api_pipeline.staging.tables import CIN_PLAN, PERSON
from tests.support.council_ssd import CouncilSsd, with_plan
from tests.support.marks import EMBEDDED

MANY = [f"1{number:03}" for number in range(40)]


@pytest.mark.strict
def test_a_table_that_holds_too_little_stops_the_staging(ssd: CouncilSsd) -> None:
    ssd.put(*(with_plan(key, f"P{key}") for key in MANY))
    before = ssd.staged()
    plans = ssd.database.named(CIN_PLAN.name)
    ssd.database.execute(f"DELETE FROM {plans} WHERE cinp_person_id < '1020'")

    done = ssd.stage()

    assert done.code == 3
    assert "20 of 40 child_in_need_plans that are staged" in done.err
    assert ssd.rows() == before
    assert ssd.stage("--dry-run").code == 3
    assert ssd.stage(MAX_DELETED_SHARE="0.5").code == 0
    assert "child_in_need_plans" not in ssd.rows()["1001"]["json_payload"]


@EMBEDDED
def test_parts_that_vanish_are_counted_in_more_payloads_than_are_kept(
    ssd: CouncilSsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_pipeline.staging.first_look._KEPT_AHEAD", 1)
    for module in ("first_look", "stager"):
        monkeypatch.setattr(f"api_pipeline.staging.{module}.PEOPLE_IN_A_CHUNK", 10)
    ssd.put(*(with_plan(key, f"P{key}") for key in MANY))
    before = ssd.staged()
    ssd.database.execute(f"UPDATE {ssd.database.named('ssd_person')} SET pers_forename = 'Other'")
    ssd.database.execute(f"DELETE FROM {ssd.database.named(CIN_PLAN.name)} WHERE cinp_person_id >= '1020'")

    done = ssd.stage()

    assert "20 of 40 child_in_need_plans that are staged" in done.err
    assert ssd.rows() == before
    after = ssd.staged("--allow-deletions")
    assert ["child_in_need_plans" in after[key]["json_payload"] for key in MANY] == [key < "1020" for key in MANY]


@EMBEDDED
def test_empty_table_behind_a_record_held_back_alone_stops_nothing(ssd: CouncilSsd) -> None:
    ssd.put(with_plan("1001", "P1"), with_plan("1002", "P2"))
    ssd.staged()
    ssd.update(PERSON, "pers_person_id = '1001'", pers_legacy_id="too long" * 6)
    ssd.empty(CIN_PLAN)

    assert "Empty, although staged payloads were made from it: ssd_cin_plans" in ssd.stage().err
    rows = ssd.staged("--allow-deletions")
    assert ["P1" in rows["1001"]["json_payload"], "P2" in rows["1002"]["json_payload"]] == [True, False]
    assert ssd.staged() == rows


@EMBEDDED
def test_plans_with_other_numbers_or_that_left_the_window_stop_nothing(ssd: CouncilSsd) -> None:
    ssd.put(*(with_plan(key, f"P{key}", end="2025-03-31") for key in MANY))
    ssd.staged()
    ssd.database.execute(f"UPDATE {ssd.database.named('ssd_person')} SET pers_forename = 'Other'")
    ssd.database.execute(f"UPDATE {ssd.database.named(CIN_PLAN.name)} SET cinp_cin_plan_id = 'N' || cinp_cin_plan_id")

    assert ssd.stage().code == 0
    assert ssd.stage("--as-of", "2027-04-01").code == 0
