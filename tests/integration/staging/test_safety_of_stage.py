"""What keeps a staging from doing harm: the guard, the lock, dry runs, kills, and whom it takes at all."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api_pipeline.db import connect
from api_pipeline.db.run_lock import take
from api_pipeline.staging import first_look
from api_pipeline.staging.tables import ADDRESS, CIN_PLAN, SSD_TABLES
from tests.support.commands import started_cli
from tests.support.council_ssd import AS_OF, CouncilSsd, with_plan
from tests.support.effort import IS_LONG
from tests.support.killed import wait_until_lock_is_free
from tests.support.marks import EMBEDDED
from tests.support.ssd import address
from tests.support.staging import child, fill, staged

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
    ssd.many_children(MANY)
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
    ssd.many_children(MANY)
    ssd.staged()
    for gone in MANY[:2]:
        ssd.remove(gone)

    assert [row["row_state"] for row in ssd.staged().values()].count("deleted") == 2


@EMBEDDED
def test_the_share_is_a_setting_and_deleted_rows_do_not_count(ssd: CouncilSsd) -> None:
    ssd.many_children(MANY)
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
    ssd.many_children(MANY)
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
@pytest.mark.parametrize("person_id", ["", "  "])
def test_row_without_a_person_is_left_alone(ssd: CouncilSsd, person_id: str) -> None:
    ssd.children("1001")
    ssd.staged()
    fill(ssd.database, ssd.database.table, [staged(person_id, child("9"), "sent", "unchanged")])
    before = ssd.rows()

    assert ssd.staged() == before


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


@pytest.mark.slow
@EMBEDDED
def test_run_and_staging_exclude_each_other(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    environment = {**ssd.settings, "TESTING_MODE": "true"}
    with locked(ssd), started_cli(["run"], environment, ssd.folder) as process:
        assert process.wait(60) == 75


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql-odbc", *(["sqlite"] if IS_LONG else [])], indirect=True)
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


@pytest.mark.slow
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
