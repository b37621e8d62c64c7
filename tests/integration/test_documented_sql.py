"""The queries that the pages offer to officers and administrators run, and answer what the page says they answer."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect, table_names
from tests.support.commands import invoke_cli
from tests.support.databases import ANON, TestDatabase, as_moment
from tests.support.documents import DOCS, blocks
from tests.support.prepared import LIVE
from tests.support.staging import change, child, fill, hash_of, staged, text_of
from tests.support.world import live_settings

# Each question with its query, or with two: the second is SQL Server's.
_QUESTION = re.compile(r"^### ([^\n]+\?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_QUERY = re.compile(r"```sql\n(.*?)```", re.DOTALL)
_ANSWERS = {
    title: _QUERY.findall(text)
    for title, text in _QUESTION.findall((DOCS / "governance.md").read_text(encoding="utf-8"))
}
QUERIES = {title: texts[0] for title, texts in _ANSWERS.items() if texts}
ON_SQL_SERVER = {title: texts[-1] for title, texts in _ANSWERS.items() if texts}
ALARMS = dict(
    zip(
        (Dialect.SQLSERVER, Dialect.POSTGRESQL, Dialect.SQLITE),
        (block.text for block in blocks(DOCS / "schedule.md") if block.language == "sql"),
        strict=True,
    )
)


@pytest.fixture
def sent(deployed: TestDatabase, tmp_path: Path) -> TestDatabase:
    """Return a table after two nights: P1001 accepted twice, P1002 accepted and removed, P1003 invalid."""
    with SimulatorServer() as server:
        environment = {**deployed.settings, **live_settings(server)}
        broken = child("P1003", no_such_member=1)
        fill(deployed, deployed.table, [staged("P1001"), staged("P1002"), staged("P1003", broken)])
        assert invoke_cli(["run"], environment, tmp_path).code == 1
        later = child("P1001", mis_child_id="M1")
        change(
            deployed,
            deployed.table,
            "P1001",
            json_payload=text_of(later),
            current_hash=hash_of(later),
            submission_status="Pending",
            row_state="Updated",
        )
        change(deployed, deployed.table, "P1002", row_state="Deleted")
        assert invoke_cli(["run"], environment, tmp_path).code == 1
    return deployed


def answer(database: TestDatabase, question: str) -> list[tuple[Any, ...]]:
    """Run a query of the page word for word, but for the schema that a shared database needs before a table's name."""
    queries = ON_SQL_SERVER if database.dialect is Dialect.SQLSERVER else QUERIES
    return ask(database, next(sql for asked, sql in queries.items() if question in asked))


def ask(database: TestDatabase, text: str) -> list[tuple[Any, ...]]:
    text = text.strip().rstrip(";")
    if database.schema:
        text = re.sub(r"\b(FROM|JOIN) (ssd_api_\w+)", rf"\1 {database.schema}.\2", text)
    return database.rows(text)


def forget_the_log(database: TestDatabase) -> None:
    database.execute(f"DELETE FROM {database.named('ssd_api_submission_log')}")


def test_questions_about_a_person_are_answered(sent: TestDatabase) -> None:
    rows = answer(sent, "ever sent about this person")
    assert [(kind, outcome, code) for _, kind, outcome, code, *_ in rows] == [("full", "accepted", 200)] * 2
    assert rows[0][5] == hashlib.sha256((text_of(child("P1001")) or "").encode()).hexdigest()

    assert len(answer(sent, "between two dates")) in (0, 2), "whether the tests run in that month"
    month = next(sql for asked, sql in QUERIES.items() if "between two dates" in asked)
    assert ask(sent, month.replace("'2026-11-01'", "'2000-01-01'").replace("'2026-12-01'", "'2999-12-01'")) == rows
    assert ask(sent, month.replace("2026-", "2000-")) == []

    ((_, _, _, digest, payload),) = answer(sent, "hold about this person now")
    assert payload == text_of(child("P1001", mis_child_id="M1"))
    assert digest == hashlib.sha256(payload.encode()).hexdigest()

    name = next(asked for asked in QUERIES if "this person removed" in asked)
    assert answer(sent, "this person removed") == []
    assert len(ask(sent, QUERIES[name].replace("P1001", "P1002"))) == 1

    assert answer(sent, "Under which id") == [("P1001", "P1001")]


