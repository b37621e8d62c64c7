"""What a test asks of an SQL statement."""

from __future__ import annotations

from api_pipeline.sql.binding import _parts


def count_of(sql: str) -> int:
    """Return how many parameters a statement has."""
    return len(_parts(str(sql))[1])
