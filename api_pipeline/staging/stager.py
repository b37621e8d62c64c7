"""One staging: see who is in the cohort, stop if the SSD looks half loaded, then build, compare and write.

Nothing at all may be written before it is known how many rows would be deleted. So everybody is looked at first
(`first_look`).

A payload is not built again where what it was built from is what it was (`sources`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from api_pipeline.db import in_chunks
from api_pipeline.model import ElementPath
from api_pipeline.payloads.content import without_nulls
from api_pipeline.payloads.retained import paths_in, paths_text
from api_pipeline.staging import changes, sources
from api_pipeline.staging.changes import Change, Insert, ReceiverState, Rehash, Restore, Update, Word
from api_pipeline.staging.chunk import Builder, Chunk, is_still_there
from api_pipeline.staging.first_look import PEOPLE_IN_A_CHUNK, ROWS_IN_A_CHUNK, FirstLook, go_on, parsed, refusal
from api_pipeline.staging.issues import Issue
from api_pipeline.staging.meaning import meaning_hash
from api_pipeline.staging.outcome import StageSummary, StagingObservers
from api_pipeline.staging.program import program_hash
from api_pipeline.staging.reader import Reader
from api_pipeline.staging.request import StageRequest
from api_pipeline.staging.sources import Known
from api_pipeline.staging.stored import Stored
from api_pipeline.staging.writer import Head, Writer


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
        self._look = FirstLook(reader, writer, request, summary, observers, self._build)
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
        leaving = self._look.leaving(people, self._heads, stop)
        self._summary.refusal = refusal(self._reader, self._writer, self._request, self._heads, self._look, leaving)
        if self._summary.refusal is not None and not self._request.is_dry_run:
            raise self._summary.refusal
        seen: set[str] = set()
        for ids in self._reader.chunks(people, PEOPLE_IN_A_CHUNK):
            go_on(stop)
            seen.update(self._stage(self._look.take(ids)))
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
        return self._builder.chunk(self._reader.read(people))

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
        doubtful: dict[int, str] = {}
        outside: dict[str, str] = {}
        for person, version in sorted(chunk.versions.items()):
            heads = self._heads.get(person)
            if heads is None:
                found.append(Insert(person, version))
                continue
            is_noted = is_still_there(self._retained.get(person), self._outside(chunk, person))
            for head in heads:
                if head.is_deleted or not (is_noted and changes.is_same(head.hash, version)):
                    doubtful[head.id] = person
                else:
                    self._summary.words[Word.UNCHANGED] += 1
        self._look_at_new(chunk, outside)
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

    def _look_at_new(self, chunk: Chunk, outside: dict[str, str]) -> None:
        """Note what the receiver holds outside the window of people whose rows were taken out of the table."""
        new = [person for person in chunk.versions if person not in self._heads]
        asked = [person for person in new if self._outside(chunk, person) or person in self._retained]
        for person, held in self._writer.known_of_new(asked).items():
            self._record_outside(outside, person, self._outside(chunk, person), held)

    def _outside(self, chunk: Chunk, person: str) -> Collection[ElementPath]:
        """Return what left a person's window and is kept at the receiver."""
        return chunk.outside[person] if self._request.keeps_retained else ()

    def _record_outside(
        self, outside: dict[str, str], person: str, parts: Collection[ElementPath], held: ReceiverState
    ) -> None:
        """Note which of the parts outside the window the receiver holds, or may hold where that is not sure."""
        payload = None if held.payload is None else parsed(held.payload)
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
        rows = [(head.id, person) for person in people for head in self._heads[person] if not head.is_deleted]
        for part in in_chunks(rows, ROWS_IN_A_CHUNK):
            go_on(stop)
            known = self._writer.known(dict(part))
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
    payload = parsed(text)
    return None if payload is None else meaning_hash(without_nulls(payload))