def test_every_removal_of_a_person_is_found_whatever_its_kind(sent: TestDatabase, tmp_path: Path) -> None:
    with SimulatorServer() as server:
        environment = {**sent.settings, **live_settings(server)}
        invoke_cli(["run", "--resync", "--person-id", "P1001"], environment, tmp_path)
        change(sent, sent.table, "P1001", row_state="Deleted")
        invoke_cli(["run"], environment, tmp_path)

    removed = answer(sent, "this person removed")
    assert [row[1] for row in removed] == ["purge", "deletion"]
    page = (DOCS / "governance.md").read_text(encoding="utf-8")
    (text,) = re.findall(r'`(\{"la_child_id":"P1001","mis_child_id".*?\})`', page)
    assert [row[3] for row in removed] == [hashlib.sha256(text.encode()).hexdigest()] * 2


def test_questions_about_the_runs_are_answered(sent: TestDatabase) -> None:
    counts = [(kind, outcome, records) for _, kind, outcome, records, *_ in answer(sent, "sent in each run")]
    assert counts == [("full", "accepted", 2), ("full", "accepted", 1), ("deletion", "accepted", 1)]

    runs = answer(sent, "Which runs were there")
    assert [(row[2], row[3], row[10]) for row in runs] == [("live", "full", 1)] * 2

    ((receiver, mode, count, *_),) = answer(sent, "which addresses")
    assert receiver.endswith("/children_social_care_data/999/children")
    assert (mode, count) == ("live", 2)


def test_who_is_still_held_although_they_left_is_found_from_baselines_alone(sent: TestDatabase) -> None:
    assert answer(sent, "still hold although") == []
    change(sent, sent.table, "P1001", row_state="Deleted ")
    ((person, receiver, *_),) = answer(sent, "still hold although")
    assert person == "P1001"
    assert receiver.endswith("/children_social_care_data/999/children")
    forget_the_log(sent)
    for columns in ({}, {"previous_hash": None, "previous_json_payload": None}):
        change(sent, sent.table, "P1001", row_state="deleted", **columns)
        assert [row[0] for row in answer(sent, "still hold although")] == ["P1001"]


def test_children_sent_by_another_tool_are_listed_without_receiver(sent: TestDatabase) -> None:
    gone = child("P1004")
    fill(sent, sent.table, [staged("P1004", gone)])
    change(sent, sent.table, "P1004", row_state="Deleted", previous_json_payload=text_of(gone))
    assert [row[:2] for row in answer(sent, "still hold although")] == [("P1004", None)]


def test_a_child_who_came_back_is_not_called_held_for_its_old_row(sent: TestDatabase) -> None:
    change(sent, sent.table, "P1001", row_state="deleted")
    fill(sent, sent.table, [staged("P1001")])
    assert answer(sent, "still hold although") == []


def test_who_is_held_without_any_row(sent: TestDatabase) -> None:
    assert answer(sent, "has no row in the staging table") == []
    sent.execute(f"DELETE FROM {sent.table} WHERE person_id = 'P1001'")
    assert [row[1] for row in answer(sent, "has no row in the staging table")] == ["P1001"]


def test_no_row_is_sent_without_an_acceptance_in_the_log(sent: TestDatabase) -> None:
    assert answer(sent, "called sent without") == []
    change(sent, sent.table, "P1003", submission_status="sent")
    assert [row[1] for row in answer(sent, "called sent without")] == ["P1003"]
    change(sent, sent.table, "P1003", api_response=None)
    assert [row[1] for row in answer(sent, "called sent without")] == ["P1003"]


def test_old_accepted_rows_pass_when_their_log_lines_are_gone(sent: TestDatabase) -> None:
    forget_the_log(sent)
    assert [row[1:] for row in answer(sent, "called sent without")] == [("P1002", "deleted")]


def test_rows_that_no_run_takes_are_found(sent: TestDatabase) -> None:
    (query,) = (block.text for block in blocks(DOCS / "results.md") if block.language == "sql")
    assert ask(sent, query) == []
    change(sent, sent.table, "P1003", json_payload="  ")
    assert [row[1] for row in ask(sent, query)] == ["P1003"]


