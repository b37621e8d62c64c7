"""The tables of the Single Data Return: what is staged, what TEC holds, and how the submission stands.

No transaction is open while a request is under way: each method is one statement, or one transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from api_pipeline.common.clock import latest_start, stored_time, utc_now
from api_pipeline.db import Row, check_ids_whole, pages_by_id, unless_refused
from api_pipeline.errors import DatabaseError
from api_pipeline.sdr.nouns import Collection, ReturnPeriod, State, SubmissionToken
from api_pipeline.sdr.results import Results
from api_pipeline.sdr.statements import Scope

PAGE = 1000
# The command that makes the tables.
TABLE_MAKER = "d2i-csc-api sdr deploy-schema --apply"


class PageRow(NamedTuple):
    """A staged row beside what TEC holds of it: the hash, None for in doubt, or nothing (`is_held` false).

    A tuple because a million of them are made in an idle run, each in a quarter of a dataclass's time.
    """

    row_id: int
    local_id: str
    payload: str
    held_hash: bytes | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """How the submission of a period stands, as the table has it. Times have a zone."""

    token: SubmissionToken | None
    state: State
    tec_status: str
    declined_code: str
    declined_reason: str
    validation_received: str
    validation_errors: int | None
    validation_warnings: int | None
    updated: datetime | None


class Store(Results):
    """One connection's view of the six tables."""

    def check(self) -> None:
        """Look whether the tables are there. Errors: DatabaseError, with what to do."""
        if unless_refused(lambda: self.query("probe_tables", ())) is None:
            raise DatabaseError(
                f"The tables of the Single Data Return are not there or cannot be read ({self.tables.staging} and "
                "those beside it); check SDR_TABLE_NAME, or make them with: d2i-csc-api sdr deploy-schema --apply"
            )
        check_ids_whole(self.tables.staging, self.query("read_outermost_ids", ()))

    def pages(self, scope: Scope, collection: Collection) -> Iterator[list[PageRow]]:
        """Yield the staged rows of a collection in pages, each beside what TEC holds of it."""
        for rows in self.pages_of("read_staged", collection):
            keys = [_text(row[1]) for row in rows]
            held = self._held(scope, collection, keys)
            yield [
                PageRow(row[0], key, _text(row[2]), held.get(key), key in held)
                for key, row in zip(keys, rows, strict=True)
            ]

    def pages_of(self, name: str, collection: Collection) -> Iterator[list[Row]]:
        """Yield the pages of a collection's staged rows by their ids, as a named statement reads them."""
        page = self.connection.page(PAGE)["page"]
        yield from pages_by_id(
            self.connection,
            lambda after: self.sql(name, after=after, page=page),
            self.tables.staging,
            [collection.value],
        )

    def _held(self, scope: Scope, collection: Collection, keys: Sequence[str]) -> dict[str, bytes | None]:
        rows = self.query("read_held", [*scope.key, collection.value, keys])
        return {str(row[0]): _bytes(row[1]) for row in rows}

    def staged(self, collection: Collection) -> Iterator[tuple[str, str]]:
        """Yield id and payload of each staged record of a collection."""
        for rows in self.pages_of("read_staged", collection):
            for _, local_id, payload in rows:
                yield _text(local_id), _text(payload)

    def repeated(self, collection: Collection) -> frozenset[str]:
        """Return the ids that are staged more than once in a collection."""
        return frozenset(_text(row[0]) for row in self.query("read_repeated", [collection.value]))

    def count_staged(self) -> dict[str, int]:
        """Return how many records are staged of each collection, also of words that are none."""
        return {str(row[0]): int(row[1]) for row in self.query("count_staged", ())}

    def count_held(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Return for each collection how many records TEC holds, and how many of these are in doubt."""
        return {str(row[0]): (int(row[1]), int(row[2] or 0)) for row in self.query("count_held", scope.key)}

    def count_vanished(self, scope: Scope) -> dict[str, int]:
        """Return for each collection how many records TEC holds that nobody stages any more."""
        return {str(row[0]): int(row[1]) for row in self.query("count_vanished", scope.key)}

    def count_vanished_refused(self, scope: Scope, run_id: str) -> dict[str, int]:
        """Return for each collection how many of those TEC only ever refused, so that it holds none of them.

        Of an earlier run than `run_id` that was killed, or lost the database, it is not known what TEC took: none then.
        """
        return {str(row[0]): int(row[1]) for row in self.query("count_vanished_refused", [*scope.key, run_id])}

    def count_refused(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Return for each collection how many staged records TEC refused, and of how many it may hold an older form."""
        return {str(row[0]): (int(row[1]), int(row[2] or 0)) for row in self.query("count_refused", scope.key)}

    def vanished(self, scope: Scope, collection: Collection) -> Iterator[list[str]]:
        """Yield the ids that TEC holds and nobody stages any more, in pages."""
        last = ""
        page = self.connection.page(PAGE)["page"]
        while rows := self.query("read_vanished", [*scope.key, collection.value, last], page=page):
            keys = [str(row[0]) for row in rows]
            if last in keys:
                raise DatabaseError(
                    f"The ids of records in {self.tables.held} cannot be read page by page: the ODBC driver or the "
                    "database gives one of them in another form than it compares; check the driver's character set."
                )
            yield keys
            last = keys[-1]

    def mark_period_in_doubt(self, scope: Scope, token: SubmissionToken) -> None:
        """Store a token that differs from the one before, and doubt all that was held under that one."""
        now = utc_now()
        with self.connection.transaction():
            self.execute("mark_period_in_doubt", [now, *scope.key])
            self._update_token(scope, token, now)

    def store_token(self, scope: Scope, token: SubmissionToken) -> None:
        """Store a token under which TEC still holds everything that it held."""
        self._update_token(scope, token, utc_now())

    def forget_period(self, scope: Scope) -> None:
        """Forget what is held and the token, after a reset."""
        now = utc_now()
        with self.connection.transaction():
            self.execute("forget_period", scope.key)
            self.execute("update_token", [None, None, None, None, now, *scope.key])
            self.execute("update_state", [State.CANCELLED.value, "", now, *scope.key])

    def begin(self, scope: Scope, period: ReturnPeriod) -> Submission:
        """Return how the submission stands; begins its entry where there is none."""
        found = self.submission(scope)
        if found is None:
            self.execute("insert_submission", [*scope.key, period.year, period.month, utc_now()])
            found = self.submission(scope)
        if found is None:
            raise DatabaseError("The entry of the submission was written and cannot be read; check the database.")
        return found

    def submission(self, scope: Scope) -> Submission | None:
        """Return how the submission of a period stands, None where nothing was ever begun."""
        rows = self.query("read_submission", scope.key)
        if not rows:
            return None
        value, expiry, received, limit, state, word, code, reason, run, errors, warnings, updated = rows[0]
        token = None
        if value:
            got = as_time(received) or datetime.now(timezone.utc)
            token = SubmissionToken(str(value), scope.return_id, got, as_time(expiry), limit)
        return Submission(
            token,
            State(str(state).strip()),
            str(word or ""),
            str(code or ""),
            str(reason or ""),
            str(run or ""),
            errors,
            warnings,
            as_time(updated),
        )

    def periods(self, receiver: str) -> list[ReturnPeriod]:
        """Return the periods that were ever begun at a receiver, the newest first."""
        return [ReturnPeriod(int(row[0]), row[1], row[2]) for row in self.query("read_submissions", [receiver])]

    def set_state(self, scope: Scope, state: State, word: str) -> None:
        """Write how TEC says that the submission stands."""
        self.execute("update_state", [state.value, word, utc_now(), *scope.key])

    def set_declined(self, scope: Scope, code: str, reason: str) -> None:
        """Write why TEC declined a token request."""
        self.execute("update_declined", [code, reason, utc_now(), *scope.key])

    def insert_run(self, run_id: str, scope: Scope, mode: str, command: str) -> None:
        """Open a run's entry in the journal."""
        self.execute("insert_run", [run_id, *scope.key, mode, command, utc_now()])

    def finish_run(self, run_id: str, counts: Sequence[int], exit_code: int, message: str | None) -> None:
        """Close a run's entry; `counts` are accepted, deleted, refused, undelivered, unchanged and requests."""
        self.execute("finish_run", [utc_now(), *counts, exit_code, message, run_id])

    def runs(self, scope: Scope, count: int = 5) -> list[Row]:
        """Return the last runs of a period, the newest first."""
        return self.query("read_runs", [*scope.key, latest_start()], page=self.connection.page(count)["page"])

    def _update_token(self, scope: Scope, token: SubmissionToken, now: datetime) -> None:
        self.execute("update_token", [token.value, token.expiry, token.received, token.limit, now, *scope.key])


def as_time(value: object) -> datetime | None:
    """Return a time of the tables with its zone, which is UTC; SQLite keeps it as text."""
    moment = stored_time(value)
    return moment.replace(tzinfo=timezone.utc) if isinstance(moment, datetime) else None


def _text(value: object) -> str:
    # A staging table of the provider's own may have nulls.
    return "" if value is None else str(value)


def _bytes(value: Any) -> bytes | None:
    return bytes(value) if value is not None else None
