"""Sort an answer's rows by landing table, minimise them, and keep the ids that later questions need. One school's."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from api_pipeline.xporter.asking import Choice, sources_of
from api_pipeline.xporter.collect.items import Rows, SchoolPlan
from api_pipeline.xporter.layout import Landing, landings
from api_pipeline.xporter.minimise import landed_sources, matched_pupils, owned_rows, texts_of, without_others
from api_pipeline.xporter.wire.answer import Answer

ROLL = ("Students", "Students", "Id")
"""The column that holds the Ids of a school's landed pupils."""


class Sorting:
    """Tell which of a school's rows are about the council's children."""

    def __init__(self, plan: SchoolPlan) -> None:
        self._plan = plan
        self._ids: dict[tuple[str, str, str], set[str]] = {}
        self._students: set[str] | None = None
        self._has_new_pupils = False

    def by_landing(self, choice: Choice, answer: Answer) -> dict[str, tuple[Landing, Rows]]:
        """Return the rows by the landing table they go to; those of unknown tables name theirs in source_table."""
        by_table = {landing.table.name: landing for landing in landings(choice.endpoint) if landing.table}
        other = landings(choice.endpoint)[-1]
        found: dict[str, tuple[Landing, Rows]] = {}
        unknown: list[Mapping[str, Any]] | None = None
        for name, rows in answer.tables.items():
            table = choice.endpoint.table_named(name)
            if table is None:
                unknown = [*(unknown or ()), *({**row, "source_table": name} for row in rows)]
            else:
                landing = by_table[table.name]
                found[landing.name] = (landing, rows)
        # An unknown table without rows is an empty one, as a known table is.
        if not self._plan.keeps_unknown:
            found[other.name] = (other, [])
        elif unknown is not None:
            found[other.name] = (other, unknown)
        return found

    def minimised(self, choice: Choice, found: dict[str, tuple[Landing, Rows]]) -> dict[str, tuple[Landing, Rows]]:
        """Return the rows that may be landed."""
        if self._plan.cohort is None:
            return found
        if choice.endpoint.name == "Students":
            self._students = self._matched(found)
        students = self._pupils()
        in_answer = {landing.table.name: rows for landing, rows in found.values() if landing.table}
        landed = {source: self._values(source) for source in landed_sources(choice.endpoint)}
        kept: dict[str, tuple[Landing, Rows]] = {}
        for name, (landing, rows) in found.items():
            if name == "Students":
                ours = matched_pupils(rows, self._plan.cohort)
            else:
                ours = owned_rows(landing, rows, students, in_answer, landed)
            kept[name] = (landing, without_others(ours, students))
        return kept

    def _matched(self, found: dict[str, tuple[Landing, Rows]]) -> set[str] | None:
        if "Students" not in found or self._plan.cohort is None:
            return self._students
        return texts_of(matched_pupils(found["Students"][1], self._plan.cohort), "id")

    @property
    def has_new_pupils(self) -> bool:
        """Return whether tonight's answer has a pupil to be landed who is not landed yet."""
        return self._has_new_pupils

    def _pupils(self) -> Set[str]:
        """Return the Ids of the matched pupils: of tonight's answer, or those that are landed."""
        if self._students is not None:
            return self._students
        return self._plan.landed_ids.get(ROLL, frozenset())

    def remember(self, choice: Choice, tables: Mapping[str, tuple[Landing, Rows]], *, is_whole: bool = True) -> None:
        """Keep the columns that later questions take their ids from, and whether a pupil is new."""
        if "Students" in tables and choice.endpoint.name == ROLL[0]:
            pupils = texts_of(tables["Students"][1], "id")
            self._has_new_pupils = not pupils <= self._plan.landed_ids.get(ROLL, frozenset())
        for source in self._sources():
            if source[0] != choice.endpoint.name:
                continue
            for landing, rows in tables.values():
                if landing.table is not None and landing.table.name == source[1]:
                    found = texts_of(rows, source[2].lower())
                    self._ids[source] = found if is_whole else found | self._plan.landed_ids.get(source, frozenset())

    def forget(self, choice: Choice) -> None:
        """Go by the landed rows of an endpoint again: its answer was not written."""
        for source in [source for source in self._ids if source[0] == choice.endpoint.name]:
            del self._ids[source]
        if choice.endpoint.name == ROLL[0]:
            self._students = None
            self._has_new_pupils = False

    def _sources(self) -> set[tuple[str, str, str]]:
        sources = {source for choice in self._plan.choices for source in sources_of(choice)}
        return sources | {source for choice in self._plan.choices for source in landed_sources(choice.endpoint)}

    def _values(self, source: tuple[str, str, str]) -> Set[str]:
        found = self._ids.get(source)
        return self._plan.landed_ids.get(source, frozenset()) if found is None else found

    def deleted_by_landing(self, choice: Choice, answer: Answer) -> dict[str, Rows]:
        """Return the rows that a change set says are gone, by the landing table that they are in."""
        by_table = {landing.table.name: landing for landing in landings(choice.endpoint) if landing.table}
        named = ((choice.endpoint.table_named(name), rows) for name, rows in answer.deleted.items())
        return {by_table[table.name].name: rows for table, rows in named if table is not None}

    def is_of_tonight(self, source: tuple[str, str, str]) -> bool:
        """Return whether the values of a column came with an answer, and not from the landed rows."""
        return source in self._ids

    def known_ids(self, source: tuple[str, str, str]) -> list[str]:
        """Return the values of a column (endpoint, table, column), of tonight's answers or landed."""
        return sorted(self._values(source))
