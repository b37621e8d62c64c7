"""What a chunk of people comes to: who is in the cohort, and the payloads of those whose sources changed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from api_pipeline.model import ElementPath
from api_pipeline.payloads.retained import read_paths
from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import sources
from api_pipeline.staging.build import Withheld, build_payload
from api_pipeline.staging.changes import Version
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.issues import Issue
from api_pipeline.staging.meaning import meaning_hash, payload_text
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.sources import Known
from api_pipeline.staging.staged import Head
from api_pipeline.staging.window import Window

# What the rest of a person's entry takes besides the text, roughly, in characters.
_OVERHEAD = 500


@dataclass(frozen=True, slots=True)
class BuiltFrom:
    """What a payload that was just built came from; the members are those of `sources.Known`."""

    rows_hash: bytes
    last_day: date
    issues: str | None


@dataclass(slots=True)
class Chunk:
    """A chunk of people, not yet compared with the table.

    `cohort` are the people who are in, `same` those of them whose staged payload was built from what is there now,
    `withheld` those whose record cannot be sent. The others have a version; `outside` is what left their window, and
    `sources` what they were built from, where that can be said.
    """

    cohort: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    withheld: int = 0
    versions: dict[str, Version] = field(default_factory=dict)
    outside: dict[str, frozenset[ElementPath]] = field(default_factory=dict)
    sources: dict[str, BuiltFrom] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return about how many characters it holds in memory."""
        return sum(len(version.text) + _OVERHEAD for version in self.versions.values()) + _OVERHEAD * len(self.issues)


@dataclass(frozen=True, slots=True)
class Builder:
    """Build chunks of people. `context` is their `sources.context_hash`, None where nothing is kept of what was built.

    By person: `heads` are the rows of the staging table, `retained` what is recorded as retained, and `known` what the
    staged payload was built from.
    """

    window: Window
    settings: StagingSettings
    context: bytes | None
    heads: Mapping[str, Sequence[Head]]
    retained: Mapping[str, str]
    known: Mapping[str, Known]

    def chunk(self, everybody: Iterable[PersonRows]) -> Chunk:
        """Return what a chunk of people comes to."""
        chunk = Chunk()
        for rows in everybody:
            self._add(chunk, rows)
        return chunk

    def is_in(self, rows: PersonRows) -> bool:
        """Return whether a person is in the cohort."""
        return eligibility(rows, self.window, self.settings).is_in

    def _add(self, chunk: Chunk, rows: PersonRows) -> None:
        person = rows.person.person_id
        # Nothing is known of people who were never staged, so their rows need no hash.
        hashed = self._hash(rows) if person in self.known else None
        if hashed is not None and (known := self._same(person, hashed)) is not None:
            chunk.cohort.append(person)
            chunk.same.append(person)
            chunk.issues.extend(sources.read_issues(known.issues, person))
            return
        found = eligibility(rows, self.window, self.settings)
        chunk.issues.extend(found.issues)
        if not found.is_in:
            return
        chunk.cohort.append(person)
        built = build_payload(rows, self.window, self.settings)
        chunk.issues.extend(built.issues)
        if isinstance(built, Withheld):
            chunk.withheld += 1
            return
        payload = built.payload
        chunk.versions[person] = Version(payload_text(payload), meaning_hash(payload), payload.get("mis_child_id"))
        chunk.outside[person] = built.outside
        hashed = hashed or self._hash(rows)
        if hashed is not None:
            said = sources.issues_text((*found.issues, *built.issues))
            chunk.sources[person] = BuiltFrom(hashed, sources.last_day_alike(rows, self.window), said)

    def _hash(self, rows: PersonRows) -> bytes | None:
        return None if self.context is None else sources.rows_hash(self.context, rows)

    def _same(self, person: str, rows_hash: bytes) -> Known | None:
        """Return what is known of a person whose staged payload stays: built from the same, and still staged."""
        known, heads = self.known.get(person), self.heads.get(person)
        if known is None or not heads:
            return None
        staged = heads[0].hash
        if staged is None or any(head.is_deleted or head.hash != staged for head in heads):
            return None
        whole = sources.source_hash(rows_hash, self.retained.get(person), staged)
        return known if known.holds(whole, self.window.run_date) else None


def is_still_there(retained: str | None, outside: Collection[ElementPath]) -> bool:
    """Return whether all that is recorded as retained still is in the SSD; what is not has to be purged now."""
    return retained is None or all(path in outside for path in read_paths(retained))
