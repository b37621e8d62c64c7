"""A small SSD in a real database beside the staging table, and `stage` run on it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from api_pipeline.db import connect
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill, write_night
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.tables import CIN_EPISODE, PERSON, SSD_TABLES, SsdTable
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.ssd import cin_plan, episode, person, rows
from tests.support.staging import rows_by_person

AS_OF = "2026-08-10"
_TABLE_OF = {table.row_type: table for table in SSD_TABLES}


@dataclass(frozen=True)
class CouncilSsd:
    """A database with the SSD's tables and the staging table, and the folder in which the command runs."""

    database: TestDatabase
    folder: Path

    def put(self, *people: PersonRows) -> None:
        """Put people's rows in; rows that are there already (a shared referral, a professional) are left."""
        with self.database.transaction():
            for one in people:
                for row in _rows_of(one):
                    self.put_row(row)

    def put_row(self, row: tuple[Any, ...]) -> None:
        """Put one row in, unless its key is there."""
        table = _TABLE_OF[type(row)]
        where = " AND ".join(f"{column} = ?" for column in table.key)
        name = self.database.named(table.name)
        if self.database.rows(f"SELECT 1 FROM {name} WHERE {where}", row[: len(table.key)]):
            return
        marks = ", ".join("?" * len(row))
        values = [self._bound(value) for value in row]
        self.database.execute(f"INSERT INTO {name} ({', '.join(table.column_names)}) VALUES ({marks})", values)

    def children(self, *person_ids: str) -> None:
        """Put in people with one open referral each, and nothing else."""
        self.put(*(child_rows(person_id) for person_id in person_ids))

    def many_children(self, person_ids: Sequence[str]) -> None:
        """Return the same for thousands of people, put in quickly."""
        people, episodes = (self.database.named(table.name) for table in (PERSON, CIN_EPISODE))
        person_columns = "pers_person_id, pers_forename, pers_surname, pers_sex, pers_dob"
        episode_columns = "cine_referral_id, cine_person_id, cine_referral_date"
        with self.database.transaction():
            for start in range(0, len(person_ids), 200):
                part = person_ids[start : start + 200]
                marks = ", ".join(["(?, 'Given', 'Sample', 'F', '2014-03-09')"] * len(part))
                self.database.execute(f"INSERT INTO {people} ({person_columns}) VALUES {marks}", part)
                marks = ", ".join(["(?, ?, '2025-01-10')"] * len(part))
                keys = [key for person_id in part for key in (f"R{person_id}", person_id)]
                self.database.execute(f"INSERT INTO {episodes} ({episode_columns}) VALUES {marks}", keys)

    def remove(self, person_id: str) -> None:
        """Take out a person and everything that names the person."""
        for table in SSD_TABLES:
            for column in table.columns:
                if column.name.endswith("_person_id"):
                    self._delete(table, column.name, person_id)

    def update(self, table: SsdTable, where: str, **columns: object) -> None:
        """Change columns of the rows that a condition holds for."""
        sets = ", ".join(f"{name} = ?" for name in columns)
        values = [self._bound(value) for value in columns.values()]
        self.database.execute(f"UPDATE {self.database.named(table.name)} SET {sets} WHERE {where}", values)

    def rename(self, person_id: str, forename: str) -> None:
        """Return a person another first name: a change that must be sent."""
        self.update(PERSON, f"pers_person_id = '{person_id}'", pers_forename=forename)

    def empty(self, table: SsdTable) -> None:
        """Take every row out of a table, as a refill under way does."""
        self.database.execute(f"DELETE FROM {self.database.named(table.name)}")

    def stage(self, *options: str, **settings: str) -> Completed:
        """Run `stage` as on 10 August 2026, unless the options name another day."""
        day = () if "--as-of" in options else ("--as-of", AS_OF)
        return invoke_cli(["stage", *day, *options], {**self.settings, **settings}, self.folder)

    def staged(self, *options: str, **settings: str) -> dict[str, dict[str, Any]]:
        """Stage, which must succeed, and return the rows by person."""
        done = self.stage(*options, **settings)
        assert done.code == 0, done.text
        return self.rows()

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the staging rows by person."""
        return rows_by_person(self.database)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a staging."""
        schema = {"SSD_SCHEMA": self.database.schema} if self.database.schema else {}
        return {**self.database.settings, **schema}

    def _delete(self, table: SsdTable, column: str, value: str) -> None:
        self.database.execute(f"DELETE FROM {self.database.named(table.name)} WHERE {column} = ?", [value])

    def _bound(self, value: Any) -> Any:
        if self.database.dialect is Dialect.SQLITE and hasattr(value, "isoformat"):
            return value.isoformat(" ")
        return value


def council(database: TestDatabase, folder: Path) -> CouncilSsd:
    """Make the SSD's tables in a database whose staging table is there already; empty."""
    with database.transaction():
        create_tables(database.execute, database.dialect, database.schema)
    return CouncilSsd(database, folder)


def child_rows(person_id: str, referral: str | None = None, **lists: Any) -> PersonRows:
    """Return a person with one open referral; `lists` are those of `PersonRows`."""
    named = {"cin_episodes": [episode(referral or f"R{person_id}", person_id=person_id)], **lists}
    return rows(person(person_id, forename=f"Given {person_id}", surname="Sample"), **named)


def with_plan(person_id: str, plan_id: str, **spell: Any) -> PersonRows:
    """Return a person with an open referral and a CIN plan of it."""
    return child_rows(person_id, cin_plans=[cin_plan(plan_id, referral=f"R{person_id}", of=person_id, **spell)])


def fill_synthetic(database: TestDatabase, ssd: SyntheticSsd) -> None:
    """Put a whole synthetic SSD into the SSD's tables."""
    with closing(connect(database.connection_string)) as connection:
        fill(connection, ssd, database.schema)


def next_night(database: TestDatabase, ssd: SyntheticSsd, rng: random.Random, share: float, day: date) -> None:
    """Change a share of a synthetic SSD, in memory and in the database."""
    with closing(connect(database.connection_string)) as connection:
        write_night(connection, ssd.next_night(rng, share, day), database.schema)


def _rows_of(one: PersonRows) -> Iterable[tuple[Any, ...]]:
    yield one.person
    for member in fields(PersonRows):
        if member.name != "person":
            yield from getattr(one, member.name)
