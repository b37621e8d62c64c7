"""Columns of landing tables beyond the catalogue: which members may become one, which there are, how one is made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from api_pipeline.xporter.layout import KEPT_COLUMNS, OWN_COLUMNS, Landing
from api_pipeline.xporter.schema import type_sql

if TYPE_CHECKING:
    from api_pipeline.xporter.landing.store import LandingStore

# A name that every database takes as it is; whatever else an answer calls a member stays in `extra`.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_MOST = 100


def addable(landing: Landing, members: Iterable[str]) -> list[str]:
    """Return the members that may become columns of a landing table: new, well named, and not without end."""
    if landing.table is None:
        return []
    taken = {name.lower() for name in (*OWN_COLUMNS, *KEPT_COLUMNS, *landing.columns)}
    found = {name.lower(): name for name in members if _NAME.fullmatch(name) and name.lower() not in taken}
    return [found[name] for name in sorted(found)][: _MOST - len(landing.added)]


def with_added(store: LandingStore, found: list[Landing]) -> list[Landing]:
    """Return landing tables with their added columns: members that were seen and have a column now.

    A column that somebody else made for themselves is none of them, and is left alone.
    """
    names = store.names
    seen: dict[str, list[str]] = {}
    for row in store.connection.query(store.sql("columns")):
        seen.setdefault(str(row[0]).strip().lower(), []).append(str(row[1]).strip())
    if not seen:
        return found
    there: dict[str, set[str]] = {}
    for table, column in store.connection.query(store.sql(f"columns_{names.dialect.value}"), [names.place]):
        there.setdefault(names.bare(str(table)), set()).add(str(column).lower())
    return [
        replace(landing, added=tuple(name for name in addable(landing, seen[key]) if name.lower() in there[key]))
        if (key := landing.name.lower()) in seen and key in there
        else landing
        for landing in found
    ]


def add_column_sql(store: LandingStore, landing: Landing, member: str) -> str:
    """Return the statement that makes a column of a member."""
    names = store.names
    return store.sql("add_column", landing, name=names.column(member), type=type_sql(names.dialect, "text"))


def add_columns(store: LandingStore, landing: Landing, members: Iterable[str], estab: str, now: datetime) -> None:
    """Make columns of members, and record them as seen, in one transaction. Errors: DatabaseError."""
    with store.connection.transaction():
        for member in members:
            store.connection.execute(add_column_sql(store, landing, member))
            write_member(store, landing.name, member, estab, now)
    store.forget_layout()


def write_member(store: LandingStore, table: str, member: str, estab: str, now: datetime) -> None:
    """Record that a member without a published column was seen."""
    key = {"table_name": table, "column_name": member}
    if not store.has_updated("update_column", [now, estab], "column", key):
        store.connection.execute(store.sql("insert_column"), [table, member, now, now, estab])
