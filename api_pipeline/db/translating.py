"""A driver's errors as errors of ours, whatever statement met them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import as_database_error, connection_lost, is_driver_error


@contextmanager
def translated(
    is_gone: Callable[[], bool] = lambda: False, sql: str = "", *, has_values: bool = True
) -> Iterator[None]:
    """Turn a driver's error on the statement `sql` into ours; `is_gone` says whether the connection is lost."""
    try:
        yield
    except Exception as error:
        if not is_driver_error(error):
            raise
        translated = as_database_error(error, sql, has_values=has_values)
        if type(translated) is DatabaseError and is_gone():
            translated = connection_lost(error, sql)
        raise translated from None
