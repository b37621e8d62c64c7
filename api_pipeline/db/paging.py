"""What reading a table page by page by its ids rests on."""

from __future__ import annotations

from collections.abc import Sequence

from api_pipeline.errors import DatabaseError


def check_ids_grow(table: object, ids: Sequence[int], after_id: int | None) -> None:
    """Refuse ids of a page that do not grow: paging by them would never come to an end. Errors: DatabaseError."""
    if ids != sorted(ids) or (ids and after_id is not None and ids[0] <= after_id):
        raise DatabaseError(
            f"The ids of {table} do not come in their order, so its rows cannot be read page by page: the ODBC driver "
            "cuts numbers above 2147483647 (SQLite's does), or the column id holds no whole numbers; use a driver that "
            "reads 64 bits, or smaller ids."
        )
