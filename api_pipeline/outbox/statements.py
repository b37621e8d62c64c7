"""Run the statements of `data/queries.sql` on one staging table and its control tables, for many values at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from api_pipeline.db import (
    Connection,
    Parameters,
    Row,
    Rows,
    TableMissing,
    UnreadableText,
    UnstorableText,
    dialect_pieces,
    in_chunks,
    refusal_of,
    unless_refused,
)
from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.staged_rows import UNREADABLE
from api_pipeline.sql.identifiers import Dialect, TableNames
from api_pipeline.sql.statements import NamedSql, load

_Value = TypeVar("_Value")
_ROWS_IN_A_STATEMENT = 100


class Statements:
    """Run statements of `queries.sql` on one connection, with the names of its tables put in."""

    def __init__(self, connection: Connection, tables: TableNames) -> None:
        self.connection = connection
        self.tables = tables
        names = _Names(
            dialect_pieces(connection.dialect, "{size}"),
            table=tables.staging,
            held=tables.held,
            log=tables.log,
            unconfirmed=tables.unconfirmed,
            runs=tables.runs,
            left_window=tables.left_window,
            rows="?rows",
            **dict.fromkeys(("ids", "people", "children", "spellings"), "?among"),
        )
        self._texts = {name: NamedSql(one.sql.format_map(names), name) for name, one in load().items()}
        self._delta_as: str | None = None

    def sql(self, name: str, **pieces: str | int) -> str:
        """Return a named statement of `queries.sql` with the table names, the database's own words and `pieces` in.

        One that reads a page needs its `size`.
        """
        text = self._texts[name]
        return text.format(**pieces) if pieces else text

    def query(self, name: str, parameters: Parameters = (), **pieces: str | int) -> list[Row]:
        """Return the rows of a statement (see `sql`). Errors: DatabaseError."""
        return self.connection.query(self.sql(name, **pieces), parameters)

    def number(self, name: str, parameters: Parameters = (), **pieces: str | int) -> int:
        """Return the one number that a statement gives. Errors: DatabaseError."""
        return int(self.query(name, parameters, **pieces)[0][0])

    def execute(self, name: str, parameters: Parameters = (), **pieces: str) -> int:
        """Run a statement that changes rows; return how many, as `Connection.execute`. Errors: DatabaseError."""
        return self.connection.execute(self.sql(name, **pieces), parameters)

    def page_of(self, file: str, name: str, parameters: Parameters, most: int) -> list[Row]:
        """Return at most so many rows of a statement of another file of SQL. Errors: DatabaseError."""
        names, page = self.tables, self.connection.page(most)
        tables = {"table": names.staging, "held": names.held, "log": names.log, "runs": names.runs}
        sql = load(file)[name].sql.format(**tables, spellings="?among", **page)
        return self.connection.query(sql, parameters)

    def by_values(
        self, name: str, values: Sequence[object], shared: Parameters = (), *, times: int = 1, **pieces: str
    ) -> list[Row]:
        """Return the rows of a statement that looks up ids, people or children, a hundred values in one statement.

        `shared` are the parameters that stand before those of the values. `times` says how often the statement has
        both. `pieces` are other parts of its SQL.
        """
        rows: list[Row] = []
        sql = self.sql(name, **pieces)
        for part in in_chunks(values, _ROWS_IN_A_STATEMENT):
            rows += self.connection.query(sql, [*shared, part] * times)
        return rows

    def readable_by_values(
        self, name: str, values: Sequence[_Value], shared: Parameters = (), *, times: int = 1
    ) -> tuple[list[Row], list[tuple[_Value, DatabaseError]]]:
        """Return what `by_values` does, without the rows of values of which the driver cannot decode a text.

        These values come second, each with its error, and so do those for which the database cannot even be asked.
        """
        rows: list[Row] = []
        left_out: list[tuple[_Value, DatabaseError]] = []
        for part in in_chunks(values, _ROWS_IN_A_STATEMENT):
            try:
                rows += self.by_values(name, part, shared, times=times)
            except (UnreadableText, UnstorableText):
                for value in part:
                    try:
                        rows += self.by_values(name, [value], shared, times=times)
                    except (UnreadableText, UnstorableText) as error:
                        left_out.append((value, error))
        return rows, left_out

    def rows_by_id(self, name: str, ids: Sequence[int], columns: Sequence[str]) -> list[Row]:
        """Return these columns of some rows; a value that the driver cannot decode is `UNREADABLE`.

        `columns` begin with `id`; `name` is a statement that takes them and the ids.
        """
        try:
            return self.by_values(name, ids, columns=", ".join(columns))
        except UnreadableText:
            # The ids alone are readable, and whatever the statement locks is locked by it.
            there = self.by_values(name, ids, columns="id")
        return [(int(row[0]), *self._cells(int(row[0]), columns[1:])) for row in there]

    def _cells(self, row_id: int, columns: Sequence[str]) -> list[object]:
        """Return the values of one row, each read by itself."""
        values: list[object] = []
        for column in columns:
            try:
                found = self.query("read_cell", [row_id], column=column)
                values.append(found[0][0] if found else None)
            except UnreadableText:
                values.append(UNREADABLE)
        return values

    def change_by_values(self, name: str, values: Sequence[object], shared: Parameters = ()) -> None:
        """Run a statement that changes rows of these ids, people or children; `shared` as in `by_values`."""
        for part in in_chunks(values, _ROWS_IN_A_STATEMENT):
            self.execute(name, [*shared, part])

    def write_rows(self, name: str, types: Sequence[type], rows: Sequence[Parameters], shared: Parameters) -> int:
        """Run a statement of `queries.sql` for many rows of values of these types, a hundred in one statement.

        `shared` are the parameters that come before them, the same for all. Return the number of rows it touched; it is
        less than that of `rows` where the database does not say it.
        """
        count = 0
        for part in in_chunks(rows, _ROWS_IN_A_STATEMENT):
            count += self.execute(name, [*shared, Rows(types, part)])
        return count

    def update_rows(self, name: str, types: Sequence[type], rows: Sequence[Parameters]) -> None:
        """Run an UPDATE of `queries.sql` for many rows, a hundred in one statement; each begins with its `id`."""
        sql = self.sql(name, delta=self._delta()) if name == "mark_delta_sent" else self.sql(name)
        for part in in_chunks(rows, _ROWS_IN_A_STATEMENT):
            self.connection.execute(sql, [Rows(types, part), [row[0] for row in part]])

    def _delta(self) -> str:
        """Return the SQL that turns a delta into the type of its column."""
        if self._delta_as is None:
            self._delta_as = self.as_stored("partial_json_payload", "done.delta")
        return self._delta_as

    def as_stored(self, column: str, value: str) -> str:
        """Return the SQL that turns the text `value` into what a column of the staging table holds."""
        kind = ""
        if self.connection.dialect is Dialect.POSTGRESQL:
            kind = str(self.query("type_of_column_postgresql", [self.tables.staging, column])[0][0])
        return f"CAST({value} AS {kind})" if kind in ("json", "jsonb") else value

    def has_columns(self, columns: Mapping[str, str]) -> bool:
        """Return whether tables are there, each with its columns. Errors: DatabaseError (database away or busy)."""
        return unless_refused(lambda: self.probe(columns)) is not None

    def probe(self, columns: Mapping[str, str]) -> list[Row]:
        """Check that these tables are there, each with its columns; return no rows. Errors: DatabaseError."""
        seen = load()["table_exists"]
        parts = [seen.sql.format(columns=named, any_table=table) for table, named in columns.items()]
        return self.connection.query(NamedSql(" UNION ALL ".join(parts), seen.name))

    def why_unusable(self, table: str) -> str | None:
        """Return why a table that lacks columns or rights cannot be used, None where there is no such table.

        Errors: DatabaseError (database away or busy).
        """
        refusal = refusal_of(self.connection, table)
        if isinstance(refusal, TableMissing):
            return None
        return str(refusal) if refusal else "A column is missing; see which with: d2i-csc-api test-schema"


class _Names(dict[str, str]):
    """What stands for the names in braces in a statement; those that are not here are left for later."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"
