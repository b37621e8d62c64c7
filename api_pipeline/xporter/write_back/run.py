"""One write-back: school by school, read what was sent before, send what is to be sent, read again.

One thread, one connection. No transaction is open while the network is waited for: a row is marked before it is sent,
so that a kill at any moment leaves a row that is read before it is sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from api_pipeline.db.retry import Retrying
from api_pipeline.db.run_lock import locked
from api_pipeline.errors import DatabaseError, Interrupted, PipelineError
from api_pipeline.run_summary import counted
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.consent import Known, SchoolState, known_of
from api_pipeline.xporter.parts import Parts
from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.wire.client import IdaasClient
from api_pipeline.xporter.write_back.batches import superseded
from api_pipeline.xporter.write_back.options import SchoolParts, WriteBackOptions
from api_pipeline.xporter.write_back.outbox import Outbox
from api_pipeline.xporter.write_back.reading import Reader
from api_pipeline.xporter.write_back.rows import Kind, OutboxRow, Status
from api_pipeline.xporter.write_back.sending import Sending
from api_pipeline.xporter.write_back.settling import REPLACED
from api_pipeline.xporter.write_back.summary import WriteBackSummary

_LOG = logging.getLogger(__name__)
_SCOPES = {
    **dict.fromkeys((Kind.ATTENDANCE, Kind.LESSON), "WritebackAttendance"),
    **dict.fromkeys((Kind.CONDUCT, Kind.DETENTION), "WritebackConduct"),
}
_WAITS = {
    SchoolState.PENDING: "it has not authorised you yet",
    SchoolState.PAUSED: "it has paused its consent",
    SchoolState.REVOKED: "it revoked its consent",
    SchoolState.REMOVED: "it was removed",
}


def write_back(parts: Parts, options: WriteBackOptions) -> WriteBackSummary:
    """Write back once and return what was done; errors that ended it stand in the summary.

    Errors: DatabaseError, AlreadyRunning, where not even a start was possible.
    """
    outbox = Outbox(parts.store, Retrying(parts.store.connection, parts.budget, _lost))
    parts.store.check()
    outbox.check()
    with locked(parts.store.connection, parts.store.names.table("xporter_outbox"), None):
        return _WriteBack(parts, options, outbox).run()


class _WriteBack:
    def __init__(self, parts: Parts, options: WriteBackOptions, outbox: Outbox) -> None:
        self._parts = parts
        self._options = options
        self._outbox = outbox
        self.summary = WriteBackSummary()

    def run(self) -> WriteBackSummary:
        summary = self.summary
        try:
            # Of other schools nothing is read here, whatever somebody wrote into their rows.
            known = {row["estab"]: row for row in self._outbox.retrying.run(self._parts.store.schools)}
            self._name_unknown_states()
            for estab in self._outbox.schools():
                if self._is_wanted(estab) and not self._parts.access.is_stopped():
                    summary.schools += 1
                    self._school(estab, known_of(known[estab]) if estab in known else None)
            if self._parts.access.is_stopped():
                summary.errors.append(_stopped())
        except Stopped:
            summary.errors.append(_stopped())
        except PipelineError as error:
            summary.errors.append(error)
        became = summary.became
        _LOG.info(
            "write-back ends with exit code %d: %s, %s, %d submitted, %d refused, %d unclear",
            *(summary.exit_code, counted(summary.schools, "{school|schools}")),
            *(counted(became["confirmed"], "{row|rows} confirmed"), became["submitted"], became["refused"]),
            summary.unclear,
        )
        return summary

    def _is_wanted(self, estab: str) -> bool:
        return not self._options.only or estab in self._options.only

    def _name_unknown_states(self) -> None:
        """Name the schools with rows that nothing would be done for, and nobody would see."""
        known = {status.value for status in Status}
        for estab, state, count in self._outbox.retrying.run(self._parts.store.outbox_counts):
            if state.lower() not in known and self._is_wanted(estab):
                self.summary.became["error"] += count
                words = ", ".join(status.value for status in Status)
                text = f"{{row has|rows have}} a status that is none of {words}; nothing is done for {{it|them}}."
                self.summary.say(estab, counted(count, text))

    def _school(self, estab: str, known: Known | None) -> None:
        """Do a school's part; what keeps it from being done is kept and named."""
        found = self._outbox.open_rows(estab, self._options.kinds)
        for row_id, text in found.wrong.items():
            self._refuse(row_id, text, None)
        if found.left_out:
            self._name_left_out(estab, found.left_out)
            if not found.rows:
                return
        secret = self._parts.secrets.get(estab)
        if secret is None:
            self._let_wait(estab, found.rows, "its secret is not here")
        elif known is None:
            reason = "it was never collected, so its consent is not known; run xporter collect first"
            self._let_wait(estab, found.rows, reason)
        elif known.state in _WAITS:
            outcome = Outcome.PAUSED if known.state is SchoolState.PAUSED else Outcome.NO_SCOPE
            self._let_wait(estab, found.rows, _WAITS[known.state], outcome)
        else:
            rows = self._with_consent(estab, known.scopes, found.rows)
            client = IdaasClient(self._parts.access, estab, secret, self._count_request)
            try:
                self._read_and_send(client, rows)
            except Failed as failure:
                self.summary.outcomes[estab] = failure.outcome
                self.summary.say(estab, f"{failure.text}; its rows wait for the next write-back.")

    def _name_left_out(self, estab: str, by_kind: Mapping[str, int]) -> None:
        """Count and name rows of kinds that are not switched on; that alone is as the settings want it."""
        count = sum(by_kind.values())
        self.summary.waiting += count
        kinds = ", ".join(sorted(by_kind))
        self.summary.say(estab, f"{counted(count, '{row waits|rows wait}')}: XPORTER_WRITE_BACK does not name {kinds}.")

    def _with_consent(self, estab: str, scopes: frozenset[str] | None, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Return the rows that the school's scopes let us write; where no scopes are known, all."""
        if scopes is None:
            return list(rows)
        lacking = [row for row in rows if _SCOPES[row.kind] not in scopes]
        if lacking:
            named = sorted({_SCOPES[row.kind] for row in lacking})
            self._let_wait(estab, lacking, f"its consent lacks {', '.join(named)}")
        return [row for row in rows if _SCOPES[row.kind] in scopes]

    def _let_wait(self, estab: str, rows: Sequence[OutboxRow], reason: str, outcome: str = Outcome.NO_SCOPE) -> None:
        """Count rows that are not sent tonight, and say why."""
        self.summary.waiting += len(rows)
        self.summary.outcomes[estab] = outcome
        self.summary.say(estab, f"{counted(len(rows), '{row waits|rows wait}')}: {reason}.")

    def _count_request(self) -> None:
        self.summary.requests += 1

    def _read_and_send(self, client: IdaasClient, rows: list[OutboxRow]) -> None:
        new, sent = self._without_superseded(rows)
        parts = SchoolParts(client, self._outbox, self._options, self.summary)
        reader = Reader(parts)
        try:
            again = reader.settle(sent)
        except Failed:
            self.summary.waiting += len(new)
            raise
        to_send = sorted([*new, *again], key=lambda row: row.id)
        if self._options.is_dry_run:
            self.summary.waiting += len(to_send)
            return
        posted = Sending(parts, reader).send(to_send)
        try:
            reader.settle(posted, may_repeat=False)
        except Failed as failure:
            # They were sent; the next write-back reads them.
            self.summary.say(rows[0].estab, f"{failure.text}; what was sent is read at the next write-back.")

    def _without_superseded(self, rows: list[OutboxRow]) -> tuple[list[OutboxRow], list[OutboxRow]]:
        """Close rows that a later one replaces; return those to be sent, and those to be read before.

        An incident that was sent and refused for a moment is read as well: it may have been written all the same.
        """
        replaced = superseded(rows)
        for row in rows:
            if row.id in replaced:
                self._refuse(row.id, f"Replaced by row {replaced[row.id]} about the same.", row.day)
        new: list[OutboxRow] = []
        sent: list[OutboxRow] = []
        for row in self._outbox.with_overtaken([row for row in rows if row.id not in replaced]):
            if row.overtaken and row.parts == row.overtaken:
                self._refuse(row.id, REPLACED, row.day)
            else:
                is_new = row.status is Status.PENDING and not (row.makes_record and row.attempts)
                (new if is_new else sent).append(row)
        return new, sent

    def _refuse(self, row_id: int, text: str, day: str | None) -> None:
        self.summary.became["refused"] += 1
        if not self._options.is_dry_run:
            self._outbox.refuse(row_id, text, day)


def _lost() -> None:
    # The lock hung on the connection that was lost; another write-back may have begun.
    raise DatabaseError("The database went away during the write-back; run it again.")


def _stopped() -> Interrupted:
    return Interrupted("The write-back was stopped; what had no clear answer is read before it is sent again.")
