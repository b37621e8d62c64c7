"""Take pupils out where no column of their own names them: out of `extra`, and out of lists of pupils."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import orjson

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.minimise import ID_LISTS, ids_in, is_about, may_name_pupil

if TYPE_CHECKING:
    from api_pipeline.xporter.landing.store import LandingStore


def rows_about(store: LandingStore, landing: Landing, estab: str, pupils: Set[str]) -> dict[str, list[str]]:
    """Return the keys of a school's rows that are about one of `pupils`, by window.

    The columns of such a table are not published, so that several members, in columns or in `extra`, may say it.
    """
    names = [column for column in landing.columns if may_name_pupil(landing, column)]
    columns = ", ".join(store.names.column(name) for name in ("extra", *names))
    sql = store.sql("school_owners", table=store.names.table(landing.name), columns=columns)
    found: dict[str, list[str]] = {}
    for window, key, extra, *values in store.connection.query(sql, [estab]):
        row = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        if is_about(landing, {**row, **_members(extra)}, pupils):
            found.setdefault(str(window), []).append(str(key))
    return found


def take_out_of_lists(store: LandingStore, landing: Landing, estab: str, pupils: Set[str]) -> None:
    """Take pupils out of the lists of pupils in a school's rows. Without its hash a row is compared anew."""
    table = store.names.table(landing.name)
    for column in landing.columns:
        if column.lower() in ID_LISTS:
            sql = store.sql("pupil_lists", table=table, column=store.names.column(column))
            for window, key, text in store.connection.query(sql, [estab]):
                left = _without(text, pupils)
                if left is not None:
                    _write(store, table, column, (estab, str(window), str(key)), left)
    for window, key, extra in _extras(store, landing, estab):
        lists = {name: value for name, value in extra.items() if name.lower() in ID_LISTS}
        fewer = {name: left for name, value in lists.items() if (left := _without(value, pupils)) is not None}
        if fewer:
            kept = {name: value for name, value in {**extra, **fewer}.items() if value != ""}
            text = without_null_characters(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode())
            _write(store, table, "extra", (estab, window, key), text if kept else "")


def _without(value: Any, pupils: Set[str]) -> str | None:
    """Return a list of pupils without `pupils`; None where it names none of them."""
    ids = ids_in(value)
    return None if pupils.isdisjoint(ids) else ",".join(one for one in ids if one not in pupils)


def _write(store: LandingStore, table: str, column: str, key: Sequence[str], text: str) -> None:
    sql = store.sql("update_pupil_list", table=table, column=store.names.column(column))
    store.connection.execute(sql, [text or None, *key])


def _extras(store: LandingStore, landing: Landing, estab: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield window, key and `extra` of a school's rows in which a pupil may be named."""
    sql = store.sql("school_extras", table=store.names.table(landing.name))
    for window, key, text in store.connection.query(sql, [estab]):
        yield str(window), str(key), _members(text)


def _members(extra: object) -> Mapping[str, Any]:
    members: dict[str, Any] = orjson.loads(str(extra)) if extra else {}
    return members
