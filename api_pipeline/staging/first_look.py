"""The first look at everybody: whose rows would be deleted, and whether those are too many.

What is built on the way is kept for the second look, as far as memory allows; beyond that, it is built again. Where
deletions are allowed whatever their number, the look beyond that reads only what decides about the cohort. Where no row
is staged yet nothing can be deleted, and nobody is looked at.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from api_pipeline.db import in_chunks
from api_pipeline.errors import Interrupted
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import guard, tables
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.chunk import Builder, Chunk
from api_pipeline.staging.joining import OF_OTHERS
from api_pipeline.staging.meaning import parsed
from api_pipeline.staging.reader import Reader
from api_pipeline.staging.staged import Head, Staged

PEOPLE_IN_A_CHUNK = 1000
ROWS_IN_A_CHUNK = 500
# How much of what the first look builds is kept for the second, in characters: some 2,500 payloads.
_KEPT_AHEAD = 16 * 2**20
# What decides about the cohort (mapping 2), besides the tables that only a setting brings in.
_DECIDING = (
    *(tables.PERSON.name, tables.CIN_EPISODE.name, tables.ASSESSMENT.name, tables.CIN_PLAN.name),
    *(tables.CLA_EPISODE.name, tables.PLACEMENT.name, tables.CARE_LEAVER.name, OF_OTHERS),
)


class FirstLook:
    """Look at people by chunks, and keep what `builder` makes of them. `heads` are the staged rows, by person."""

    def __init__(
        self,
        reader: Reader,
        staged: Staged,
        settings: StagingSettings,
        call: StageCall,
        heads: Mapping[str, Sequence[Head]],
        builder: Builder,
    ) -> None:
        self._reader = reader
        self._staged = staged
        self._settings = settings
        # None where deletions are allowed whatever their number.
        self._max_share = None if call.allows_deletions else settings.max_deleted_share
        self._heads = heads
        self._builder = builder
        self._room = _KEPT_AHEAD
        # By the first person of the chunk.
        self._ahead: dict[str, Chunk] = {}
        # How many parts of each kind vanished from the SSD, of people who stay.
        self._gone: Counter[str] = Counter()
        # The SSD tables behind the staged payloads of people who stay and whose payload changed.
        self._tables: set[str] = set()
        # The people with a live row who are not in the cohort, whether or not their rows are to be deleted.
        self._left: list[str] = []
        self.has_looked = False
        """Whether anybody had to be looked at."""
        self.kept = 0
        """How many people left the cohort and stay staged (DELETE_LEFT_WINDOW=false)."""

    def leaving(self, people: Sequence[str], stop: threading.Event, on_progress: Callable[[int], None]) -> list[str]:
        """Return the people with a live row who are not in the cohort and whose rows are to be deleted.

        `on_progress` is called with how many more people were looked at.
        """
        live = [person for person, rows in self._heads.items() if not all(row.is_deleted for row in rows)]
        there = set(map(self._reader.name_of, people))
        # The rows of people whom it does not name are left alone.
        only = self._settings.cohort_person_ids
        if only:
            listed = there.union(only)
            live = [person for person in live if person in listed]
        if not live:
            return []
        self.has_looked = True
        cohort: set[str] = set()
        for ids in self._reader.chunks(people, PEOPLE_IN_A_CHUNK):
            go_on(stop)
            cohort.update(self._cohort_of(ids))
            on_progress(len(ids))
        self._left = [person for person in live if person not in cohort]
        if self._settings.delete_left_window:
            return self._left
        vanished = [person for person in self._left if person not in there]
        self.kept = len(self._left) - len(vanished)
        return vanished

    def take(self, people: Sequence[str]) -> Chunk:
        """Return a chunk of people: the one that was kept, which is let go of, or one that is built now."""
        return self._ahead.pop(people[0]) if people[0] in self._ahead else self._build(people)

    def refusal(self, leaving: Sequence[str]) -> guard.StagingRefused | None:
        """Return why a staging stops instead of deleting the rows of people who leave; None where it does not."""
        max_share = self._max_share
        if max_share is None or not self._heads:
            return None
        live = self._live(self._heads)
        try:
            guard.check(
                live_rows=len(live),
                leaving=len(self._live(leaving)),
                emptied_tables=self._emptied(),
                max_share=max_share,
            )
            if any(map(guard.are_many, self._gone.values())):
                staged: Counter[str] = Counter()
                for _, payload in self._payloads(live):
                    staged.update(guard.parts_of(payload))
                guard.check_parts(self._gone, staged, max_share)
        except guard.StagingRefused as reason:
            return reason
        return None

    def _cohort_of(self, ids: Sequence[str]) -> Iterable[str]:
        """Return who of a chunk is in the cohort, and count what vanished where that may stop the staging."""
        is_guarded = self._max_share is not None
        if not (is_guarded or self._room > 0):
            everybody = self._reader.read(ids, self._deciding())
            return [rows.person.person_id for rows in everybody if self._builder.is_in(rows)]
        chunk = self._build(ids)
        if is_guarded:
            self._count_gone(chunk)
        if self._room > 0:
            self._ahead[ids[0]] = chunk
            self._room -= chunk.size
        return chunk.cohort

    def _count_gone(self, chunk: Chunk) -> None:
        """Count the parts that vanished of a chunk's people whose payload changed, and note the tables behind it."""
        changed = {
            head.id: person
            for person, version in chunk.versions.items()
            for head in self._heads.get(person, ())
            if not head.is_deleted and head.hash != version.hash
        }
        for person, staged in self._payloads(changed):
            self._tables |= guard.tables_behind(staged)
            if now := parsed(chunk.versions[person].text):
                self._gone.update(guard.gone_parts(staged, now, chunk.outside[person]))

    def _deciding(self) -> list[str]:
        more = {
            tables.CP_PLAN.name: self._settings.cohort_include_cp_plans,
            tables.DISABILITY.name: self._settings.cohort_include_disabled,
        }
        return [*_DECIDING, *(name for name, is_wanted in more.items() if is_wanted)]

    def _build(self, people: Sequence[str]) -> Chunk:
        return self._builder.chunk(self._reader.read(people))

    def _live(self, people: Iterable[str]) -> dict[int, str]:
        """Return the rows of people that are not deleted: each person by the row's id."""
        return {head.id: person for person in people for head in self._heads[person] if not head.is_deleted}

    def _emptied(self) -> list[str]:
        """Return the empty SSD tables that were not empty before: a payload that shows rows of one changed, or left."""
        empty = set(self._reader.empty_tables())
        left = (payload for _, payload in self._payloads(self._live(self._left)))
        return sorted((empty & self._tables).union(guard.emptied(empty - self._tables, left)))

    def _payloads(self, people: Mapping[int, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Return the staged payloads of rows, one by one, each with its person."""
        for part in in_chunks(list(people.items()), ROWS_IN_A_CHUNK):
            for row in self._staged.rows(dict(part)):
                payload = parsed(row.json_payload)
                if payload is not None:
                    yield people[row.id], payload


def go_on(stop: threading.Event) -> None:
    """Raise Interrupted where a signal asked the staging to stop."""
    if stop.is_set():
        raise Interrupted("Stopped by a signal; what was staged is kept, and the next staging completes it.")
