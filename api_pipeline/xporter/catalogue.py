"""The packaged catalogue: which endpoints the School Data API has, their tables, fields, keys and consent scopes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

from api_pipeline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Field:
    """A published column. `type` is inferred from the reference: text, id, date, flag and so on.

    `scopes` are those that cover it, as A|B&C: one of A and B, and C. It is "" where none is published.
    """

    name: str
    type: str
    scopes: str

    @property
    def groups(self) -> list[list[str]]:
        """Return the scopes that cover it: one of each group is needed."""
        return [group.split("|") for group in self.scopes.split("&")] if self.scopes else []

    def is_allowed(self, scopes: frozenset[str]) -> bool:
        """Return whether `scopes` cover this column; one without a published scope is always covered."""
        return all(not scopes.isdisjoint(group) for group in self.groups)


class Column(NamedTuple):
    """A column of a table of an endpoint."""

    endpoint: str
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Owner:
    """What ties a row to a pupil: `column` holds the pupil's Id, or, with `table`, what stands in `there` of it.

    `endpoint` is where that table comes from, "" for the same answer.
    """

    column: str
    endpoint: str
    table: str
    there: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of an answer. `names` are all names it goes by, in lower case."""

    name: str
    names: tuple[str, ...]
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    owner: Owner | None
    key_is_guessed: bool
    is_published: bool

    def withheld(self, scopes: frozenset[str] | None) -> tuple[str, ...]:
        """Return the columns that `scopes` do not cover; none where the scopes are not known (None)."""
        if scopes is None:
            return ()
        return tuple(field.name for field in self.fields if not field.is_allowed(scopes))

    def is_withheld(self, scopes: frozenset[str] | None) -> bool:
        """Return whether `scopes` cover none of the columns that have a published scope; never without such columns.

        An Id of which the reference names no scope is covered with the rest of its row, and not alone.
        """
        return bool(self.withheld(scopes)) and not any(
            field.scopes and field.is_allowed(scopes or frozenset()) for field in self.fields
        )


def scopes_of(tables: Iterable[Table]) -> set[str]:
    """Return every published scope that covers a column of these tables."""
    return {scope for table in tables for field in table.fields for group in field.groups for scope in group}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API. `asking` says in the catalogue's words which parameters it needs, "" for no data call."""

    name: str
    title: str
    method: str
    path: str | None
    asking: str
    options: tuple[str, ...]
    filters: tuple[str, ...]
    tables: tuple[Table, ...]

    @property
    def is_collectable(self) -> bool:
        """Return whether it returns data of a school."""
        return bool(self.asking)

    def is_withheld(self, scopes: frozenset[str] | None) -> bool:
        """Return whether these scopes cover none of its published tables."""
        published = [table for table in self.tables if table.is_published]
        return bool(published) and all(table.is_withheld(scopes) for table in published)

    def table_named(self, name: str) -> Table | None:
        """Return the table that an answer calls `name`, in any case of letters."""
        lowered = name.lower()
        return next((table for table in self.tables if lowered in table.names), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All operations of the reference."""

    operations: tuple[Endpoint, ...]

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints whose data can be collected."""
        return tuple(entry for entry in self.operations if entry.is_collectable)

    def endpoint(self, name: str) -> Endpoint:
        """Return the data endpoint of this name, in any case of letters. Errors: SettingsError."""
        lowered = name.lower().removeprefix("school.")
        found = next((entry for entry in self.endpoints if entry.name.lower() == lowered), None)
        if found is None:
            raise SettingsError(
                f"{name} is not an endpoint that can be collected; list them with: d2i-csc-api xporter catalogue"
            )
        return found

    def withholds(self, call: Endpoint, table: Table, scopes: frozenset[str] | None) -> bool:
        """Return whether `scopes` cover nothing of a table, or not what says whom its rows are about.

        Such rows would stay when a pupil is withdrawn.
        """
        return table.is_withheld(scopes) or self._is_untied(call, table, scopes)

    def _is_untied(self, call: Endpoint, table: Table, scopes: frozenset[str] | None) -> bool:
        owner = table.owner
        if owner is None:
            return False
        if owner.column in table.withheld(scopes):
            return True
        through = self.endpoint(owner.endpoint) if owner.endpoint else call
        next_table = through.table_named(owner.table)
        if next_table is None:
            return False
        return owner.there in next_table.withheld(scopes) or self._is_untied(through, next_table, scopes)


@cache
def load_catalogue() -> Catalogue:
    """Return the packaged catalogue."""
    text = (files("api_pipeline") / "data" / "xporter" / "catalogue.json").read_bytes()
    read: dict[str, Any] = orjson.loads(text)
    return Catalogue(tuple(_endpoint(entry) for entry in read["operations"]))


def _endpoint(entry: dict[str, Any]) -> Endpoint:
    return Endpoint(
        name=entry["name"],
        title=entry["title"],
        method=entry["method"],
        path=entry["path"],
        asking=entry.get("asking", ""),
        options=tuple(entry.get("options", ())),
        filters=tuple(entry.get("filters", ())),
        tables=tuple(_table(table) for table in entry.get("tables", ())),
    )


def _table(table: dict[str, Any]) -> Table:
    names = {table["name"].lower(), table.get("alias", table["name"]).lower()}
    return Table(
        name=table["name"],
        names=tuple(sorted(names)),
        key=tuple(table["key"]),
        fields=tuple(Field(*field) for field in table["fields"]),
        owner=Owner(*table["owner"]) if "owner" in table else None,
        key_is_guessed=table.get("key_is_guessed", False),
        is_published=not table.get("is_unpublished", False),
    )
