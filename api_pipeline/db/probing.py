"""Ask the database for something that it may not have: a table of a later version, a column that is optional."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from api_pipeline.errors import DatabaseError

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def unless_refused(ask: Callable[[], _Result]) -> _Result | None:
    """Return what `ask` returns, or None where the database refuses the query that it runs.

    The database refuses a query whose table or column is missing or may not be read, and one that compares types which
    it cannot compare; a statement that a time limit of the server ends counts as refused too. Errors: DatabaseErrors of
    every other class, such as ConnectionLost: they say nothing about the tables.
    """
    try:
        return ask()
    except DatabaseError as error:
        # Every other error has a class of its own (`sql.driver_errors`).
        if type(error) is not DatabaseError:
            raise
        _LOG.debug("the database refused a query that it may refuse: %s", error)
        return None
