"""Delete old lines of the submission log, in small steps, so that nobody waits for a long transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from api_pipeline.common.clock import latest_start
from api_pipeline.db import pages_by_id
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.sql.identifiers import is_same_table

LINES_IN_A_STEP = 2000
_OLD, _AHEAD = 1, 2


def delete_old_lines(store: StagingTable, table: str, receiver: str, before: datetime) -> Iterator[int]:
    """Delete the lines of TABLE_NAME `table` that were logged before a time (UTC), and yield how many in each step.

    A line is the table's however TABLE_NAME was spelled on its night: all tables of one log are in its schema. A
    statement commits by itself. Acceptances stay of a person who has a row and of whom `receiver` holds nothing
    (adoption.sent_payloads reads them). Errors: DatabaseError; steps that were done stay done.
    """
    for lines in pages_by_id(
        store.connection,
        lambda after: store.sql("read_log_page", after=after, size=LINES_IN_A_STEP),
        store.tables.log,
        [before, latest_start()],
    ):
        old = [(int(line_id), str(name)) for line_id, age, name in lines if int(age) == _OLD]
        if not old:
            # Lines that a wrong clock dated ahead say nothing of those behind them.
            if all(int(age) == _AHEAD for _, age, _ in lines):
                continue
            return
        first, last = old[0][0], old[-1][0]
        counts = [
            store.execute("delete_old_log", [first, last, before, name, receiver])
            for name in sorted({name for _, name in old if is_same_table(name, table, store.connection.dialect)})
        ]
        if min(counts, default=0) < 0:
            # A database that gives no counts (SQL Server's NOCOUNT) is asked how many lines are left.
            there = sum(first <= int(line[0]) <= last for line in lines)
            left = store.number("count_log_lines", [first, last])
            counts = [there - left]
        yield sum(counts)
