"""Compare each answer of a school with what is landed, and write the difference."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

from api_pipeline.common.clock import utc_now
from api_pipeline.run_summary import counted
from api_pipeline.xporter.collect.consent_step import ConsentStep
from api_pipeline.xporter.collect.desk import (
    ChangeSet,
    Collected,
    Counted,
    Item,
    PeopleListed,
    Problem,
    Rows,
    ScopesFound,
    WriteResult,
)
from api_pipeline.xporter.collect.entry import entry_of
from api_pipeline.xporter.collect.new_columns import NewColumns
from api_pipeline.xporter.collect.summary import SHRANK
from api_pipeline.xporter.collect.work import Work
from api_pipeline.xporter.compare import Difference, compare, has_shrunk
from api_pipeline.xporter.consent import PAUSED_IS_NEWS_AFTER, SchoolState, fingerprint
from api_pipeline.xporter.landing import Round, TableChange, counts_of
from api_pipeline.xporter.landing.writing import write_problem, write_round, write_skip
from api_pipeline.xporter.layout import Landing, landings
from api_pipeline.xporter.rows import RowReader, TooDeep, is_loose
from api_pipeline.xporter.wire.access import Outcome

_LOG = logging.getLogger(__name__)
_DEAD_AFTER = 3


class Writer:
    """Process what is handed in, in the thread that owns the database."""

    def __init__(self, work: Work, consent: ConsentStep) -> None:
        self._work = work
        self._options = work.options
        self._summary = work.summary
        self._store = work.store
        self._consent = consent
        makes_columns = work.options.adds_columns and not work.options.is_dry_run
        self._new_columns = NewColumns(work) if makes_columns else None
        self._dead: dict[str, set[str]] = {}
        self._answered: set[str] = set()

    def is_dead_address(self, endpoint: str) -> bool:
        """Return whether several schools said that the API does not know the address of an endpoint."""
        return len(self._dead.get(endpoint, ())) >= _DEAD_AFTER

    def process(self, item: Item) -> WriteResult:
        """Process one item that a school handed in. Errors: DatabaseError."""
        match item:
            case ScopesFound():
                self._consent.keep_scopes(item.estab, item.scopes)
            case Problem():
                self._take_problem(item)
            case PeopleListed():
                self._take_people(item)
            case Counted():
                return self._take_count(item)
            case Collected():
                return self._take_collected(item)
        return WriteResult.WRITTEN

    def _take_collected(self, item: Collected) -> WriteResult:
        self._answered.add(item.asked.round.estab)
        try:
            if item.changes is not None:
                return self._take_changes(item, item.changes)
            return self._take_whole(item)
        except TooDeep:
            text = "a row of the answer is nested too deeply to be kept; what is landed is kept as it is"
            return self._keep(Problem(item.asked.round, Outcome.ERROR, text))

    def _take_whole(self, item: Collected) -> WriteResult:
        """Write a whole set: what it does not name is deleted."""
        round_ = item.asked.round
        changes = []
        for name, (landing, given) in item.tables.items():
            landed = self._work.run(partial(self._store.hashes, landing, round_))
            is_wanted = self._is_wanted(landing)
            rows = given if is_wanted else ()
            known, reader, difference = self._compared(item, landing, landed, rows)
            is_unnamed = not difference.seen and not set(landing.table.key).isdisjoint(item.withheld.get(name, ()))
            is_odd = is_wanted and not is_unnamed and has_shrunk(difference, len(landed))
            if is_odd and not self._may_shrink(item, name):
                if not item.asked.is_second_try:
                    return WriteResult.SHRANK
                text = (
                    f"{name} would lose {len(difference.deleted)} of {counted(len(landed), '{row|rows}')}, twice; "
                    "kept as it was. If it is right, collect with --accept-shrink."
                )
                return self._keep(Problem(round_, SHRANK, text))
            changes.append(TableChange(known, reader, difference, rows, is_unnamed))
        missing = self._missing(item)
        if missing and all(change.landing.is_for_unknown for change in changes):
            kept = counted(sum(missing.values()), "landed {row is kept as it is|rows are kept as they are}")
            text = f"the answer holds none of its tables; {kept}"
            return self._keep(Problem(round_, Outcome.ERROR, text))
        self._write(item, changes, missing)
        return WriteResult.WRITTEN

    def _is_wanted(self, landing: Landing) -> bool:
        """Return whether more than the keys of its rows can be landed: where it has no columns, unknown members are."""
        return self._options.keeps_unknown or (not landing.is_for_unknown and bool(self._store.known(landing).columns))

    def _keep(self, problem: Problem) -> WriteResult:
        self._take_problem(problem)
        return WriteResult.KEPT

    def _missing(self, item: Collected) -> dict[str, int]:
        """Return the landed rows of each table that is not in the answer: it is not an empty one."""
        others = [one for one in landings(item.asked.endpoint) if one.name not in item.tables]
        counts = {one.name: self._count(one, item.asked.round) for one in others}
        return {name: count for name, count in counts.items() if count}

    def _count(self, landing: Landing, round_: Round) -> int:
        return self._work.run(partial(self._store.count, landing, round_))

    def _compared(
        self, item: Collected, landing: Landing, landed: Mapping[str, str], rows: Rows
    ) -> tuple[Landing, RowReader, Difference]:
        """Compare rows with what is landed; a member that gets a column now changes every row."""
        landing = self._store.known(landing)
        reader = self._reader(item, landing)
        difference = compare(landed, rows, reader)
        more = self._more_columns(item, landing, reader)
        if more is None:
            return landing, reader, difference
        reader = self._reader(item, more)
        return more, reader, compare(landed, rows, reader)

    def _more_columns(self, item: Collected, landing: Landing, reader: RowReader) -> Landing | None:
        if self._new_columns is None:
            return None
        return self._new_columns.make(landing, reader.unknown_seen(), item.asked.round.estab)

    def _reader(self, item: Collected, landing: Landing) -> RowReader:
        withheld = item.withheld.get(landing.name, ())
        return RowReader(landing, withheld, keeps_unknown=self._options.keeps_unknown)

    def _take_count(self, item: Counted) -> WriteResult:
        """Compare the API's count of a set with the longest of its landed tables."""
        round_ = item.asked.round
        longest = max(self._count(landing, round_) for landing in landings(item.asked.endpoint))
        if item.rows == longest:
            self._summary.verified += 1
            return WriteResult.WRITTEN
        window = f" {round_.window}" if round_.window else ""
        said = "no count" if item.rows is None else f"{item.rows}"
        self._summary.lines.append(
            f"School {round_.estab}, {round_.endpoint}{window}: {counted(longest, '{row is|rows are}')} landed, the "
            f"API says {said}; the whole set is collected."
        )
        return WriteResult.DOUBTFUL

    def _take_people(self, item: PeopleListed) -> None:
        """Compare the API's list for data protection with the landed pupils, person by person."""
        roll = next((one for one in self._store.existing() if one.name == "Students"), None)
        if roll is None:
            return
        landed = self._work.run(partial(self._store.ids, roll, "Id", item.estab))
        both = sum(1 for names in item.people if names & landed)
        self._summary.lines.append(
            f"School {item.estab}: the API lists {counted(len(item.people), '{person|people}')} for data protection, "
            f"{counted(both, 'of whom {is|are}')} among the {counted(len(landed), 'landed {pupil|pupils}')}. "
            "What the list means is not published; compare it with whom the school withholds."
        )

    def _take_changes(self, item: Collected, given: ChangeSet) -> WriteResult:
        """Write a change set, or ask for the whole set where it leads to another count than the API's own (R5)."""
        # A pupil who left the roll tonight may have been taken out of the snapshot that the answer builds on.
        if self._work.run(partial(self._store.snapshot, item.asked.round)) != given.asked:
            return WriteResult.DOUBTFUL
        changes: list[TableChange] = []
        longest = 0
        for landing in landings(item.asked.endpoint):
            has_rows = landing.name in item.tables and self._is_wanted(landing)
            rows: Rows = item.tables[landing.name][1] if has_rows else ()
            gone = given.deleted.get(landing.name, ())
            if not rows and not gone:
                longest = max(longest, self._count(landing, item.asked.round))
                continue
            known = self._store.known(landing)
            reader = self._reader(item, known)
            landed = self._work.run(partial(self._store.hashes, landing, item.asked.round))
            keys = {reader.key(row) for row in gone}
            kept = {key: sha for key, sha in landed.items() if key not in keys}
            difference = compare(landed, rows, reader, kept)
            is_odd = difference.null_keys or difference.duplicates or landing.is_for_unknown or keys - landed.keys()
            if is_odd or any(map(is_loose, difference.added)) or has_shrunk(difference, len(landed)):
                return WriteResult.DOUBTFUL
            if self._more_columns(item, known, reader) is not None:
                return WriteResult.DOUBTFUL
            longest = max(longest, len(difference.seen))
            changes.append(TableChange(known, reader, difference, rows))
        if item.answer.unreadable or given.whole_rows != longest:
            return WriteResult.DOUBTFUL
        self._write(item, changes)
        return WriteResult.WRITTEN

    def _may_shrink(self, item: Collected, table: str) -> bool:
        """Return whether a small set is accepted: the operator says so, or the API counts as many pupils itself."""
        return self._options.accepts_shrink or item.asked.counted == item.whole[table]

    def _write(self, item: Collected, changes: list[TableChange], missing: Mapping[str, int] | None = None) -> None:
        entry = entry_of(item, changes, missing or {}, is_minimised=self._options.cohort is not None)
        summary, round_ = self._summary, item.asked.round
        if entry.message:
            _LOG.warning("school %s, %s: %s", round_.estab, round_.endpoint, entry.message)
        if self._options.is_dry_run:
            summary.counts.add(counts_of(changes))
        else:
            counts = self._work.run(lambda: write_round(self._store, round_, changes, entry))
            summary.counts.add(counts)
            if counts.proof:
                summary.lines.append(f"School {round_.estab}: {counts.proof}.")
                _LOG.info("school %s: %s", round_.estab, counts.proof)
        summary.rounds += 1
        summary.dropped += item.dropped
        summary.received_bytes += item.answer.received_bytes
        if entry.message:
            summary.lines.append(f"School {round_.estab}, {round_.endpoint}: {entry.message}")

    def _take_problem(self, problem: Problem) -> None:
        round_ = problem.round
        if problem.outcome == Outcome.REFUSED:
            self._summary.refused.add(round_.estab)
        if problem.outcome == Outcome.NOT_FOUND:
            self._dead.setdefault(round_.endpoint, set()).add(round_.estab)
        self._summary.problems.append(problem)
        _LOG.warning("school %s, %s%s: %s", round_.estab, round_.endpoint, f" {round_.window}".rstrip(), problem.text)
        if self._options.is_dry_run:
            return
        if problem.is_skip:
            self._work.run(lambda: write_skip(self._store, round_, problem.text, utc_now()))
        else:
            self._work.run(lambda: write_problem(self._store, round_, problem.outcome, problem.text, utc_now()))

    def school_ends(self, estab: str) -> None:
        """Store the school's state after its last request."""
        if self._options.is_dry_run:
            return
        found = [problem for problem in self._summary.problems if problem.round.estab == estab]
        outcomes = {problem.outcome for problem in found}
        state = SchoolState.AUTHORISED
        if Outcome.REFUSED in outcomes:
            state = SchoolState.REFUSED
        elif Outcome.PAUSED in outcomes:
            state = SchoolState.PAUSED
        elif estab not in self._answered:
            return
        problem = next((one.text for one in found if one.is_news), None)
        secret = self._work.secrets.get(estab)
        version = fingerprint(secret) if secret and state is not SchoolState.REFUSED else None
        since = self._consent.keep_state(estab, state, version, problem)
        if state is SchoolState.PAUSED and utc_now() - since > PAUSED_IS_NEWS_AFTER:
            self._summary.odd.add(estab)
