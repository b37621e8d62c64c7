"""Read a table page by page by its ids, and check that its ids allow that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from api_pipeline.db.connection import Connection, Row
from api_pipeline.errors import DatabaseError

_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0*)?")
_WAY_OUT = (
    "use a driver that reads 64 bits (for an SQLite file sqlite:///PATH in the place of the connection string), or "
    "smaller ids."
)


def pages_by_id(
    connection: Connection, sql: Callable[[str], str], table: object, parameters: Sequence[object] = ()
) -> Iterator[list[Row]]:
    """Yield the pages of a statement whose rows begin with an id and come in its order.

    `sql` returns the statement with the condition of a page put in: none, then `AND id > ?`, whose parameter is its
    last. `table` is named where its ids do not grow. Errors: DatabaseError.
    """
    after: int | None = None
    rows = connection.query(sql(""), parameters)
    following = sql("AND id > ?")
    while rows:
        after = check_ids_grow(table, [row[0] for row in rows], after)
        yield rows
        rows = connection.query(following, [*parameters, after])


def check_ids_grow(table: object, read: Sequence[Any], after_id: int | None) -> int | None:
    """Return the last id of a page, `after_id` for none. Errors: DatabaseError.

    Refused are ids that do not grow, since paging by them would never come to an end, and those that are not whole.
    """
    ids = list(read)
    if not set(map(type, ids)) <= {int}:
        # In a column that is not its primary key SQLite keeps a text or a fraction between whole numbers, where
        # `check_ids_whole` does not see it.
        ids = [_whole(table, one) for one in ids]
    if ids != sorted(ids) or (ids and after_id is not None and ids[0] <= after_id):
        raise DatabaseError(
            f"The ids of {table} do not come in their order, so its rows cannot be read page by page: the ODBC driver "
            f"cuts numbers above 2147483647 (SQLite's does), or the column id holds no whole numbers; {_WAY_OUT}"
        )
    return ids[-1] if ids else after_id


def check_ids_whole(table: object, ids: Sequence[tuple[object, object]]) -> None:
    """Refuse ids that the driver reads as other numbers than the database says; each is given as both.

    A column of decimal numbers may also have ids that no statement can name. Errors: DatabaseError.
    """
    for read, said in ids:
        if not _is_whole(read):
            # SQLite sorts texts last.
            raise _not_whole(table, said)
        if isinstance(read, Decimal) and not -(2**63) <= read < 2**63:
            raise DatabaseError(
                f"The table {table} has the id {str(said).strip()}, which is not a whole number of 64 bits; give its "
                "rows smaller ids, in a column of the type BIGINT."
            )
        if isinstance(read, int) and str(said).strip() != str(read):
            raise DatabaseError(
                f"The rows of {table} cannot be distinguished: the ODBC driver cuts their ids and reads "
                f"{str(said).strip()} as {read} (SQLite's cuts numbers above 2147483647); {_WAY_OUT}"
            )


def _is_whole(read: Any) -> bool:
    return isinstance(read, (int, Decimal, type(None))) or _WHOLE.fullmatch(str(read).strip()) is not None


def _whole(table: object, read: Any) -> int:
    if read is None or not _is_whole(read):
        raise _not_whole(table, read)
    return int(read if isinstance(read, int) else Decimal(str(read).strip()))


def _not_whole(table: object, said: object) -> DatabaseError:
    return DatabaseError(
        f"The table {table} has the id {str(said).strip()}, which is not a whole number; give every row a whole number "
        "as its id, in a column that is the primary key."
    )
