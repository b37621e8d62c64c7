"""The tables of the Single Data Return: what is staged, what TEC holds, and how the submission stands.

No transaction is open while a request is under way: each method is one statement, or one transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from api_pipeline.db import Connection, given_numbers, given_rows, given_texts, parts_of
from api_pipeline.errors import DatabaseError
from api_pipeline.sdr.nouns import Collection, ReturnPeriod, State, SubmissionToken, TecFinding
from api_pipeline.sdr.schema import Tables
from api_pipeline.sql.statements import load, placeholders

PAGE = 1000
_MOST_PARAMETERS = 2000
_FILE = "sdr_queries.sql"
# The command that makes the tables.
TABLE_MAKER = "d2i-csc-api sdr deploy-schema --apply"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a submission is about: a receiver (address and EDUMIS number) and a return period."""

    receiver: str
    return_id: int

    @property
    def key(self) -> tuple[str, int]:
        """The parameters by which the tables know it."""
        return self.receiver, self.return_id


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


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A record of a request, for the audit trail."""

    local_id: str
    digest: bytes | None
    outcome: str
    answer: str


def utc_now() -> datetime:
    """Return the time for the tables: UTC, without a zone, to the millisecond."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Store:
    """One connection's view of the six tables."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self.connection = connection
        self.tables = tables
        self._exact = connection.page(0)["exact"]

    def check(self) -> None:
        """Look whether the tables are there. Errors: DatabaseError, with what to do."""
        try:
            self._query("probe_tables", ())
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            raise DatabaseError(
                f"The tables of the Single Data Return are not there or cannot be read ({self.tables.staging} and "
                "those beside it); check SDR_TABLE_NAME, or make them with: d2i-csc-api sdr deploy-schema --apply"
            ) from None

    def pages(self, scope: Scope, collection: Collection) -> Iterator[list[PageRow]]:
        """Yield the staged rows of a collection in pages, each beside what TEC holds of it."""
        last = -(2**63)
        sql = self._sql("read_staged", **self.connection.page(PAGE))
        while rows := self.connection.query(sql, [collection.value, last]):
            keys = [str(row[1]) for row in rows]
            held = self._held(scope, collection, keys)
            yield [
                PageRow(row[0], key, str(row[2]), held.get(key), key in held)
                for key, row in zip(keys, rows, strict=True)
            ]
            last = int(rows[-1][0])

    def _held(self, scope: Scope, collection: Collection, keys: Sequence[str]) -> dict[str, bytes | None]:
        among, given = given_texts(self.connection.dialect, keys)
        rows = self._query("read_held", [*scope.key, collection.value, *given], keys=among)
        return {str(row[0]): _bytes(row[1]) for row in rows}

    def staged(self, collection: Collection) -> Iterator[tuple[str, str]]:
        """Yield id and payload of each staged record of a collection."""
        last = -(2**63)
        sql = self._sql("read_staged", **self.connection.page(PAGE))
        while rows := self.connection.query(sql, [collection.value, last]):
            for _, local_id, payload in rows:
                yield str(local_id), str(payload)
            last = int(rows[-1][0])

    def count_staged(self) -> dict[str, int]:
        """Return how many records are staged of each collection, also of words that are none."""
        return {str(row[0]): int(row[1]) for row in self._query("count_staged", ())}

    def count_held(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Return for each collection how many records TEC holds, and how many of these are in doubt."""
        return {str(row[0]): (int(row[1]), int(row[2] or 0)) for row in self._query("count_held", scope.key)}

    def count_vanished(self, scope: Scope) -> dict[str, int]:
        """Return for each collection how many records TEC holds that nobody stages any more."""
        return {str(row[0]): int(row[1]) for row in self._query("count_vanished", scope.key)}

    def count_older(self, scope: Scope) -> dict[str, int]:
        """Return for each collection how many refused records TEC may hold in an earlier version."""
        rows = self._query("count_older", [*scope.key, scope.return_id])
        return {str(row[0]): int(row[1]) for row in rows}

    def count_refused(self, scope: Scope) -> dict[str, int]:
        """Return for each collection how many staged records were refused for this period."""
        return {str(row[0]): int(row[1]) for row in self._query("count_status_words", [scope.return_id])}

    def vanished(self, scope: Scope, collection: Collection) -> Iterator[list[str]]:
        """Yield the ids that TEC holds and nobody stages any more, in pages."""
        last = ""
        sql = self._sql("read_vanished", **self.connection.page(PAGE))
        while rows := self.connection.query(sql, [*scope.key, collection.value, last]):
            yield [str(row[0]) for row in rows]
            last = str(rows[-1][0])

    def doubt(
        self,
        scope: Scope,
        collection: Collection,
        held: Sequence[str],
        new: Sequence[str],
        outcomes: Sequence[Taken | Gone] = (),
    ) -> None:
        """Write down, before a request, that what TEC holds of these records is in doubt.

        In the same transaction, because each is a round trip and a write to the disk, go the `outcomes` of earlier
        requests.
        """
        now = utc_now()
        with self.connection.transaction():
            for one in outcomes:
                self._write(scope, one, now)
            for part in _parts(held, 1):
                among, given = given_texts(self.connection.dialect, part)
                self._execute("doubt_held", [now, *scope.key, collection.value, *given], keys=among)
            for part in _parts(new, 1):
                self._with_rows("insert_doubt", [*scope.key, collection.value, now], (str,), [(key,) for key in part])

    def write(self, scope: Scope, outcomes: Sequence[Taken | Gone]) -> None:
        """Write down, after acceptances, what TEC holds; mark the rows, and add to the audit trail."""
        now = utc_now()
        with self.connection.transaction():
            for one in outcomes:
                self._write(scope, one, now)

    def _write(self, scope: Scope, outcome: Taken | Gone, now: datetime) -> None:
        if isinstance(outcome, Taken):
            self._forget(scope, outcome.collection, list(outcome.digests))
            for part in _parts(list(outcome.digests.items()), 2):
                self._with_rows("insert_held", [*scope.key, outcome.collection.value, now], (str, bytes), part)
            self._mark(outcome.rows, outcome.run.word, "", scope, now)
            sent = [(local_id, digest.hex()) for local_id, digest in outcome.digests.items()]
            self._log_alike(scope, outcome.collection, outcome.run, ("accepted", ""), sent, now)
        else:
            self._forget(scope, outcome.collection, outcome.keys)
            self._log(scope, outcome.collection, outcome.run, now)

    def refuse(self, scope: Scope, collection: Collection, refused: Sequence[tuple[int, str]], run: RunLog) -> None:
        """Mark rows that were refused, each with its reason, and add to the audit trail. They stay in doubt."""
        now = utc_now()
        by_reason: dict[str, list[int]] = {}
        for row_id, reason in refused:
            by_reason.setdefault(reason, []).append(row_id)
        with self.connection.transaction():
            for reason, ids in by_reason.items():
                self._mark(ids, "error", reason, scope, now)
            self._log(scope, collection, run, now)

    def log(self, scope: Scope, collection: Collection, run: RunLog) -> None:
        """Add to the audit trail alone."""
        with self.connection.transaction():
            self._log(scope, collection, run, utc_now())

    def doubt_period(self, scope: Scope, token: SubmissionToken) -> None:
        """Store a token that differs from the one before, and doubt all that was held under that one."""
        now = utc_now()
        with self.connection.transaction():
            self._execute("doubt_period", [now, *scope.key])
            self._update_token(scope, token, now)

    def store_token(self, scope: Scope, token: SubmissionToken) -> None:
        """Store a token under which everything that is held goes on being held."""
        self._update_token(scope, token, utc_now())

    def forget_period(self, scope: Scope) -> None:
        """Forget what is held and the token, after a reset."""
        now = utc_now()
        with self.connection.transaction():
            self._execute("forget_period", scope.key)
            self._execute("update_token", [None, None, None, None, now, *scope.key])
            self._execute("update_state", [State.CANCELLED.value, "", now, *scope.key])

    def begin(self, scope: Scope, period: ReturnPeriod) -> Submission:
        """Return how the submission stands; begins its entry where there is none."""
        found = self.submission(scope)
        if found is None:
            self._execute("insert_submission", [*scope.key, period.year, period.month, utc_now()])
            found = self.submission(scope)
        if found is None:
            raise DatabaseError("The entry of the submission was written and cannot be read; check the database.")
        return found

    def submission(self, scope: Scope) -> Submission | None:
        """Return how the submission of a period stands, None where nothing was ever begun."""
        rows = self._query("read_submission", scope.key)
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
        return [ReturnPeriod(int(row[0]), row[1], row[2]) for row in self._query("read_submissions", [receiver])]

    def set_state(self, scope: Scope, state: State, word: str) -> None:
        """Write how TEC says that the submission stands."""
        self._execute("update_state", [state.value, word, utc_now(), *scope.key])

    def set_declined(self, scope: Scope, code: str, reason: str) -> None:
        """Write why TEC declined a token request."""
        self._execute("update_declined", [code, reason, utc_now(), *scope.key])

    def store_findings(self, scope: Scope, run: str, findings: Sequence[TecFinding]) -> None:
        """Store the results of a validation whole, and mark the staged records that they name."""
        rows = [
            (
                *scope.key,
                run,
                one.number,
                one.collection.value if one.collection else None,
                one.local_id,
                one.code,
                one.kind,
                one.description,
                one.student_id,
                one.course_code,
                one.record_text,
            )
            for one in findings
        ]
        errors = sum(one.is_error for one in findings)
        with self.connection.transaction():
            self._execute("delete_results", [*scope.key, run])
            self._insert("insert_results", rows)
            self._execute("update_validation", [run, errors, len(findings) - errors, utc_now(), *scope.key])
            self._execute("clear_validation_marks", ())
            self._mark_validated(scope, findings)

    def _mark_validated(self, scope: Scope, findings: Sequence[TecFinding]) -> None:
        marks: dict[str, dict[str, list[TecFinding]]] = {}
        for one in findings:
            if one.collection and one.local_id is not None:
                marks.setdefault(one.collection.value, {}).setdefault(one.local_id, []).append(one)
        dialect = self.connection.dialect
        for collection, found in marks.items():
            rows = [(local_id, *_marks_of(here)) for local_id, here in found.items()]
            for part in parts_of(dialect, rows, 5, beside=2):
                table, given = given_rows(dialect, (str, int, int, str), part)
                among, keys = given_texts(dialect, [row[0] for row in part])
                values = [scope.return_id, *given, collection, *keys]
                self._execute("mark_validated", values, rows=table, keys=among)

    def findings(self, scope: Scope, run: str) -> list[TecFinding]:
        """Return the stored results of a validation, in TEC's order."""
        return [_finding(row) for row in self._query("read_results", [*scope.key, run])]

    def validations(self, scope: Scope) -> list[tuple[str, int, int]]:
        """Return the stored validations of a period with errors and warnings, the oldest first."""
        rows = self._query("read_validation_runs", scope.key)
        return [(str(row[0]), int(row[1] or 0), int(row[2] or 0)) for row in rows]

    def utc_text(self) -> str:
        """Return the time as a validation is called whose time TEC does not give."""
        return datetime.now(timezone.utc).isoformat(timespec="seconds")

    def insert_run(self, run_id: str, scope: Scope, mode: str, command: str) -> None:
        """Open a run's entry in the journal."""
        self._execute("insert_run", [run_id, *scope.key, mode, command, utc_now()])

    def finish_run(self, run_id: str, counts: Sequence[int], exit_code: int, message: str | None) -> None:
        """Close a run's entry; `counts` are accepted, deleted, refused, undelivered, unchanged and requests."""
        self._execute("finish_run", [utc_now(), *counts, exit_code, message, run_id])

    def runs(self, scope: Scope, count: int = 5) -> list[tuple[Any, ...]]:
        """Return the last runs of a period, the newest first."""
        return self.connection.query(self._sql("read_runs", **self.connection.page(count)), list(scope.key))

    def query(self, name: str, parameters: Sequence[object], **pieces: str) -> list[tuple[Any, ...]]:
        """Return the rows of a named statement, for `load`."""
        return self._query(name, parameters, **pieces)

    def execute(self, name: str, parameters: Sequence[object], **pieces: str) -> None:
        """Run a named statement, for `load`."""
        self._execute(name, parameters, **pieces)

    def insert(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a named INSERT for many rows."""
        self._insert(name, rows)

    def _forget(self, scope: Scope, collection: Collection, keys: Sequence[str]) -> None:
        for part in _parts(keys, 1):
            among, given = given_texts(self.connection.dialect, part)
            self._execute("forget_held", [*scope.key, collection.value, *given], keys=among)

    def _mark(self, ids: Sequence[int], word: str, answer: str, scope: Scope, now: datetime) -> None:
        for part in _parts(ids, 1):
            among, given = given_numbers(self.connection.dialect, part)
            self._execute("mark_staged", [word, now, answer or None, scope.return_id, *given], ids=among)

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
        for part in _parts(rows, 2):
            self._with_rows("log_records", same, (str, str), part)

    def _with_rows(
        self, name: str, before: Sequence[object], types: Sequence[type], rows: Sequence[Sequence[object]]
    ) -> None:
        """Run a named statement whose rows of parameters stand at its end."""
        table, given = given_rows(self.connection.dialect, types, rows)
        self._execute(name, [*before, *given], rows=table)

    def _update_token(self, scope: Scope, token: SubmissionToken, now: datetime) -> None:
        self._execute(
            "update_token", [token.value, _naive(token.expiry), _naive(token.received), token.limit, now, *scope.key]
        )

    def _insert(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        if not rows:
            return
        width = len(rows[0])
        row = f"({placeholders(width)})"
        for part in _parts(rows, width):
            self._execute(name, [value for one in part for value in one], tuples=", ".join([row] * len(part)))

    def _execute(self, name: str, parameters: Sequence[object], **pieces: str) -> None:
        self.connection.execute(self._sql(name, **pieces), parameters)

    def _query(self, name: str, parameters: Sequence[object], **pieces: str) -> list[tuple[Any, ...]]:
        return self.connection.query(self._sql(name, **pieces), parameters)

    def _sql(self, name: str, **pieces: str) -> str:
        tables = self.tables
        return load(_FILE)[name].sql.format(
            staging=tables.staging,
            held=tables.held,
            submission=tables.submission,
            validation=tables.validation,
            log=tables.log,
            runs=tables.runs,
            **{"exact": self._exact, **pieces},
        )


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
    """Records of a collection that TEC took: their hashes by local id, their rows, and what goes to the audit trail."""

    collection: Collection
    digests: Mapping[str, bytes]
    rows: Sequence[int]
    run: RunLog


@dataclass(frozen=True, slots=True)
class Gone:
    """Records of a collection whose delete TEC accepted, by local id, and what goes to the audit trail."""

    collection: Collection
    keys: Sequence[str]
    run: RunLog


def as_time(value: object) -> datetime | None:
    """Return a time of the tables with its zone, which is UTC; SQLite keeps it as text."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _naive(moment: datetime | None) -> datetime | None:
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment else None


def _finding(row: Sequence[Any]) -> TecFinding:
    number, collection, local_id, code, kind, description, student, course, text = row
    return TecFinding(
        int(number),
        Collection(str(collection).strip()) if collection else None,
        str(local_id) if local_id is not None else None,
        str(code or ""),
        str(kind or ""),
        str(description or ""),
        str(student or ""),
        str(course or ""),
        str(text or ""),
    )


def _bytes(value: Any) -> bytes | None:
    return bytes(value) if value is not None else None


def _marks_of(found: Sequence[TecFinding]) -> tuple[int, int, str]:
    """Return errors and warnings found in a record, and the sentence with their first codes."""
    errors = sum(one.is_error for one in found)
    codes = ", ".join(list(dict.fromkeys(one.code for one in found))[:5])
    return errors, len(found) - errors, f"validation: {codes}"


def _parts(values: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    # SQL Server takes 2,100 parameters in one statement and 1,000 rows in one VALUES.
    size = min(1000, (_MOST_PARAMETERS - 20) // width)
    for start in range(0, len(values), size):
        yield values[start : start + size]
