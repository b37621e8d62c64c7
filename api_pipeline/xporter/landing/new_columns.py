"""Make columns of landing tables beyond the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.schema import type_sql

if TYPE_CHECKING:
    from api_pipeline.xporter.landing.store import LandingStore


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
