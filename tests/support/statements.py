"""What a test asks of an SQL statement."""

from __future__ import annotations

import re
from collections.abc import Iterator

from api_pipeline.db import dialect_pieces
from api_pipeline.sdr.schema import tables
from api_pipeline.sql.binding import _parts, rows_as_table
from api_pipeline.sql.identifiers import Dialect, table_names
from api_pipeline.sql.statements import Statement, load

STAGING, SDR = "ssd_api_data_staging", "sdr_staging"
_FILES = ("queries.sql", "staging_queries.sql", "report_queries.sql", "explain_queries.sql", "sdr_queries.sql")


def count_of(sql: str) -> int:
    """Return how many parameters a statement has."""
    return len(_parts(str(sql))[1])


def t_sql_statements() -> Iterator[tuple[str, str]]:
    """Yield name and text of the packaged statements as SQL Server gets them, each parameter written @v."""
    for file in _FILES:
        for one in load(file).values():
            if not one.name.endswith(("_postgresql", "_sqlite", "lock_sqlserver")):
                yield f"{file.partition('_')[0].removesuffix('.sql')}-{one.name}", _as_t_sql(file, one)


def _as_t_sql(file: str, statement: Statement) -> str:
    names = table_names(STAGING, Dialect.SQLSERVER)
    pieces = {name: getattr(names, name) for name in ("held", "log", "unconfirmed", "left_window", "built", "runs")}
    pieces |= {"table": STAGING, "any_table": STAGING, "ssd": "", "ssd_table": "ssd_person", "filter_table": "own_list"}
    if file == "sdr_queries.sql":
        ours = tables(SDR, Dialect.SQLSERVER)
        pieces |= {name: getattr(ours, name) for name in ("staging", "held", "submission", "validation", "log", "runs")}
    pieces |= {
        "values": "@v",
        "tuples": "@v",
        **dict.fromkeys(("ids", "children", "people", "keys", "spellings"), "IN (@v)"),
    }
    pieces |= {"rows": rows_as_table(Dialect.SQLSERVER, (int, str, str, str, str, str), 1), "columns": "id, person_id"}
    pieces |= dict.fromkeys(("person", "matching", "odd_words", "after", "filter", "more", "shard"), "")
    pieces |= {
        "delta": "done.delta",
        "payload": "changed.payload",
        "column": "person_id",
        "milliseconds": "1",
        "program": "p",
        "version": "1",
    }
    pieces |= {
        "cin_plan_id": "cinp_cin_plan_id",
        "alike": "",
        "as_text": "",
        "catalogue": "",
        "names": "@v",
        "listed": "person_id",
    }
    sql = statement.sql.format(**{**pieces, **dialect_pieces(Dialect.SQLSERVER, 10)})
    text = re.sub(r"\?[a-z]*", "@v", sql)
    return f"SELECT 1 FROM ssd_person WHERE 1 = 1 {text}" if statement.name == "only_listed" else text
