"""What a school consents to, pauses, withdraws or revokes decides what is collected and what stays."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from api_pipeline.sandbox.synthetic_ssd.database import create_tables
from api_pipeline.sql.identifiers import Dialect
from tests.support.commands import run_cli
from tests.support.keyrings import store_settings
from tests.support.xporter import day
from tests.support.xporter_council import Council


def test_a_revoked_school_is_purged_with_a_line_of_proof(council: Council) -> None:
    council.run("collect")
    council.schools[0].revoke(day(20))

    done = council.run("collect")

    assert done.code == 0, done.text
    assert "School 9990001: consent ended" in done.out
    assert council.count("Students", "9990001") == 0
    assert council.count("Students", "9990002") == 4
    assert "rows were removed" in council.run("status").out


def test_a_pupil_whom_the_school_withdraws_is_gone_with_a_line_of_proof(council: Council) -> None:
    council.run("collect")
    school = council.schools[0]
    key = next(str(row["StudentId"]) for row in school.truth("StudentExclusions")["StudentExclusions"])
    school.withheld_people.add(key)

    done = council.run("collect")

    assert done.code == 0, done.text
    assert "School 9990001: 1 pupil is no longer on the roll (they left, were withdrawn" in done.out
    assert council.count("Students", "9990001") == 3
    for table in ("xporter_StudentExclusions", "xporter_Students"):
        member = "StudentId" if table.endswith("Exclusions") else "Id"
        assert council.query(f'SELECT 1 FROM "{table}" WHERE estab = ? AND "{member}" = ?', school.estab, key) == []
    proof = council.query("SELECT message FROM xporter_run_log WHERE message LIKE '%no longer on the roll%'")
    assert len(proof) == 1
    assert key not in proof[0][0]


def test_a_paused_school_waits_without_an_error(council: Council) -> None:
    council.schools[1].is_paused = True
    done = council.run("collect")
    assert done.code == 0, done.text
    assert "paused" in council.run("status").out


def test_a_school_that_stays_paused_for_a_week_is_an_error(council: Council) -> None:
    council.schools[1].is_paused = True
    council.run("collect")
    council.query("UPDATE xporter_school SET state_since = '2025-01-01 00:00:00' WHERE estab = ?", "9990002")
    assert council.run("collect").code == 1


def test_school_that_is_listed_as_invited_alone_keeps_its_rows_and_is_named(council: Council) -> None:
    council.run("collect")
    council.schools[0].is_pending = True

    done = council.run("collect")

    assert done.code == 0
    assert done.out.count("School 9990001 stands in the list as invited and not as authorised") == 1
    assert council.count("Students", "9990001") == 4


def test_a_scope_that_a_school_never_gave_is_no_error(council: Council) -> None:
    council.schools[0].scopes = council.schools[0].scopes - {"StudentExclusions"}
    done = council.run("collect")
    assert done.code == 0, done.text
    assert council.count("StudentExclusions", "9990001") == 0
    assert council.count("StudentExclusions", "9990002") > 0


def test_a_scope_that_was_there_before_is_news_and_its_rows_are_gone(council: Council) -> None:
    council.run("collect")
    school = council.schools[0]
    school.scopes = school.scopes - {"StudentExclusions"}

    done = council.run("collect")

    assert done.code == 1, done.text
    assert "took back StudentExclusions: 0 columns and 5 tables were emptied" in done.out
    assert council.count("StudentExclusions", school.estab) == 0
    assert council.run("collect").code == 0


def test_only_columns_that_were_let_out_before_count_as_emptied(council: Council) -> None:
    school = council.schools[0]
    school.scopes = school.scopes - {"StudentFamily"}
    council.run("collect")
    school.scopes = school.scopes - {"UPN"}

    assert "took back UPN: 2 columns and 0 tables were emptied" in council.run("collect").out


def test_scope_that_nothing_landed_needs_is_news_of_which_nothing_is_emptied(council: Council) -> None:
    council.run("collect")
    council.schools[0].scopes = council.schools[0].scopes - {"Photos"}

    done = council.run("collect")

    assert done.code == 1, done.text
    assert "took back Photos: no column and no table needed it, so none was emptied.\n" in done.out


def test_minimised_collection_needs_the_ssd_or_says_so(council: Council) -> None:
    done = council.run("collect", XPORTER_KEEP_UNMATCHED="false")
    assert done.code == 3
    assert "set SSD_SCHEMA, or, to collect every pupil" in done.err
    done = council.run("match")
    assert done.code == 3
    assert "set SSD_SCHEMA.\n" in done.err, "proposals need the children whatever is collected"


def test_nothing_is_removed_while_the_ssd_has_no_children(council: Council) -> None:
    council.run("collect")
    create_tables(council.query, Dialect.SQLITE)

    done = council.run("collect", XPORTER_KEEP_UNMATCHED="false")

    assert done.code == 3
    assert "it is not known who the council's children are; nothing was collected" in done.err
    assert council.count("Students", "9990001") == 4


def test_check_names_what_consent_does_not_cover(council: Council) -> None:
    council.schools[0].scopes = frozenset({"School"})
    done = council.run("check", "9990001")
    assert done.code == 1
    assert "StudentExclusions: the school's consent does not cover it" in done.out
    assert "SchoolInfo: answered" in done.out
    assert council.run("check", "9990002").code == 0


def test_schools_are_listed_and_one_can_be_taken_out(council: Council) -> None:
    council.run("collect")
    listed = council.run("schools", "list")
    assert listed.code == 0, listed.text
    assert "9990001  authorised" in listed.out
    assert "scopes: Address" in listed.out
    assert council.run("schools").out == listed.out
    assert council.schools[0].secret not in listed.text
    removed = council.run("schools", "remove", "9990001")
    assert removed.code == 0, removed.text
    assert council.count("Students", "9990001") == 0


def test_school_that_an_empty_list_does_not_name_is_shown_as_such(council: Council) -> None:
    council.run("collect")
    council.simulator.schools.clear()
    done = council.run("schools", XPORTER_SCHOOLS="9990009")
    assert done.code == 0, done.text
    assert "9990001  not in the list" in done.out
    assert "9990009  not in the list new         no secret" in done.out
    assert "9990001  not asked" in council.run("schools", XPORTER_MANAGEMENT_SECRET="").out


def test_rows_of_a_revoked_school_stay_for_the_days_of_grace_and_no_longer(council: Council) -> None:
    council.run("collect")
    today = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    council.schools[0].revoke(today - timedelta(days=2))

    waits = council.run("collect", XPORTER_REVOKED_GRACE_DAYS="3")
    assert "3 days after that" in waits.out
    assert council.count("Students", "9990001") == 4
    assert "rows were removed" in council.run("collect", XPORTER_REVOKED_GRACE_DAYS="1").out
    assert council.count("Students", "9990001") == 0


@pytest.mark.parametrize("kept_by", [{"XPORTER_REVOKED_GRACE_DAYS": "30"}, {"XPORTER_ON_REVOKED": "report"}])
def test_school_that_revoked_is_shown_so_and_gets_no_request_while_its_rows_are_kept(
    council: Council, kept_by: dict[str, str]
) -> None:
    council.run("collect")
    body = '{"StudentId": "1", "Date": "2025-11-26", "Session": "AM", "Mark": "L"}'
    council.query("INSERT INTO xporter_outbox (estab, kind, body) VALUES ('9990001', 'attendance', ?)", body)
    council.schools[0].revoke(datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days=2))
    for _ in range(2):
        council.run("collect", **kept_by)
    before = len(council.simulator.log)
    written = council.run("write-back", XPORTER_WRITE_BACK="attendance")

    assert "School 9990001: 1 row waits: it revoked its consent." in written.out, written.text
    assert len(council.simulator.log) == before
    assert "9990001  revoked" in council.run("status").out


def test_rows_that_were_kept_after_a_revocation_go_when_the_school_authorises_again(council: Council) -> None:
    council.run("collect")
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    council.schools[0].revoke(now - timedelta(days=2))
    council.run("collect", XPORTER_REVOKED_GRACE_DAYS="30")
    council.schools[0].authorise_again(now - timedelta(days=1))

    again = council.run("collect", XPORTER_REVOKED_GRACE_DAYS="30")
    assert "School 9990001: consent ended at" in again.out, again.text
    assert "The secret of school 9990001 is dead" in again.out
    assert council.count("Students", "9990001") == 0


def test_rows_of_a_school_whose_consent_ends_later_stay_for_the_days_of_grace(council: Council) -> None:
    council.run("collect")
    now = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    council.schools[0].revoke(now + timedelta(hours=1))

    assert "3 days after that" in council.run("collect", XPORTER_REVOKED_GRACE_DAYS="3").out
    assert council.count("Students", "9990001") == 4
    assert "rows were removed" in council.run("collect").out


def test_a_dry_run_says_which_rows_would_go_and_removes_none(council: Council) -> None:
    council.run("collect")
    council.schools[0].revoke(datetime(9999, 1, 1))  # noqa: DTZ001 - as the list gives it

    said = council.run("collect", "--dry-run")

    assert "School 9990001: its consent ended; a collection would remove its rows." in said.out
    assert council.count("Students", "9990001") > 0
    assert "School 9990001: consent ended at an unknown time; " in council.run("collect").out
    assert council.count("Students", "9990001") == 0


@pytest.mark.parametrize("has_list", [True, False])
def test_removed_school_stays_out_while_its_old_secret_is_in_the_settings(council: Council, has_list: bool) -> None:
    more = {} if has_list else {"XPORTER_MANAGEMENT_SECRET": ""}
    council.run("collect", **more)
    council.run("schools", "remove", "9990001", **more)

    said = council.run("collect", **more)

    assert said.code == 0, said.text
    assert "take XPORTER_SECRET_9990001 out of the settings" in said.out
    assert council.count("Students", "9990001") == 0
    assert council.count("Students", "9990002") > 0


@pytest.mark.parametrize("has_list", [True, False])
def test_removed_school_whose_secret_is_gone_needs_no_look(council: Council, has_list: bool) -> None:
    more = {} if has_list else {"XPORTER_MANAGEMENT_SECRET": ""}
    council.run("collect", **more)
    council.run("schools", "remove", "9990001", **more)
    del council.settings["XPORTER_SECRET_9990001"]

    assert [council.run("collect", **more).code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("has_list", [True, False])
def test_removed_school_comes_back_with_a_new_secret(council: Council, has_list: bool) -> None:
    more = {} if has_list else {"XPORTER_MANAGEMENT_SECRET": ""}
    council.run("collect", **more)
    council.run("schools", "remove", "9990001", **more)
    council.schools[0].secret = council.settings["XPORTER_SECRET_9990001"] = "another-invented-secret"

    assert council.run("collect", **more).code == 0
    assert council.count("Students", "9990001") == 4


def test_school_whose_secret_is_in_the_credential_store_is_asked_where_it_is_named(council: Council) -> None:
    # Without a list of schools nothing else names it: a credential store cannot be asked for its entries.
    secret = council.settings.pop("XPORTER_SECRET_9990001")
    settings = {name: value for name, value in council.settings.items() if "SECRET" not in name}
    settings |= store_settings(council.folder / "store.json")

    nobody = run_cli(["xporter", "collect"], settings, council.folder)
    added = run_cli(["xporter", "schools", "add", "9990001"], settings, council.folder, stdin=secret)
    named = run_cli(["xporter", "collect"], {**settings, "XPORTER_SCHOOLS": "9990001"}, council.folder)

    assert (nobody.code, added.code, named.code) == (2, 0, 0), nobody.text + named.text
    assert "expected it, or XPORTER_SCHOOLS" in nobody.err
    assert council.count("Students", "9990001") == 4

    refused = run_cli(["xporter", "collect"], {**settings, "XPORTER_MANAGEMENT_SECRET": "mistyped"}, council.folder)

    assert (refused.code, refused.out.count("Collected: 1 school,")) == (1, 1), refused.text


@pytest.mark.parametrize("on_revoked", ["purge", "report"])
def test_proof_of_a_removal_stays_when_the_list_says_later_that_the_school_revoked(
    council: Council, on_revoked: str
) -> None:
    assert council.run("collect").code == 0
    assert council.run("schools", "remove", "9990001").code == 0
    proof = "SELECT purged_at, purged_rows FROM xporter_school WHERE estab = '9990001'"
    before = council.query(proof)
    council.schools[0].revoke(day(20))
    del council.settings["XPORTER_SECRET_9990001"]

    done = council.run("collect", XPORTER_ON_REVOKED=on_revoked)

    assert done.code == 0
    assert "9990001" not in done.out
    assert council.query(proof) == before


def test_secret_of_a_school_that_was_never_collected_can_be_removed(council: Council) -> None:
    settings = council.settings | store_settings(council.folder / "store.json")
    run_cli(["xporter", "schools", "add", "9990009"], settings, council.folder, stdin="an-invented-secret")

    removed = run_cli(["xporter", "schools", "remove", "9990009"], settings, council.folder)
    again = run_cli(["xporter", "schools", "remove", "9990009"], settings, council.folder)

    assert (removed.code, "0 rows were removed" in removed.out) == (0, True), removed.text
    assert "an-invented-secret" not in (council.folder / "store.json").read_text(encoding="utf-8")
    assert (again.code, "not known here" in again.err) == (2, True), again.text
