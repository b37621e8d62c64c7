"""One staging: see who is in the cohort, stop if the SSD looks half loaded, then build, compare and write.

Nothing at all may be written before it is known how many rows would be deleted. So everybody is looked at first, and
what was built on the way is kept for the second look, as far as memory allows; beyond that, the first look reads only
what decides about the cohort. Where no row is staged yet nothing can be deleted, and the first look is left out.

A payload is not built again where what it was built from is what it was (`sources`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from api_pipeline.db import in_chunks
from api_pipeline.errors import Interrupted
from api_pipeline.model import ElementPath, StagedRow
from api_pipeline.payloads.diff import without_nulls
from api_pipeline.payloads.retained import paths_in, paths_text
from api_pipeline.staging import changes, guard, sources, tables
from api_pipeline.staging.changes import Change, Insert, ReceiverState, Rehash, Restore, Update, Word
from api_pipeline.staging.chunk import Builder, Chunk, is_still_there
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.issues import Issue
from api_pipeline.staging.joining import OF_OTHERS
from api_pipeline.staging.meaning import meaning_hash
from api_pipeline.staging.options import StageOptions
from api_pipeline.staging.outcome import StageSummary, StagingObservers
from api_pipeline.staging.program import program_hash
from api_pipeline.staging.reader import Reader
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.sources import Known
from api_pipeline.staging.stored import Stored
from api_pipeline.staging.window import Window
from api_pipeline.staging.writer import Head, Writer

PEOPLE_IN_A_CHUNK = 1000
_DELETIONS_IN_A_CHUNK = 500
# How much of what the first look builds is kept for the second, in characters: some 2,500 payloads.
_KEPT_AHEAD = 16 * 2**20
# What decides about the cohort (mapping 2), besides the tables that only a setting brings in.
_DECIDING = (
    *(tables.PERSON.name, tables.CIN_EPISODE.name, tables.ASSESSMENT.name, tables.CIN_PLAN.name),
    *(tables.CLA_EPISODE.name, tables.PLACEMENT.name, tables.CARE_LEAVER.name, OF_OTHERS),
)


@dataclass(frozen=True, slots=True)
class StageRequest:
    """What one staging does.

    `max_deleted_share` is None where deletions are allowed whatever their number (--allow-deletions);
    `deletes_left_window` is DELETE_LEFT_WINDOW, `keeps_retained` the opposite of PURGE_LEFT_WINDOW. `only_listed`
    says that the rows of people whom COHORT_PERSON_IDS does not name are left alone.
    """

    window: Window
    options: StageOptions
    max_deleted_share: float | None
    deletes_left_window: bool = True
    keeps_retained: bool = True
    only_listed: frozenset[str] | None = None
    is_dry_run: bool = False


class Stager:
    """Do one staging. `execute` may be called once."""

    def __init__(
        self, reader: Reader, writer: Writer, request: StageRequest, summary: StageSummary, observers: StagingObservers
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request
        self._summary = summary
        self._observers = observers
        self._retained: dict[str, str] = {}
        self._heads: dict[str, list[Head]] = {}
        self._known: dict[str, Known] = {}
        self._recorded: set[str] = set()
        self._ahead: dict[str, Chunk] = {}
        self._room = _KEPT_AHEAD
        self._stored = Stored()

    def execute(self, stop: threading.Event) -> None:
        """Stage everybody; a dry run only counts, and puts into the summary why a staging would stop.

        At the end the rows are read again: what was staged is what the table says, or this is an error.
        Errors: DatabaseError, guard.StagingRefused, Interrupted (after the chunk under way).
        """
        started = time.monotonic()
        self._reader.check()
        people = self._reader.person_ids()
        self._heads = self._writer.heads()
        self._retained = self._writer.left_window()
        self._builder = self._make_builder()
        self._summary.people = len(people)
        leaving = self._leaving(people, stop)
        self._summary.refusal = self._refusal(leaving)
        if self._summary.refusal is not None and not self._request.is_dry_run:
            raise self._summary.refusal
        seen: set[str] = set()
        for ids in self._reader.chunks(people, PEOPLE_IN_A_CHUNK):
            _go_on(stop)
            seen.update(self._stage(self._ahead.pop(ids[0]) if ids[0] in self._ahead else self._build(ids)))
            self._summary.seconds = time.monotonic() - started
            self._observers.progress(self._summary)
        self._delete([person for person in leaving if person not in seen], stop)
        if not self._request.is_dry_run:
            self._forget(people)
            self._stored.check(self._summary.table, self._writer.heads())
        self._summary.seconds = time.monotonic() - started

    def _make_builder(self) -> Builder:
        request, context = self._request, None
        if self._writer.keeps_built():
            self._known = self._writer.built()
            context = sources.context_hash(
                request.window,
                request.options,
                program_hash(),
                self._summary.table,
                keeps_retained=request.keeps_retained,
            )
        return Builder(request.window, request.options, context, self._heads, self._retained, self._known)

    def _build(self, people: Sequence[str]) -> Chunk:
        chunk = self._builder.chunk(self._reader.read(people))
        self._summary.looked_at += len(people)
        return chunk

    def _leaving(self, people: Sequence[str], stop: threading.Event) -> list[str]:
        """Return the people with a live row who are not in the cohort and whose rows are to be deleted."""
        live = [person for person, heads in self._heads.items() if not all(head.is_deleted for head in heads)]
        only = self._request.only_listed
        if only is not None:
            live = [person for person in live if person in only]
        if not live:
            return []
        cohort: set[str] = set()
        for ids in self._reader.chunks(people, PEOPLE_IN_A_CHUNK):
            _go_on(stop)
            if self._room > 0:
                chunk = self._ahead[ids[0]] = self._build(ids)
                self._room -= chunk.size
                cohort.update(chunk.cohort)
                self._observers.progress(self._summary)
            else:
                everybody = self._reader.read(ids, self._deciding())
                cohort.update(rows.person.person_id for rows in everybody if self._is_in(rows))
        left = [person for person in live if person not in cohort]
        if self._request.deletes_left_window:
            return left
        there = set(people)
        vanished = [person for person in left if person not in there]
        self._summary.kept = len(left) - len(vanished)
        return vanished

    def _deciding(self) -> list[str]:
        options = self._request.options
        more = {tables.CP_PLAN.name: options.include_cp_plans, tables.DISABILITY.name: options.include_disabled}
        return [*_DECIDING, *(name for name, is_wanted in more.items() if is_wanted)]

    def _is_in(self, rows: PersonRows) -> bool:
        return eligibility(rows, self._request.window, self._request.options).is_in

    def _refusal(self, leaving: Sequence[str]) -> guard.StagingRefused | None:
        if self._request.max_deleted_share is None or not self._heads:
            return None
        live = [head for heads in self._heads.values() for head in heads if not head.is_deleted]
        going = sum(not head.is_deleted for person in leaving for head in self._heads[person])
        try:
            guard.check(
                live_rows=len(live),
                leaving=going,
                emptied_tables=guard.emptied(self._reader.empty_tables(), self._payloads(live)),
                max_share=self._request.max_deleted_share,
            )
        except guard.StagingRefused as refusal:
            return refusal
        return None

    def _payloads(self, heads: Sequence[Head]) -> Iterator[Mapping[str, Any]]:
        """Return the staged payloads of live rows, one by one."""
        for part in in_chunks(heads, _DELETIONS_IN_A_CHUNK):
            for row in self._writer.rows([head.id for head in part]):
                payload = _parsed(row.json_payload)
                if payload is not None:
                    yield payload

    def _stage(self, chunk: Chunk) -> list[str]:
        """Stage one chunk of people and return those who are in the cohort."""
        self._note(chunk.issues)
        self._summary.withheld += chunk.withheld
        self._summary.cohort += len(chunk.cohort)
        self._summary.words[Word.UNCHANGED] += sum(len(self._heads[person]) for person in chunk.same)
        self._recorded.update(chunk.same)
        found, outside = self._changes(chunk)
        self._apply(found, outside, self._sources(chunk, outside))
        return chunk.cohort

    def _changes(self, chunk: Chunk) -> tuple[list[Change], dict[str, str]]:
        """Return what a chunk changes, by person id, and what is then recorded as outside the window."""
        found: list[Change] = []
        doubtful: list[int] = []
        for person, version in sorted(chunk.versions.items()):
            heads = self._heads.get(person)
            if heads is None:
                found.append(Insert(person, version))
                continue
            is_noted = is_still_there(self._retained.get(person), self._outside(chunk, person))
            for head in heads:
                if head.is_deleted or not (is_noted and changes.is_same(head.hash, version)):
                    doubtful.append(head.id)
                else:
                    self._summary.words[Word.UNCHANGED] += 1
        outside: dict[str, str] = {}
        for row, held in self._writer.known(doubtful):
            version, parts = chunk.versions[row.person_id], self._outside(chunk, row.person_id)
            change = changes.present(row, version, held, meaning_of)
            if not isinstance(change, Update | Restore) and not is_still_there(
                self._retained.get(row.person_id), parts
            ):
                change = changes.repeated(row, version, held)
            if change is None:
                self._summary.words[Word.UNCHANGED] += 1
                continue
            found.append(change)
            if isinstance(change, Update | Restore):
                self._record_outside(outside, row.person_id, parts, held)
        return found, outside

    def _outside(self, chunk: Chunk, person: str) -> Collection[ElementPath]:
        """Return what left a person's window and is kept at the receiver."""
        return chunk.outside[person] if self._request.keeps_retained else ()

    def _record_outside(
        self, outside: dict[str, str], person: str, parts: Collection[ElementPath], held: ReceiverState
    ) -> None:
        """Note which of the parts outside the window the receiver holds, or may hold where that is not sure."""
        payload = None if held.payload is None else _parsed(held.payload)
        kept = set(parts) if held.is_held else set()
        if payload is not None:
            kept &= paths_in(payload)
        text = paths_text(kept) if kept else ""
        if text != self._retained.get(person, ""):
            outside[person] = text

    def _sources(self, chunk: Chunk, outside: Mapping[str, str]) -> dict[str, Known]:
        """Return what is to be recorded of a chunk's people: what their payloads, as they are staged now, came from."""
        found: dict[str, Known] = {}
        for person, source in chunk.sources.items():
            retained = outside.get(person, self._retained.get(person)) or None
            if not is_still_there(retained, self._outside(chunk, person)):
                continue
            whole = sources.source_hash(source.rows_hash, retained, chunk.versions[person].hash)
            known = Known(whole, self._request.window.run_date, source.last_day, source.issues)
            self._recorded.add(person)
            if known != self._known.get(person):
                found[person] = known
        return found

    def _forget(self, people: Sequence[str]) -> None:
        """Take out what is recorded of people who were looked at, or are gone, and are not staged any more."""
        only = self._request.only_listed
        gone = self._known.keys() - self._recorded
        self._writer.delete_built(sorted(gone if only is None else gone & {*only, *people}))

    def _delete(self, people: Sequence[str], stop: threading.Event) -> None:
        ids = [head.id for person in people for head in self._heads[person] if not head.is_deleted]
        for part in in_chunks(ids, _DELETIONS_IN_A_CHUNK):
            _go_on(stop)
            known: Iterable[tuple[StagedRow, ReceiverState]] = self._writer.known(part)
            found = [change for row, held in known if (change := changes.absent(row, held)) is not None]
            self._apply(found, {change.person_id: "" for change in found if change.person_id in self._retained}, {})

    def _apply(self, found: Sequence[Change], outside: Mapping[str, str], built: Mapping[str, Known]) -> None:
        if not self._request.is_dry_run:
            self._writer.write(found, local_now(), outside, built)
            self._stored.add(found)
        for change in found:
            self._summary.words[change.word] += 1
            if isinstance(change, Rehash):
                self._summary.rehashed += 1
            else:
                self._observers.change(change.person_id, change.word)

    def _note(self, issues: Sequence[Issue]) -> None:
        for issue in issues:
            self._summary.issues[issue.rule] += 1
            self._observers.issue(issue)


def local_now() -> datetime:
    """Return the time for `last_updated`: the local one, without a zone, to the millisecond (staging table 2)."""
    now = datetime.now()  # noqa: DTZ005 - the column holds local time
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def meaning_of(text: str) -> bytes | None:
    """Return the hash of what a stored payload means; None where it is not a JSON object."""
    payload = _parsed(text)
    return None if payload is None else meaning_hash(without_nulls(payload))


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise Interrupted("Stopped by a signal; what was staged is kept, and the next staging completes it.")
