"""Read the SSD: one plain SELECT for each table and chunk of people, joined in memory (mapping 8).

People are taken in the database's own order of their ids; a chunk is the range from its first id to its last. Every
result is fetched whole before the next statement begins, so that one connection is enough on every server.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from api_pipeline.db import Connection, UnreadableText, in_chunks, refusal_of, unless_refused
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.identifiers import Dialect, parse_table_name, schema_prefix
from api_pipeline.sql.statements import NamedSql, load
from api_pipeline.staging import tables
from api_pipeline.staging.column_types import ColumnTypes, column_types
from api_pipeline.staging.joining import OF_OTHERS, joined
from api_pipeline.staging.rows import PersonRows, Professional, id_key
from api_pipeline.staging.tables import SSD_TABLES, TABLES_BY_NAME, SsdKind, SsdTable
from api_pipeline.staging.values import text_of, typed_rows

_LOG = logging.getLogger(__name__)
FILE = "staging_queries.sql"
# What one of Mosaic's scripts calls the id of a CIN plan.
_OTHER_PLAN_ID = "cin_plan_id"
# Ids of people are compared by order in each table that has them.
_RANGE = re.compile(r"\b(\w+_person_id) >= \? AND \1 <= \?")
# A column that is a text already is not changed by it, so that an index on it is used.
_AS_TEXT = "::text"
# PostgreSQL compares texts of two collations by none, unless the statement names one.
_IN_ONE_COLLATION = ' COLLATE "C"'
# Texts that collations sort in other ways.
_SAMPLES = ("10", "9", "B", "a", "A2", "a1", "a-2", "b 3", "_a")
# Blanks at the end of an id do not count. With as many as the widest column holds it comes after those with fewer.
_MOST_BLANKS = " " * 48
_IDS_OF_PEOPLE = [
    (table.name, name) for table in SSD_TABLES for name in table.column_names if name.endswith("_person_id")
]
_EVERYTHING = (*(table.name for table in SSD_TABLES if table is not tables.PROFESSIONAL), OF_OTHERS)


@dataclass(frozen=True, slots=True)
class SsdSource:
    """Where the SSD is and whom to take of it.

    `schema` is SSD_SCHEMA, `filter_table` COHORT_FILTER_TABLE ("" for none), `person_ids` COHORT_PERSON_IDS.
    """

    schema: str = ""
    filter_table: str = ""
    person_ids: tuple[str, ...] = ()


class Reader:
    """One connection's view of the SSD."""

    def __init__(self, connection: Connection, source: SsdSource) -> None:
        self._connection = connection
        self._source = source
        self._names = {
            "ssd": schema_prefix(source.schema, connection.dialect),
            "cin_plan_id": tables.CIN_PLAN.columns[0].name,
            "alike": "",
            "as_text": _AS_TEXT if connection.dialect is Dialect.POSTGRESQL else "",
        }
        self._types = ColumnTypes()
        self._orders_differ = False
        self._listed = "person_id"
        self._blanks = _MOST_BLANKS
        # The ids that the database gives as something else than texts, by their text.
        self._bounds: dict[str, object] = {}
        self._professionals: dict[str, Professional] | None = None
        self.names: Mapping[str, str] = {}
        """How people are called whose ids the staging table spells otherwise (`rows.as_staged`)."""

    def check(self) -> None:
        """Check that every table and column is there. Errors: DatabaseError naming the table."""
        for table in SSD_TABLES:
            self._see(table)
        self._see_types()
        self._see_blanks()
        self._orders_differ = self._types.orders_differ or self._sees_numbers_and_texts() or self._sees_other_orders()
        if self._source.filter_table and refusal_of(self._connection, self._filter_name(), "person_id"):
            raise DatabaseError(
                f"The table {self._source.filter_table} (COHORT_FILTER_TABLE) cannot be read or has no column "
                "person_id; correct the setting, or make the table."
            )
        if self._source.filter_table:
            self._see_listed()

    def empty_tables(self) -> list[str]:
        """Return the names of the SSD tables without a row. Errors: DatabaseError."""
        return [table.name for table in SSD_TABLES if not self._query("count_rows", ssd_table=table.name)[0][0]]

    def person_ids(self) -> list[str]:
        """Return the ids of all people to be looked at, in the database's order and spelling, each once."""
        found = self._asked_for() if self._source.person_ids else self._query("person_ids", filter=self._filter())
        if not found and not self._source.person_ids:
            among = (
                f" that {self._source.filter_table} (COHORT_FILTER_TABLE) names" if self._source.filter_table else ""
            )
            _LOG.warning(
                "%sssd_person holds nobody%s; see whether the SSD is loaded%s",
                *(self._names["ssd"], among, ", and how that table writes the ids" if among else ""),
            )
        self._bounds = {text_of(row[0]): row[0] for row in found if not isinstance(row[0], str)}
        return list(dict.fromkeys(text_of(row[0]) for row in found))

    def chunks(self, people: Sequence[str], size: int) -> list[Sequence[str]]:
        """Return the ids of `person_ids` in chunks of at most `size` people whose rows can be read together."""
        return in_chunks(people, 1 if self._source.person_ids else size)

    def read(self, people: Sequence[str], names: Collection[str] = _EVERYTHING) -> list[PersonRows]:
        """Return everything about the people of one chunk, or what the statements `names` tell of them.

        A person that is there no longer is left out. Errors: DatabaseError.
        """
        wanted = set(people)
        rows: dict[str, Sequence[Any]] = {name: self._of_people(name, people) for name in names}
        rows[tables.PERSON.name] = [row for row in rows[tables.PERSON.name] if row.person_id in wanted]
        needs_professionals = tables.INVOLVEMENT.name in names
        everybody = joined(rows, self._all_professionals() if needs_professionals else {})
        for one in everybody if self.names else ():
            one.person = one.person._replace(person_id=self.name_of(one.person.person_id))
        return everybody

    def name_of(self, person_id: str) -> str:
        """Return the id of a person of the SSD as the staging table spells it."""
        return self.names.get(person_id, person_id)

    def _of_people(self, name: str, people: Sequence[str]) -> list[Any]:
        try:
            return self._read(name, people[0], people[-1])
        except UnreadableText as error:
            half = len(people) // 2
            for part in (people[:half], people[half:]) if half else ():
                self._of_people(name, part)
            # Where both halves can be read, it is a row of somebody between them, who is not in ssd_person.
            whose = f" of {people[0]}" if not half else f" of people from {people[0]} to {people[-1]}"
            raise _unreadable(tables.CIN_EPISODE.name if name == OF_OTHERS else name, whose) from error

    def _read(self, name: str, first: str, last: str) -> list[Any]:
        sql = load(FILE)[name].sql
        if self._orders_differ and name != tables.PERSON.name:
            sql = among_people(sql, self._names)
        sql = self._types.applied(sql.format(**self._names))
        ends = (first, first.rstrip(" ")), (last, last + self._blanks)
        bounds = [self._bounds.get(person, text) for person, text in ends]
        found = self._connection.query(sql, bounds * (sql.count("?") // 2))
        return typed_rows(tables.CIN_EPISODE if name == OF_OTHERS else TABLES_BY_NAME[name], found)

    def _all_professionals(self) -> dict[str, Professional]:
        if self._professionals is None:
            table = tables.PROFESSIONAL
            try:
                rows = typed_rows(table, self._query(table.name))
            except UnreadableText as error:
                raise _unreadable(table.name) from error
            self._professionals = {id_key(row.professional_id): row for row in sorted(rows, key=repr)}
        return self._professionals

    def _asked_for(self) -> list[tuple[Any, ...]]:
        """Return the ids of COHORT_PERSON_IDS as the SSD spells them; say which it does not have."""
        sql = self._types.applied(load(FILE)["is_person"].sql.format(filter=self._filter(), **self._names))
        asked = list(dict.fromkeys(self._source.person_ids))
        found = {person: self._spelt(sql, person) for person in asked}
        missing = [person for person in asked if not found[person]]
        if missing:
            _LOG.warning(
                "%d of the %d people in COHORT_PERSON_IDS are not in the SSD, or not in COHORT_FILTER_TABLE: %s; "
                "correct the setting",
                *(len(missing), len(asked), ", ".join(missing)),
            )
        return [row for rows in found.values() for row in rows]

    def _spelt(self, sql: str, person: str) -> list[tuple[Any, ...]]:
        """Return one of COHORT_PERSON_IDS as the SSD spells it; nothing where it is no number or uuid as they are."""
        ask = partial(self._connection.query, sql, [person])
        if (found := unless_refused(ask)) is not None:
            return found
        # A table that is just being loaded is refused as well, and says of nobody that they are gone.
        self._connection.query(sql, [None])
        return unless_refused(ask) or []

    def _sees_numbers_and_texts(self) -> bool:
        """Return whether some tables hold the ids of people as numbers and others as texts: each sorts its own way.

        Errors: DatabaseError where such a number has decimals: as a text it is another id.
        """
        found: dict[str, object] = {}
        for table, column in _IDS_OF_PEOPLE:
            # Some types have no least value, such as PostgreSQL's uuid: neither numbers nor texts.
            first = unless_refused(partial(self._query, "first_id", column=column, ssd_table=table))
            found.update({f"{table}.{column}": one for (one,) in first or () if one is not None})
        is_mixed = len({isinstance(one, str) for one in found.values()}) > 1
        with_decimals = sorted(name for name, one in found.items() if _has_decimals(one)) if is_mixed else []
        if with_decimals:
            raise DatabaseError(
                f"The SSD holds ids of people as numbers with decimals in {', '.join(with_decimals)} and as texts in "
                "other columns, so that rows of one person cannot be found together; nothing was changed. Make them "
                "whole numbers or texts, as the others are."
            )
        return is_mixed

    def _sees_other_orders(self) -> bool:
        """Return whether some tables sort the ids of people by another collation than others."""
        if self._connection.dialect is Dialect.SQLSERVER:
            return False
        # Refused where ids are no texts: such types have one order.
        found = [
            unless_refused(partial(self._query, "see_order", _SAMPLES, column=column, ssd_table=table))
            for table, column in _IDS_OF_PEOPLE
        ]
        differ = len({str(rows) for rows in found if rows}) > 1
        if differ and self._connection.dialect is Dialect.POSTGRESQL:
            self._names["as_text"] += _IN_ONE_COLLATION
        return differ

    def _see(self, table: SsdTable) -> None:
        names = table.column_names
        if self._has(table, *names):
            return
        if table is tables.CIN_PLAN and self._has(table, _OTHER_PLAN_ID):
            self._names["cin_plan_id"] = _OTHER_PLAN_ID
            names = (_OTHER_PLAN_ID, *names[1:])
        if not self._has(table, *names):
            raise self._unusable(table, names)

    def _see_types(self) -> None:
        """See which columns must be read in another way; on SQL Server a synonym's are not in the catalogue."""
        if self._connection.dialect is Dialect.POSTGRESQL:
            self._types = ColumnTypes(unbounded=self._date_columns())
        if self._connection.dialect is not Dialect.SQLSERVER:
            return
        schema = parse_table_name(self._source.schema) if self._source.schema else None
        catalogue = f"{schema.schema.sql(Dialect.SQLSERVER)}." if schema and schema.schema else ""
        names = [table.name for table in SSD_TABLES]
        sql = load(FILE)["see_types_sqlserver"].sql.format(catalogue=catalogue, names=", ".join("?" * len(names)))
        self._types = column_types(self._connection.query(sql, names), schema.table.text if schema else "")
        if self._types.is_mixed:
            self._names["alike"] = self._connection.page(0)["usual"]

    def _date_columns(self) -> frozenset[str]:
        """Return the columns that the driver gives as dates; a council may keep some as texts."""
        found: set[str] = set()
        for table in SSD_TABLES:
            dates = [column.name for column in table.columns if column.kind is SsdKind.DATE]
            if dates:
                sql = load(FILE)["see_columns"].sql
                text = sql.format(columns=", ".join(dates), ssd_table=table.name, **self._names)
                found.update(name for name, kind, *_ in self._connection.describe(text) if issubclass(kind, date))
        return frozenset(found)

    def _see_blanks(self) -> None:
        """See whether an id may be compared with blanks: PostgreSQL's uuid may not."""
        sql = load(FILE)["is_person"].sql.format(filter="", **self._names)
        if unless_refused(lambda: self._connection.query(sql, [_MOST_BLANKS])) is None:
            self._blanks = ""

    def _has(self, table: SsdTable, *columns: str) -> bool:
        names = ", ".join(columns)
        return unless_refused(lambda: self._query("see_columns", columns=names, ssd_table=table.name)) is not None

    def _see_listed(self) -> None:
        first = unless_refused(partial(self._query, "first_listed", filter_table=self._filter_name()))
        if first and isinstance(first[0][0], (float, Decimal)):
            self._listed = "CAST(person_id AS BIGINT)"

    def _unusable(self, table: SsdTable, columns: Sequence[str]) -> DatabaseError:
        missing = [column for column in columns if not self._has(table, column)]
        name = f"{self._names['ssd']}{table.name}"
        if len(missing) == len(columns):
            return DatabaseError(
                f"The SSD table {name} cannot be read; check SSD_SCHEMA, that the SSD is in the same database as the "
                "staging table, and that the login may read it."
            )
        return DatabaseError(
            f"The SSD table {name} has no column {', '.join(missing)} that may be read; "
            "update the SSD, or see what is wrong with: d2i-csc-api preflight"
        )

    def _filter(self) -> str:
        if not self._source.filter_table:
            return ""
        usual = self._connection.page(0)["usual"]
        sql = load(FILE)["only_listed"].sql
        return sql.format(filter_table=self._filter_name(), listed=self._listed, usual=usual)

    def _filter_name(self) -> str:
        return parse_table_name(self._source.filter_table).sql(self._connection.dialect)

    def _query(self, name: str, parameters: Sequence[object] = (), **pieces: str) -> list[tuple[Any, ...]]:
        return self._connection.query(load(FILE)[name].sql.format(**self._names, **pieces), parameters)


def among_people(sql: NamedSql, names: Mapping[str, str]) -> NamedSql:
    """Return a reading statement that looks the ids of people up in ssd_person instead of comparing their order."""
    people = load(FILE)["people_of_chunk"].sql.format(**names)
    listed = f"AS VARCHAR(100)){names['as_text']} IN ({people})"
    return NamedSql(_RANGE.sub(lambda found: f"CAST({found[1]} {listed}", sql), sql.name)


def _has_decimals(value: object) -> bool:
    """Return whether a number is of a type that writes decimals even where there are none, such as NUMERIC(18, 2)."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return isinstance(exponent, int) and exponent < 0
    return isinstance(value, float)


def _unreadable(table: str, whose: str = "") -> DatabaseError:
    return DatabaseError(
        f"The SSD table {table} holds text that cannot be read, in a row{whose}: half of a character, or bytes of "
        "another encoding than the database's; correct it."
    )