def test_alarm_is_raised_when_no_live_run_began_lately(sent: TestDatabase) -> None:
    assert ask(sent, ALARMS[sent.dialect]) == []
    runs = sent.named("ssd_api_runs")
    last = sent.rows(f"SELECT MAX(started_at) FROM {runs}")[0][0]
    moment = as_moment(last)
    assert moment is not None
    # The last began in the future: a clock was wrong then, and no run since would raise no alarm for years.
    for hours, alarms in ((25, 0), (27, 1), (-24 * 365, 1)):
        began = (moment - timedelta(hours=hours)).isoformat(" ", "milliseconds")
        sent.execute(f"UPDATE {runs} SET started_at = '{began}'")
        assert len(ask(sent, ALARMS[sent.dialect])) == alarms
    sent.execute(f"UPDATE {runs} SET started_at = '{last}', mode = 'testing'")
    assert len(ask(sent, ALARMS[sent.dialect])) == 1


def test_what_is_given_for_sql_server_differs_in_the_collation_alone() -> None:
    twice = [title for title in QUERIES if QUERIES[title] != ON_SQL_SERVER[title]]
    assert len(twice) == 2
    for title in twice:
        portable = ON_SQL_SERVER[title].replace(" COLLATE Latin1_General_BIN2", "")
        assert portable.split() == QUERIES[title].split()


def test_every_question_of_the_page_is_asked_here() -> None:
    asked = Path(__file__).read_text(encoding="utf-8")
    questions = re.findall(r'answer\(\w+, "([^"]+)"\)', asked)
    assert [title for title in QUERIES if not any(part in title for part in questions)] == []


@pytest.mark.parametrize("dialect", ["tsql", "postgres", "sqlite"])
def test_every_query_is_sql_that_each_database_takes(dialect: str) -> None:
    of_dialect = {"tsql": Dialect.SQLSERVER, "postgres": Dialect.POSTGRESQL, "sqlite": Dialect.SQLITE}[dialect]
    queries = ON_SQL_SERVER if dialect == "tsql" else QUERIES
    for text in (*queries.values(), ALARMS[of_dialect]):
        assert len(sqlglot.parse(text, read=dialect)) == 1


def shown_to_an_administrator() -> list[str]:
    return [block.text for block in blocks(DOCS / "dba.md") if block.language == "sql"]


def test_what_is_removed_again_leaves_the_staging_table_alone(deployed: TestDatabase, tmp_path: Path) -> None:
    (text,) = (text for text in shown_to_an_administrator() if "DROP" in text)
    if deployed.dialect is not Dialect.SQLSERVER:
        text = re.sub(r" ON \w+", "", text)
    for statement in text.strip().removesuffix(";").split(";\n"):
        names = r"\bssd_api_\w+" if deployed.dialect is Dialect.SQLSERVER else r"\b(?:ix_)?ssd_api_\w+"
        deployed.execute(re.sub(names, lambda name: deployed.named(name[0]), statement))

    made, found, *_ = invoke_cli(["deploy-schema", "--apply"], deployed.settings, tmp_path).out.splitlines()
    assert set(re.findall(r"ssd_api_\w+", made)) == {ANON, *table_names(LIVE, Dialect.SQLITE)} - {LIVE}
    assert re.findall(r"ssd_api_\w+", found) == [LIVE]


@pytest.mark.parametrize("page", ["dba.md", "moving-over.md"])
def test_statements_shown_to_an_administrator_are_tsql(page: str) -> None:
    shown = [block for block in blocks(DOCS / page) if block.language == "sql"]
    assert shown
    for block in shown:
        assert sqlglot.parse(re.sub(r"\[DOMAIN\\(\w+)\]", r"[\1]", block.text), read="tsql")


def test_the_grants_shown_are_those_of_the_script() -> None:
    shown = "".join(text for text in shown_to_an_administrator() if "GRANT" in text)
    script = ddl.render(Dialect.SQLSERVER, LIVE)
    grants = re.findall(r"^-- (GRANT .*?;)$", script, re.MULTILINE | re.DOTALL)
    plain = [re.sub(r"\n-- +", " ", grant) for grant in grants]
    assert [" ".join(grant.split()) for grant in shown.split(";\n") if grant.strip()] == [
        grant.rstrip(";") for grant in plain
    ]


def test_every_placeholder_is_explained_on_the_sql_page() -> None:
    text = (DOCS / "reference/sql.md").read_text(encoding="utf-8")
    used = {name for block in blocks(DOCS / "reference/sql.md") for name in re.findall(r"\{\w+\}", block.text)}
    explained = set(re.findall(r"`(\{\w+\})`", text))
    assert used
    assert used <= explained
