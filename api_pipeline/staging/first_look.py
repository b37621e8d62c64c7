"""The first look at everybody: whose rows would be deleted, and whether those are too many.

What is built on the way is kept for the second look, as far as memory allows; beyond that, it is built again. Where
deletions are allowed whatever their number, the look beyond that reads only what decides about the cohort. Where no row
is staged yet nothing can be deleted, and nobody is looked at.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from api_pipeline.db import in_chunks
from api_pipeline.errors import Interrupted
from api_pipeline.staging import guard, tables
from api_pipeline.staging.changes import is_same
from api_pipeline.staging.chunk import Chunk
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.joining import OF_OTHERS
from api_pipeline.staging.outcome import StageSummary, StagingObservers
from api_pipeline.staging.reader import Reader
from api_pipeline.staging.request import StageRequest
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.writer import Head, Writer

PEOPLE_IN_A_CHUNK = 1000
ROWS_IN_A_CHUNK = 500
# How much of what the first look builds is kept for the second, in characters: some 2,500 payloads.
_KEPT_AHEAD = 16 * 2**20
# What decides about the cohort (mapping 2), besides the tables that only a setting brings in.
_DECIDING = (
    *(tables.PERSON.name, tables.CIN_EPISODE.name, tables.ASSESSMENT.name, tables.CIN_PLAN.name),
    *(tables.CLA_EPISODE.name, tables.PLACEMENT.name, tables.CARE_LEAVER.name, OF_OTHERS),
)

Build: TypeAlias = "Callable[[Sequence[str]], Chunk]"
HeadsOf: TypeAlias = "Mapping[str, Sequence[Head]]"


class FirstLook:
    """Looks at people by chunks, and keeps what it builds of them."""

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        request: StageRequest,
        summary: StageSummary,
        observers: StagingObservers,
        build: Build,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request
        self._summary = summary
        self._observers = observers
        self._build = build
        self._room = _KEPT_AHEAD
        self._has_looked = False
        # By the first person of the chunk.
        self._ahead: dict[str, Chunk] = {}
        self.gone: Counter[str] = Counter()
        """How many parts of each kind vanished from the SSD, of people who stay."""
        self.tables: set[str] = set()
        """The SSD tables of which the staged payloads show rows, of people who stay and whose payload changed."""
        self.left: list[str] = []
        """The people with a live row who are not in the cohort, whether or not their rows are to be deleted."""

    def leaving(self, people: Sequence[str], heads: HeadsOf, stop: threading.Event) -> list[str]:
        """Return the people with a live row who are not in the cohort and whose rows are to be deleted."""
        live = [person for person, rows in heads.items() if not all(row.is_deleted for row in rows)]
        only = self._request.only_listed
        if only is not None:
            listed = {*only, *people}
            live = [person for person in live if person in listed]
        if not live:
            return []
        self._has_looked = True
        cohort: set[str] = set()
        for ids in self._reader.chunks(people, PEOPLE_IN_A_CHUNK):
            go_on(stop)
            cohort.update(self._cohort_of(ids, heads))
            self._summary.looked_at += len(ids)
            self._observers.progress(self._summary)
        self.left = [person for person in live if person not in cohort]
        if self._request.deletes_left_window:
            return self.left
        there = set(people)
        vanished = [person for person in self.left if person not in there]
        self._summary.kept = len(self.left) - len(vanished)
        return vanished

    def _cohort_of(self, ids: Sequence[str], heads: HeadsOf) -> Iterable[str]:
        """Return who of a chunk is in the cohort, and count what vanished where that may stop the staging."""
        is_guarded = self._request.max_deleted_share is not None
        if not (is_guarded or self._room > 0):
            everybody = self._reader.read(ids, self._deciding())
            return [rows.person.person_id for rows in everybody if self._is_in(rows)]
        chunk = self._build(ids)
        if is_guarded:
            self._count_gone(chunk, heads)
        if self._room > 0:
            self._ahead[ids[0]] = chunk
            self._room -= chunk.size
        return chunk.cohort

    def _count_gone(self, chunk: Chunk, heads: HeadsOf) -> None:
        """Count the parts that vanished of a chunk's people whose payload changed, and note the tables behind it."""
        changed = {
            head.id: person
            for person, version in chunk.versions.items()
            for head in heads.get(person, ())
            if not (head.is_deleted or is_same(head.hash, version))
        }
        for person, staged in _payloads(self._writer, changed):
            self.tables |= guard.tables_behind(staged)
            if now := parsed(chunk.versions[person].text):
                self.gone.update(guard.gone_parts(staged, now, chunk.outside[person]))

    def take(self, people: Sequence[str]) -> Chunk:
        """Return a chunk of people: the one that was kept, which is let go of, or one that is built now."""
        if not self._has_looked:
            self._summary.looked_at += len(people)
        return self._ahead.pop(people[0]) if people[0] in self._ahead else self._build(people)

    def _deciding(self) -> list[str]:
        options = self._request.options
        more = {tables.CP_PLAN.name: options.include_cp_plans, tables.DISABILITY.name: options.include_disabled}
        return [*_DECIDING, *(name for name, is_wanted in more.items() if is_wanted)]

    def _is_in(self, rows: PersonRows) -> bool:
        return eligibility(rows, self._request.window, self._request.options).is_in


def refusal(
    reader: Reader, writer: Writer, request: StageRequest, heads: HeadsOf, look: FirstLook, leaving: Sequence[str]
) -> guard.StagingRefused | None:
    """Return why a staging stops instead of deleting the rows of people who leave; None where it does not."""
    if request.max_deleted_share is None or not heads:
        return None
    live = _live(heads, heads)
    try:
        guard.check(
            live_rows=len(live),
            leaving=len(_live(heads, leaving)),
            emptied_tables=_emptied(reader, writer, look, _live(heads, look.left)),
            max_share=request.max_deleted_share,
        )
        if any(map(guard.are_many, look.gone.values())):
            staged: Counter[str] = Counter()
            for _, payload in _payloads(writer, live):
                staged.update(guard.parts_of(payload))
            guard.check_parts(look.gone, staged, request.max_deleted_share)
    except guard.StagingRefused as reason:
        return reason
    return None


def _live(heads: HeadsOf, people: Iterable[str]) -> dict[int, str]:
    """Return the rows of people that are not deleted: each person by the row's id."""
    return {head.id: person for person in people for head in heads[person] if not head.is_deleted}


def _emptied(reader: Reader, writer: Writer, look: FirstLook, left: Mapping[int, str]) -> list[str]:
    """Return the empty SSD tables that were not empty before: a payload that shows rows of one has changed, or left."""
    empty = set(reader.empty_tables())
    rest = guard.emptied(empty - look.tables, (payload for _, payload in _payloads(writer, left)))
    return sorted((empty & look.tables).union(rest))


def _payloads(writer: Writer, people: Mapping[int, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the staged payloads of rows, one by one, each with its person."""
    for part in in_chunks(list(people.items()), ROWS_IN_A_CHUNK):
        for row in writer.rows(dict(part)):
            payload = parsed(row.json_payload)
            if payload is not None:
                yield people[row.id], payload


def parsed(text: str) -> dict[str, Any] | None:
    """Return a stored payload, None where it is not a JSON object."""
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def go_on(stop: threading.Event) -> None:
    """Raise Interrupted where a signal asked the staging to stop."""
    if stop.is_set():
        raise Interrupted("Stopped by a signal; what was staged is kept, and the next staging completes it.")
