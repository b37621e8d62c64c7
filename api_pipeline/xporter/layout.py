"""Which landing table belongs to which table of an answer, and how it is named in each database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from api_pipeline.errors import SettingsError
from api_pipeline.sql.identifiers import Dialect, parse_table_name
from api_pipeline.xporter.catalogue import Endpoint, Field, Owner, Table

DEFAULT_SCHEMA = "xporter"
OWN_COLUMNS = ("estab", "time_window", "row_key")
"""The primary key of every landing table: school, window of time ("" for none), key within the school."""
KEPT_COLUMNS = ("extra", "row_sha", "first_seen", "changed_at", "run_id")
_UNKNOWN = Table(
    name="Other",
    names=(),
    key=("Id",),
    fields=(Field("source_table", "text", ""),),
    owner=Owner("StudentId", "", "", ""),
    key_is_guessed=False,
    is_published=False,
)
# A name that every database takes as it is; whatever else an answer calls a member stays in `extra`.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_MOST = 100


@dataclass(frozen=True, slots=True)
class Landing:
    """One landing table.

    `added` are columns of members that came without being published (`XPORTER_NEW_COLUMNS=add`).
    """

    endpoint: str
    name: str
    table: Table
    added: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that the catalogue knows and of the added ones."""
        return (*(field.name for field in self.table.fields), *self.added)

    @property
    def is_for_unknown(self) -> bool:
        """Return whether it takes the rows of the tables that the catalogue does not know, whichever they are."""
        return self.table is _UNKNOWN


def landings(endpoint: Endpoint) -> tuple[Landing, ...]:
    """Return the landing tables of an endpoint, that for unknown tables last."""
    tables = (*endpoint.tables, _UNKNOWN)
    return tuple(Landing(endpoint.name, _name(endpoint.name, table.name), table) for table in tables)


def _name(endpoint: str, table: str) -> str:
    return endpoint if endpoint.lower() == table.lower() else f"{endpoint}_{table}"


@dataclass(frozen=True, slots=True)
class Names:
    """How the wing's tables and columns are written in one database, whose schema is `schema`."""

    dialect: Dialect
    schema: str = DEFAULT_SCHEMA

    def table(self, name: str) -> str:
        """Return a table's or view's name as it stands in a statement.

        SQLite has no schemas: the name begins with `xporter_` there. PostgreSQL gets it in lower case, so that it may
        be written without quotes.
        """
        if self.dialect is Dialect.SQLITE:
            return self.column(name if name.startswith("xporter_") else f"xporter_{name}")
        return f"{self.schema_sql}.{self.column(name)}"

    @property
    def place(self) -> str:
        """Return by what the database's own lists find the wing's tables: their schema, or how their names begin."""
        match self.dialect:
            case Dialect.SQLSERVER:
                return self.schema.strip("[]")
            case Dialect.POSTGRESQL:
                return self.schema.strip("[]").lower()
            case Dialect.SQLITE:
                return "xporter_"

    def bare(self, table: str) -> str:
        """Return the name of a table in such a list as `table` takes it, in lower case."""
        return table.lower().removeprefix("xporter_") if self.dialect is Dialect.SQLITE else table.lower()

    def column(self, name: str) -> str:
        """Return a column's name as it stands in a statement."""
        match self.dialect:
            case Dialect.SQLSERVER:
                return f"[{name}]"
            case Dialect.POSTGRESQL:
                return f'"{name.lower()}"'
            case Dialect.SQLITE:
                return f'"{name}"'

    @property
    def schema_sql(self) -> str:
        """Return the schema's name as it stands in a statement. Errors: SettingsError."""
        parsed = parse_table_name(self.schema, "XPORTER_SCHEMA")
        if parsed.schema is not None:
            raise SettingsError(
                f'XPORTER_SCHEMA: expected one schema name of letters, digits and _, got "{self.schema}".'
            )
        return parsed.table.sql(self.dialect)


def addable(landing: Landing, members: Iterable[str]) -> list[str]:
    """Return the members that may become columns of a landing table: new, well named, and not without end."""
    if landing.is_for_unknown:
        return []
    taken = {name.lower() for name in (*OWN_COLUMNS, *KEPT_COLUMNS, *landing.columns)}
    found = {name.lower(): name for name in members if _NAME.fullmatch(name) and name.lower() not in taken}
    return [found[name] for name in sorted(found)][: _MOST - len(landing.added)]
