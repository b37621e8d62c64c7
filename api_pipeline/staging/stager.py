"""One staging: see who is in the cohort, stop if the SSD looks half loaded, then build, compare and write.

Nothing at all may be written before it is known how many rows would be deleted. So everybody is looked at first
(`first_look`). A payload is not built again while what it was built from stays the same (`sources`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from api_pipeline.db import in_chunks
from api_pipeline.model import ElementPath
from api_pipeline.payloads.retained import paths_in, paths_text
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import changes, sources
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.changes import Change, Insert, ReceiverState, Rehash, Update, Word
from api_pipeline.staging.chunk import Builder, Chunk, is_still_there
from api_pipeline.staging.first_look import PEOPLE_IN_A_CHUNK, ROWS_IN_A_CHUNK, FirstLook, go_on
from api_pipeline.staging.meaning import parsed
from api_pipeline.staging.outcome import StageSummary, StagingObservers
from api_pipeline.staging.reader import Reader
from api_pipeline.staging.rows import as_named, as_staged
from api_pipeline.staging.sources import Known
from api_pipeline.staging.staged import Head, Staged
from api_pipeline.staging.window import window_for
from api_pipeline.staging.writer import Writer


class Stager:
    """Do one staging. `execute` may be called once."""

    def __init__(
        self,
        reader: Reader,
        staged: Staged,
        settings: StagingSettings,
        call: StageCall,
        summary: StageSummary,
        observers: StagingObservers,
    ) -> None:
        self._reader = reader
        self._staged = staged
        self._writer = Writer(staged)
        self._settings = settings
        self._call = call
        self._window = window_for(call.as_of, settings.cohort_months_back, settings.cohort_year_start_month)
        self._summary = summary
        self._observers = observers
        # By person: the rows that are staged, what is recorded as retained, and what the payload was built from.
        self._heads: dict[str, list[Head]] = {}
        self._retained: dict[str, str] = {}
        self._known: dict[str, Known] = {}
        # The people for whom it is recorded, or stays recorded, what their payload was built from.
        self._recorded: set[str] = set()

    def execute(self, stop: threading.Event) -> None:
        """Stage everybody; a dry run only counts, and puts into the summary why a staging would stop.

        At the end the rows are read again: what was staged is what the table says, or this is an error.
        Errors: DatabaseError, guard.StagingRefused, Interrupted (after the chunk under way).
        """
        started = time.monotonic()
        self._reader.check()
        people = self._reader.person_ids()
        self._summary.people = len(people)
        self._heads = self._staged.heads()
        self._reader.names = as_staged(people, self._heads)
        names = {*map(self._reader.name_of, people), *self._heads}
        self._retained = as_named(self._staged.retained(), names)
        builder = self._builder(names)
        look = FirstLook(self._reader, self._staged, self._settings, self._call, self._heads, builder)
        leaving = look.leaving(people, stop, self._looked_at)
        self._summary.kept = look.kept
        self._summary.refusal = look.refusal(leaving)
        if self._summary.refusal is not None and not self._call.is_dry_run:
            raise self._summary.refusal
        seen: set[str] = set()
        for ids in self._reader.chunks(people, PEOPLE_IN_A_CHUNK):
            go_on(stop)
            if not look.has_looked:
                self._summary.looked_at += len(ids)
            seen.update(self._stage(look.take(ids)))
            self._summary.seconds = time.monotonic() - started
            self._observers.progress(self._summary)
        self._delete([person for person in leaving if person not in seen], stop)
        if not self._call.is_dry_run:
            self._forget(people)
            self._writer.check_stored(self._staged.heads())
        self._summary.seconds = time.monotonic() - started

    def _builder(self, names: Collection[str]) -> Builder:
        context = None
        if self._staged.keeps_built():
            self._known = as_named(self._staged.built(), names)
            context = sources.context_hash(self._window, self._settings, sources.program_hash(), self._summary.table)
        return Builder(self._window, self._settings, context, self._heads, self._retained, self._known)

    def _looked_at(self, people: int) -> None:
        self._summary.looked_at += people
        self._observers.progress(self._summary)

    def _stage(self, chunk: Chunk) -> list[str]:
        """Stage one chunk of people and return those who are in the cohort."""
        for issue in chunk.issues:
            self._summary.issues[issue.rule] += 1
            self._observers.issue(issue)
        self._summary.withheld += chunk.withheld
        self._summary.cohort += len(chunk.cohort)
        self._summary.words[Word.UNCHANGED] += sum(len(self._heads[person]) for person in chunk.same)
        self._recorded.update(chunk.same)
        retained = self._retained_of_new(chunk)
        found = self._changes(chunk, retained)
        self._apply(found, retained, self._sources(chunk, retained))
        return chunk.cohort

    def _changes(self, chunk: Chunk, retained: dict[str, str]) -> list[Change]:
        """Return what a chunk changes in the table, and put into `retained` what is recorded anew, by person."""
        found: list[Change] = []
        doubtful: dict[int, str] = {}
        for person, version in sorted(chunk.versions.items()):
            if person not in self._heads:
                found.append(Insert(person, version))
                continue
            stays = self._stays_retained(chunk, person)
            for head in self._heads[person]:
                if stays and not head.is_deleted and head.hash == version.hash:
                    self._summary.words[Word.UNCHANGED] += 1
                else:
                    doubtful[head.id] = person
        for row, held in self._staged.known(doubtful):
            person, version = row.person_id, chunk.versions[row.person_id]
            change = changes.present(row, version, held)
            if not isinstance(change, Update) and not self._stays_retained(chunk, person):
                change = changes.repeated(row, version, held)
            if change is None:
                self._summary.words[Word.UNCHANGED] += 1
                continue
            found.append(change)
            if isinstance(change, Update):
                self._retain(retained, chunk, person, held)
        return found

    def _retained_of_new(self, chunk: Chunk) -> dict[str, str]:
        """Return what the receiver holds outside the window of people whose rows were taken out of the table."""
        retained: dict[str, str] = {}
        new = [person for person in chunk.versions if person not in self._heads]
        asked = [person for person in new if self._outside(chunk, person) or person in self._retained]
        for person, held in self._staged.known_of_new(asked).items():
            self._retain(retained, chunk, person, held)
        return retained

    def _outside(self, chunk: Chunk, person: str) -> Collection[ElementPath]:
        """Return what left a person's window and is kept at the receiver."""
        return () if self._settings.purge_left_window else chunk.outside[person]

    def _stays_retained(self, chunk: Chunk, person: str) -> bool:
        return is_still_there(self._retained.get(person), self._outside(chunk, person))

    def _retain(self, retained: dict[str, str], chunk: Chunk, person: str, held: ReceiverState) -> None:
        """Record which parts outside a person's window the receiver holds, or may hold where that is not sure."""
        kept = set(self._outside(chunk, person)) if held.is_held else set()
        payload = None if held.payload is None else parsed(held.payload)
        if payload is not None:
            kept &= paths_in(payload)
        text = paths_text(kept) if kept else ""
        if text != self._retained.get(person, ""):
            retained[person] = text

    def _sources(self, chunk: Chunk, retained_now: Mapping[str, str]) -> dict[str, Known]:
        """Return what is to be recorded of a chunk's people: what their payloads, as they are staged now, came from."""
        found: dict[str, Known] = {}
        for person, source in chunk.sources.items():
            retained = retained_now.get(person, self._retained.get(person)) or None
            if not is_still_there(retained, self._outside(chunk, person)):
                continue
            whole = sources.source_hash(source.rows_hash, retained, chunk.versions[person].hash)
            known = Known(whole, self._call.as_of, source.last_day, source.issues)
            self._recorded.add(person)
            if known != self._known.get(person):
                found[person] = known
        return found

    def _forget(self, people: Sequence[str]) -> None:
        """Take out what is recorded of people who were looked at, or are gone, and are not staged any more."""
        only = self._settings.cohort_person_ids
        gone = self._known.keys() - self._recorded
        self._writer.delete_built(sorted(gone & {*only, *map(self._reader.name_of, people)} if only else gone))

    def _delete(self, people: Sequence[str], stop: threading.Event) -> None:
        rows = [(head.id, person) for person in people for head in self._heads[person] if not head.is_deleted]
        for part in in_chunks(rows, ROWS_IN_A_CHUNK):
            go_on(stop)
            known = self._staged.known(dict(part))
            found = [change for row, held in known if (change := changes.absent(row, held)) is not None]
            self._apply(found, {change.person_id: "" for change in found if change.person_id in self._retained}, {})

    def _apply(self, found: Sequence[Change], retained: Mapping[str, str], built: Mapping[str, Known]) -> None:
        if not self._call.is_dry_run:
            self._writer.write(found, local_now(), retained, built)
        for change in found:
            self._summary.words[change.word] += 1
            if isinstance(change, Rehash):
                self._summary.rehashed += 1
            else:
                self._observers.change(change.person_id, change.word)


def local_now() -> datetime:
    """Return the time for `last_updated`: the local one, without a zone, to the millisecond (staging table 2)."""
    now = datetime.now()  # noqa: DTZ005 - the column holds local time
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
