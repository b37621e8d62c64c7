"""Write the entry of a run in a journal. An error in it never stops the run. The journals of all services use it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from api_pipeline.db.connection import Connection
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import ConnectionLost

_LOG = logging.getLogger(__name__)


def write_entry(
    connection: Connection, write: Callable[[], object], *, is_end: bool, was_busy: bool = False
) -> DatabaseError | None:
    """Write an entry by `write`, and return the error where that failed.

    At a run's end, if the connection is lost, open it again and write once more. Where the run waited for a database
    that another program has locked (`was_busy`), the entry does not wait so long again.
    """
    if is_end:
        # The entry is this run's own, so it is written beside a run that has taken the lock, and is the last.
        connection.guard = None
    try:
        try:
            if was_busy:
                connection.wait_briefly()
            write()
        except ConnectionLost:
            if not is_end:
                raise
            # Nothing hangs on the old connection any more, the run lock neither.
            connection.reopen()
            write()
    except DatabaseError as error:
        _LOG.warning("the journal entry of this run could not be written: %s", error)
        return error
    return None
