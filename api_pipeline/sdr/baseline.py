"""The baseline: what TEC holds, as hashes, with the words and the audit trail that belong to each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from api_pipeline.common.clock import utc_now
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.statements import Scope, Statements, in_parts


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A record of a request, for the audit trail."""

    local_id: str
    digest: bytes | None
    outcome: str
    answer: str


@dataclass(frozen=True, slots=True)
class RunLog:
    """What a request adds to the audit trail; `word` is what is written to accepted rows (sent, testing)."""

    run_id: str
    batch: int
    kind: str
    word: str
    entries: Sequence[LogEntry]


@dataclass(frozen=True, slots=True)
class Taken:
    """Records of a collection that TEC took: their hashes by local id, their rows, and what goes to the audit trail.

    A row is its id in the staging table and its record's.
    """

    collection: Collection
    digests: Mapping[str, bytes]
    rows: Sequence[tuple[int, str]]
    run: RunLog


@dataclass(frozen=True, slots=True)
class Gone:
    """Records of a collection whose delete TEC accepted, by local id, and what goes to the audit trail."""

    collection: Collection
    keys: Sequence[str]
    run: RunLog


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Records of a collection that stay in doubt, because TEC gave no outcome for them: they go to the audit trail."""

    collection: Collection
    run: RunLog


Outcome: TypeAlias = "Taken | Gone | Unanswered"


class Baseline(Statements):
    """What is written before and after each request, each time in one transaction."""

    def put_in_doubt(
        self,
        scope: Scope,
        collection: Collection,
        held: Sequence[str],
        new: Sequence[str],
        outcomes: Sequence[Outcome] = (),
    ) -> None:
        """Write down, before a request, that what TEC holds of these records is in doubt.

        In the same transaction, because each is a round trip and a write to the disk, go the `outcomes` of earlier
        requests.
        """
        now = utc_now()
        with self.connection.transaction():
            for one in outcomes:
                self._write(scope, one, now)
            for part in in_parts(held, 1):
                self.execute("mark_in_doubt", [now, *scope.key, collection.value, part])
            for part in in_parts(new, 1):
                self._with_rows(
                    "insert_in_doubt", [*scope.key, collection.value, now], (str,), [(key,) for key in part]
                )

    def write(self, scope: Scope, outcomes: Sequence[Outcome]) -> None:
        """Write down, after answers, what TEC holds; mark the rows, and add to the audit trail."""
        now = utc_now()
        with self.connection.transaction():
            for one in outcomes:
                self._write(scope, one, now)

    def _write(self, scope: Scope, outcome: Outcome, now: datetime) -> None:
        if isinstance(outcome, Taken):
            self._forget(scope, outcome.collection, list(outcome.digests))
            for part in in_parts(list(outcome.digests.items()), 2):
                self._with_rows("insert_held", [*scope.key, outcome.collection.value, now], (str, bytes), part)
            self._mark(outcome.collection, outcome.rows, outcome.run.word, "", scope, now)
            sent = [(local_id, digest.hex()) for local_id, digest in outcome.digests.items()]
            self._log_alike(scope, outcome.collection, outcome.run, ("accepted", ""), sent, now)
            return
        if isinstance(outcome, Gone):
            self._forget(scope, outcome.collection, outcome.keys)
        self._log(scope, outcome.collection, outcome.run, now)

    def refuse(
        self, scope: Scope, collection: Collection, refused: Sequence[tuple[int, str, str]], run: RunLog
    ) -> None:
        """Mark rows that were refused, each by its id and its record's with a reason, and add to the audit trail.

        They stay in doubt.
        """
        now = utc_now()
        by_reason: dict[str, list[tuple[int, str]]] = {}
        for row_id, local_id, reason in refused:
            by_reason.setdefault(reason, []).append((row_id, local_id))
        with self.connection.transaction():
            for reason, rows in by_reason.items():
                self._mark(collection, rows, "error", reason, scope, now)
            self._log(scope, collection, run, now)

    def log(self, scope: Scope, collection: Collection, run: RunLog) -> None:
        """Add to the audit trail alone."""
        with self.connection.transaction():
            self._log(scope, collection, run, utc_now())

    def _forget(self, scope: Scope, collection: Collection, keys: Sequence[str]) -> None:
        for part in in_parts(keys, 1):
            self.execute("forget_held", [*scope.key, collection.value, part])

    def _mark(
        self,
        collection: Collection,
        rows: Sequence[tuple[int, str]],
        word: str,
        answer: str,
        scope: Scope,
        now: datetime,
    ) -> None:
        for part in in_parts(rows, 2):
            ids, keys = [row_id for row_id, _ in part], [local_id for _, local_id in part]
            values = [word, now, answer or None, scope.return_id, ids, collection.value, keys]
            self.execute("mark_staged", values)

    def _log(self, scope: Scope, collection: Collection, run: RunLog, now: datetime) -> None:
        alike: dict[tuple[str, str], list[tuple[str, str | None]]] = {}
        for one in run.entries:
            digest = one.digest.hex() if one.digest else None
            alike.setdefault((one.outcome, one.answer), []).append((one.local_id, digest))
        for said, rows in alike.items():
            self._log_alike(scope, collection, run, said, rows, now)

    def _log_alike(
        self,
        scope: Scope,
        collection: Collection,
        run: RunLog,
        said: tuple[str, str],
        rows: Sequence[tuple[str, str | None]],
        now: datetime,
    ) -> None:
        outcome, answer = said
        same = [run.run_id, run.batch, scope.return_id, collection.value, run.kind, outcome, answer or None, now]
        for part in in_parts(rows, 2):
            self._with_rows("log_records", same, (str, str), part)
