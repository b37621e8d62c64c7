"""What a run that was killed leaves behind for a moment."""

from __future__ import annotations

import time
from contextlib import closing

from api_pipeline.db import connect, run_lock
from api_pipeline.errors import AlreadyRunning
from tests.support.databases import TestDatabase

_LONGEST_S = 30.0


def wait_until_lock_is_free(database: TestDatabase, table: str | None = None) -> None:
    """Wait until the run lock of a table can be taken: a server takes a moment to notice that its client is gone.

    `table` is the live one unless it is named. Errors: AlreadyRunning after thirty seconds.
    """
    until = time.monotonic() + _LONGEST_S
    with closing(connect(database.connection_string)) as connection:
        while True:
            try:
                run_lock.take(connection, table or database.table, None).release()
            except AlreadyRunning:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return
