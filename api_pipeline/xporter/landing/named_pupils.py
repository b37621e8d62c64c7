"""Take pupils out where no column of their own names them: out of `extra`, and out of lists of pupils."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import orjson

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.errors import DatabaseError
from api_pipeline.xporter.landing.store import LandingStore
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.minimise import ID_LISTS, ids_in, is_about, may_name_pupil

ABOUT_PUPILS = "rows of school {estab} about pupils who are no longer on the roll"


def left_behind(table: str, rows: str) -> DatabaseError:
    """Return the error for rows that a table still has after the database accepted what takes them out."""
    return DatabaseError(
        f"The table {table} still has {rows} after all of them were deleted or emptied; nothing of this removal was "
        "kept. See what keeps rows in the table (a trigger, or a policy of rows), then do it again."
    )


def rows_about(store: LandingStore, landing: Landing, estab: str, pupils: Set[str]) -> dict[str, list[str]]:
    """Return the keys of a school's rows that are about one of `pupils`, by window.

    Where the columns of a table are not published, more than one member, in columns or in `extra`, may say it.
    """
    names = [column for column in landing.columns if may_name_pupil(landing, column)]
    columns = ", ".join(store.names.column(name) for name in ("extra", *names))
    sql = store.sql("school_owners", landing, columns=columns)
    found: dict[str, list[str]] = {}
    for window, key, extra, *values in store.connection.query(sql, [estab]):
        row = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        if is_about(landing, {**row, **_members(extra)}, pupils):
            found.setdefault(str(window), []).append(str(key))
    return found


def take_out_of_lists(store: LandingStore, landing: Landing, estab: str, pupils: Set[str]) -> None:
    """Take pupils out of the lists of pupils in a school's rows. Without its hash a row is compared anew."""
    touched: set[str] = set()
    for column in landing.columns:
        if column.lower() in ID_LISTS:
            sql = store.sql("pupil_lists", landing, column=store.names.column(column))
            for window, key, text in store.connection.query(sql, [estab]):
                left = _without(text, pupils)
                if left is not None:
                    touched.add(str(window))
                    _write(store, landing, column, (estab, str(window), str(key)), left)
    # Members without a column in which a pupil may be named.
    for window, key, text in store.connection.query(store.sql("school_extras", landing), [estab]):
        extra = _members(text)
        lists = {name: value for name, value in extra.items() if name.lower() in ID_LISTS}
        fewer = {name: left for name, value in lists.items() if (left := _without(value, pupils)) is not None}
        if fewer:
            kept = {name: value for name, value in {**extra, **fewer}.items() if value != ""}
            left = without_null_characters(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()) if kept else ""
            touched.add(str(window))
            _write(store, landing, "extra", (estab, str(window), str(key)), left)
    for window in sorted(touched):
        store.connection.execute(store.sql("forget_snapshot"), [estab, landing.endpoint, window])


def _without(value: Any, pupils: Set[str]) -> str | None:
    """Return a list of pupils without `pupils`; None where it names none of them."""
    ids = ids_in(value)
    return None if pupils.isdisjoint(ids) else ",".join(one for one in ids if one not in pupils)


def _write(store: LandingStore, landing: Landing, column: str, key: Sequence[str], text: str) -> None:
    sql = store.sql("update_pupil_list", landing, column=store.names.column(column))
    # A database that gives no counts (SQL Server's NOCOUNT) returns -1.
    if store.connection.execute(sql, [text or None, *key]) == 0:
        raise left_behind(store.names.table(landing.name), ABOUT_PUPILS.format(estab=key[0]))


def _members(extra: object) -> Mapping[str, Any]:
    members: dict[str, Any] = orjson.loads(str(extra)) if extra else {}
    return members
