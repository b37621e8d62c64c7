"""The Single Data Return as a newcomer meets it: the demo, and the rehearsal of the page, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api_pipeline.sdr import schema
from api_pipeline.sdr.settings import env_example
from api_pipeline.sdr.settings_table import SETTINGS
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from tests.support.commands import Completed, invoke_cli, run_cli
from tests.support.documents import DOCS, blocks

PAGE = DOCS / "sdr" / "index.md"


def _tec_sdr(line: str, folder: Path) -> Completed:
    assert line.startswith("tec-sdr ")
    # A validation is not waited for longer than it takes here.
    return invoke_cli(["sdr", *line.split()[1:]], {"SDR_POLL_S": "0.1"}, folder)


def test_demo_passes_from_nothing(tmp_path: Path) -> None:
    done = run_cli(["sdr", "demo"], {}, tmp_path)
    assert done.code == 0, done.text
    assert "TEC's first pass finds 3 errors" in done.out
    assert "the third validation passes" in done.out
    assert list((tmp_path / "sdr-demo").glob("sdr-validation-*.html"))
    assert invoke_cli(["sdr", "demo"], {}, tmp_path).code == 0, "it can be run again"


def test_the_rehearsal_of_the_page_works_word_for_word(tmp_path: Path) -> None:
    found = blocks(PAGE)
    settings = next(block for block in found if block.language == "ini")
    table = next(block for block in found if block.language == "text")
    (tmp_path / ".env").write_text(settings.text, encoding="utf-8")
    (tmp_path / "LEAR.csv").write_text(table.text, encoding="utf-8")
    lines = [line for block in found if block.language == "sh" for line in block.text.splitlines()]
    outputs = [_tec_sdr(line, tmp_path) for line in lines if line.startswith("tec-sdr ")]
    assert [done.code for done in outputs] == [0] * len(outputs), [done.text for done in outputs]
    assert "2 rows of learners: 2 added" in outputs[1].out
    period = re.findall(r"^(\d{6}) ", outputs[3].out, re.MULTILINE)[-1]
    done = _tec_sdr(f"tec-sdr submit {period} --validate", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "2 accepted" in done.out
    assert "Passed" in done.out
    again = _tec_sdr("tec-sdr load LEAR.csv", tmp_path)
    assert "2 unchanged" in again.out


def test_the_example_file_has_every_setting_and_is_accepted(tmp_path: Path) -> None:
    text = env_example()
    assert [one.name for one in SETTINGS if not re.search(rf"^(# )?{one.name}=", text, re.MULTILINE)] == []
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    done = invoke_cli(["sdr", "config"], {"DB_CONNECTION_STRING": "sqlite:///sdr.db"}, tmp_path)
    assert done.code == 0, done.text


@pytest.mark.parametrize("name", ["sdr_queries.sql", "ddl"])
def test_what_sql_server_gets_is_tsql(name: str) -> None:
    sqlglot = pytest.importorskip("sqlglot")
    if name == "ddl":
        statements = ddl.split(Dialect.SQLSERVER, schema.render(Dialect.SQLSERVER, "dbo.sdr_staging"))
        statements = [
            text.partition(")) IS NULL\n")[2] or text.partition("IS NULL\n")[2] or text for text in statements
        ]
        statements = [text.partition("))\n")[2] if text.startswith("IF NOT EXISTS") else text for text in statements]
    else:
        from api_pipeline.sql.statements import load

        page = "OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY"
        rows = "(VALUES (?, ?)) AS given (column1, column2)"
        pieces = {
            "ids": "IN (?)",
            "keys": "IN (?)",
            "tuples": "(?, ?)",
            "page": page,
            "after": "AND id > ?",
            "rows": rows,
            "exact": "",
        }
        names = dict.fromkeys(("staging", "held", "submission", "validation", "log", "runs"), "t")
        statements = [one.sql.format(**pieces, **names) for one in load(name).values()]
    assert len(statements) >= 9
    for statement in statements:
        sqlglot.parse_one(statement, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE)
