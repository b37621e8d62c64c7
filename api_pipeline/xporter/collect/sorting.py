"""Sort an answer's rows by landing table, minimise them, and keep the ids that later questions need. One school's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from api_pipeline.xporter.asking import Choice, sources_of
from api_pipeline.xporter.catalogue import Column, Endpoint
from api_pipeline.xporter.collect.desk import Rows
from api_pipeline.xporter.collect.options import SchoolPlan
from api_pipeline.xporter.layout import Landing, landings
from api_pipeline.xporter.minimise import landed_sources, matched_pupils, owned_rows, without_others
from api_pipeline.xporter.values import texts_of
from api_pipeline.xporter.wire.answer import Answer

ROLL = Column("Students", "Students", "Id")
"""The column that holds the Ids of a school's landed pupils."""
_NONE: frozenset[str] = frozenset()


def needed_columns(choices: Iterable[Choice]) -> set[Column]:
    """Return the columns whose values questions or minimisation need."""
    found: set[Column] = set()
    for choice in choices:
        found |= {*sources_of(choice).values(), *landed_sources(choice.endpoint)}
    return found


class Sorting:
    """Find which of a school's rows are about the council's children."""

    def __init__(self, plan: SchoolPlan) -> None:
        self._plan = plan
        self._needed = needed_columns(plan.options.choices)
        self._ids: dict[Column, set[str]] = {}
        self._students: set[str] | None = None
        self.has_new_pupils = False
        """Whether tonight's answer has a pupil to be landed who is not landed yet."""

    def by_landing(self, choice: Choice, answer: Answer) -> dict[str, tuple[Landing, Rows]]:
        """Return the rows by the landing table they go to; those of unknown tables name theirs in source_table."""
        known = _landings_by_table(choice.endpoint)
        other = landings(choice.endpoint)[-1]
        found: dict[str, tuple[Landing, Rows]] = {}
        unknown: list[Mapping[str, Any]] | None = None
        for name, rows in answer.tables.items():
            table = choice.endpoint.table_named(name)
            if table is None:
                unknown = [*(unknown or ()), *({**row, "source_table": name} for row in rows)]
            else:
                landing = known[table.name]
                found[landing.name] = (landing, rows)
        # An unknown table without rows is an empty one, as a known table is.
        if not self._plan.options.keeps_unknown:
            found[other.name] = (other, [])
        elif unknown is not None:
            found[other.name] = (other, unknown)
        return found

    def deleted_by_landing(self, choice: Choice, answer: Answer) -> dict[str, Rows]:
        """Return the rows that a change set says are gone, by the landing table that they are in."""
        known = _landings_by_table(choice.endpoint)
        other = landings(choice.endpoint)[-1]
        named = ((choice.endpoint.table_named(name), rows) for name, rows in answer.deleted.items())
        return {(known[table.name] if table else other).name: rows for table, rows in named if table or any(rows)}

    def minimised(self, choice: Choice, found: dict[str, tuple[Landing, Rows]]) -> dict[str, tuple[Landing, Rows]]:
        """Return the rows that may be landed."""
        cohort = self._plan.options.cohort
        if cohort is None:
            return found
        if choice.endpoint.name == "Students" and "Students" in found:
            self._students = texts_of(matched_pupils(found["Students"][1], cohort), "id")
        students = self._landed(ROLL) if self._students is None else self._students
        in_answer = {landing.table.name: rows for landing, rows in found.values()}
        landed = {source: self._values(source) for source in landed_sources(choice.endpoint)}
        kept: dict[str, tuple[Landing, Rows]] = {}
        for name, (landing, rows) in found.items():
            if name == "Students":
                ours = matched_pupils(rows, cohort)
            else:
                ours = owned_rows(landing, rows, students, in_answer, landed)
            kept[name] = (landing, without_others(ours, students))
        return kept

    def remember(self, choice: Choice, tables: Mapping[str, tuple[Landing, Rows]], *, is_whole: bool) -> None:
        """Keep the columns that later questions take their ids from, and whether a pupil is new."""
        if "Students" in tables and choice.endpoint.name == ROLL.endpoint:
            self.has_new_pupils = not texts_of(tables["Students"][1], "id") <= self._landed(ROLL)
        for source in self._needed:
            if source.endpoint != choice.endpoint.name:
                continue
            for landing, rows in tables.values():
                if landing.table.name == source.table:
                    found = texts_of(rows, source.column.lower())
                    self._ids[source] = found if is_whole else found | self._landed(source)

    def forget(self, choice: Choice) -> None:
        """Go by the landed rows of an endpoint again: its answer was not written."""
        for source in [source for source in self._ids if source.endpoint == choice.endpoint.name]:
            del self._ids[source]
        if choice.endpoint.name == ROLL.endpoint:
            self._students = None
            self.has_new_pupils = False

    def is_of_tonight(self, source: Column) -> bool:
        """Return whether the values of a column came with an answer, and not from the landed rows."""
        return source in self._ids

    def known_ids(self, source: Column) -> list[str]:
        """Return the values of a column, of tonight's answers or landed."""
        return sorted(self._values(source))

    def _values(self, source: Column) -> Set[str]:
        return self._ids[source] if source in self._ids else self._landed(source)

    def _landed(self, source: Column) -> Set[str]:
        return self._plan.landed_ids.get(source, _NONE)


def _landings_by_table(endpoint: Endpoint) -> dict[str, Landing]:
    return {landing.table.name: landing for landing in landings(endpoint)}
