"""Write the entry of a run in a journal. An error in it never stops the run. The journals of all services use it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from api_pipeline.db.connection import Connection
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import ConnectionLost

_LOG = logging.getLogger(__name__)


def write_entry(connection: Connection, write: Callable[[], object], *, is_end: bool) -> None:
    """Write an entry by `write`. At a run's end, if the connection is lost, open it again and write once more."""
    if is_end:
        # The entry is this run's own, so it is written beside a run that has taken the lock, and is the last.
        connection.guard = None
    try:
        try:
            write()
        except ConnectionLost:
            if not is_end:
                raise
            # Nothing hangs on the old connection any more, the run lock neither.
            connection.reopen()
            write()
    except DatabaseError as error:
        _LOG.warning("the journal entry of this run could not be written: %s", error)
