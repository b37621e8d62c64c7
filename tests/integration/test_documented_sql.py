"""The queries that the pages offer to officers and administrators run, and answer what the page says they answer."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from api_pipeline import ddl
from api_pipeline.simulator import SimulatorServer
from api_pipeline.tables import Dialect
from tests.support.commands import invoke_cli
from tests.support.databases import LIVE, TestDatabase
from tests.support.documents import DOCS, blocks
from tests.support.staging import change, child, fill, hash_of, staged, text_of
from tests.support.world import live_settings

_QUESTION = re.compile(r"^### ([^\n]+\?)\n(?:(?!\n### ).)*?```sql\n(.*?)```", re.MULTILINE | re.DOTALL)
QUERIES = dict(_QUESTION.findall((DOCS / "security.md").read_text(encoding="utf-8")))


@pytest.fixture
def sent(deployed: TestDatabase, tmp_path: Path) -> TestDatabase:
    """A table after two nights: P1001 accepted twice, P1002 accepted and removed, P1003 refused before sending."""
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
    """Runs a query of the page word for word, but for the schema that a shared database needs before a table's name."""
    text = next(sql for asked, sql in QUERIES.items() if question in asked).strip().rstrip(";")
    if database.schema:
        text = re.sub(r"\b(FROM|JOIN) (ssd_api_\w+)", rf"\1 {database.schema}.\2", text)
        text = text.replace(f"'{LIVE}'", f"'{database.table}'")
    return database.rows(text)


def test_what_was_sent_about_a_person_and_what_was_answered(sent: TestDatabase) -> None:
    rows = answer(sent, "ever sent about this person")
    assert [(kind, outcome, code) for _, kind, outcome, code, *_ in rows] == [("full", "accepted", 200)] * 2
    assert rows[0][5] == hashlib.sha256((text_of(child("P1001")) or "").encode()).hexdigest()


def test_what_is_held_about_a_person_now(sent: TestDatabase) -> None:
    ((_, _, _, digest, payload),) = answer(sent, "hold about this person now")
    assert payload == text_of(child("P1001", mis_child_id="M1"))
    assert digest == hashlib.sha256(payload.encode()).hexdigest()


def test_when_a_person_was_removed(sent: TestDatabase) -> None:
    name = next(asked for asked in QUERIES if "this person removed" in asked)
    assert answer(sent, "this person removed") == []
    QUERIES["removed P1002"] = QUERIES[name].replace("P1001", "P1002")
    try:
        assert len(answer(sent, "removed P1002")) == 1
    finally:
        del QUERIES["removed P1002"]


def test_who_is_still_held_although_they_left(sent: TestDatabase) -> None:
    assert answer(sent, "still hold although") == []
    change(sent, sent.table, "P1001", row_state="Deleted")
    assert [row[0] for row in answer(sent, "still hold although")] == ["P1001"]


def test_how_many_records_each_run_sent(sent: TestDatabase) -> None:
    counts = [(kind, outcome, records) for _, kind, outcome, records, *_ in answer(sent, "sent in each run")]
    assert counts == [("full", "accepted", 2), ("full", "accepted", 1), ("deletion", "accepted", 1)]


def test_which_runs_there_were_and_how_they_ended(sent: TestDatabase) -> None:
    runs = answer(sent, "Which runs were there")
    assert [(row[2], row[3], row[10]) for row in runs] == [("live", "full", 1)] * 2


def test_no_row_is_sent_without_an_acceptance_in_the_log(sent: TestDatabase) -> None:
    assert answer(sent, "called sent without") == []
    change(sent, sent.table, "P1003", submission_status="sent")
    assert [row[1] for row in answer(sent, "called sent without")] == ["P1003"]


def test_to_which_addresses_anything_was_sent(sent: TestDatabase) -> None:
    ((receiver, mode, runs, *_),) = answer(sent, "which addresses")
    assert receiver.endswith("/children_social_care_data/999/children")
    assert (mode, runs) == ("live", 2)


def test_every_question_of_the_page_is_asked_here() -> None:
    asked = Path(__file__).read_text(encoding="utf-8")
    questions = re.findall(r'answer\(\w+, "([^"]+)"\)', asked)
    assert [title for title in QUERIES if not any(part in title for part in questions)] == []


@pytest.mark.parametrize("dialect", ["tsql", "postgres", "sqlite"])
def test_every_query_is_sql_that_each_database_takes(dialect: str) -> None:
    for text in QUERIES.values():
        assert len(sqlglot.parse(text, read=dialect)) == 1


@pytest.mark.parametrize("page", ["dba.md", "moving-over.md"])
def test_statements_shown_to_an_administrator_are_tsql(page: str) -> None:
    shown = [block for block in blocks(DOCS / page) if block.language == "sql"]
    assert shown
    for block in shown:
        assert sqlglot.parse(re.sub(r"\[DOMAIN\\(\w+)\]", r"[\1]", block.text), read="tsql")


def test_the_grants_shown_are_those_of_the_script() -> None:
    shown = "".join(block.text for block in blocks(DOCS / "dba.md") if block.language == "sql")
    script = ddl.render(Dialect.SQLSERVER, LIVE)
    grants = re.findall(r"^-- (GRANT .*?;)$", script, re.MULTILINE | re.DOTALL)
    plain = [re.sub(r"\n-- +", " ", grant) for grant in grants]
    assert [" ".join(grant.split()) for grant in shown.split(";\n") if grant.strip()] == [
        grant.rstrip(";") for grant in plain
    ]


def test_every_placeholder_of_a_statement_is_explained_on_the_page_of_statements() -> None:
    text = (DOCS / "reference/sql.md").read_text(encoding="utf-8")
    used = {name for block in blocks(DOCS / "reference/sql.md") for name in re.findall(r"\{\w+\}", block.text)}
    explained = set(re.findall(r"`(\{\w+\})`", text))
    assert used
    assert used <= explained
