"""The records of a collection that are due: those that differ from what TEC holds, read page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from api_pipeline.sdr.checks import id_error
from api_pipeline.sdr.difference import NotSendable, body_of
from api_pipeline.sdr.nouns import Collection, StagedRecord
from api_pipeline.sdr.outcome import Counts, Options
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import PageRow, Store

# A row of the staging table that is not sent: its id, its record's, and why.
Withheld = tuple[int, str, str]


class Sendable:
    """Says of each staged row of a collection what is sent of it, or why nothing is."""

    def __init__(self, store: Store, collection: Collection, options: Options) -> None:
        self._repeated = store.repeated(collection)
        self._held_back = {local_id for found_in, local_id in options.withheld if found_in is collection}

    def read(self, row: PageRow) -> tuple[bytes, bytes, str]:
        """Return the record as it is sent, its hash, and "", or nothing of it and why it is not sent."""
        reason = id_error(row.local_id, self._repeated)
        if not reason and row.local_id in self._held_back:
            reason = "held back by the checks; see: d2i-csc-api sdr check"
        if reason:
            return b"", b"", reason
        try:
            return *body_of(row.local_id, row.payload), ""
        except NotSendable as error:
            return b"", b"", str(error)


class Due:
    """Reads the records that are due, up to the limit of the run. `progress` gets the number of unchanged ones."""

    def __init__(self, store: Store, scope: Scope, options: Options, progress: Callable[[int], None]) -> None:
        self._store = store
        self._scope = scope
        self._options = options
        self._progress = progress
        self._left = options.limit
        self.stopped_at_limit = False

    def begin(self, taken: int) -> None:
        """Begin a pass over the staging table; `taken` records of the limit were taken in the passes before it."""
        if self._options.limit is not None:
            self._left = self._options.limit - taken
        self.stopped_at_limit = False

    def batches(
        self,
        collection: Collection,
        counts: Counts,
        size: Callable[[], int],
        withhold: Callable[[Sequence[Withheld]], None],
    ) -> Iterator[list[StagedRecord]]:
        """Yield the differing records of a collection in batches of at most `size()`, as it is then.

        `withhold` gets the rows that cannot be sent.
        """
        sendable = Sendable(self._store, collection, self._options)
        waiting: list[StagedRecord] = []
        for page in self._store.pages(self._scope, collection):
            withheld: list[Withheld] = []
            waiting += self._differing(sendable, page, counts, withheld)
            if withheld:
                counts.withheld += len(withheld)
                withhold(withheld)
            while len(waiting) >= (most := size()):
                yield waiting[:most]
                waiting = waiting[most:]
            if self.stopped_at_limit:
                break
        while waiting:
            most = size()
            yield waiting[:most]
            waiting = waiting[most:]

    def _differing(
        self, sendable: Sendable, page: Sequence[PageRow], counts: Counts, withheld: list[Withheld]
    ) -> list[StagedRecord]:
        found: list[StagedRecord] = []
        unchanged = 0
        for row in page:
            body, digest, reason = sendable.read(row)
            if reason:
                withheld.append((row.row_id, row.local_id, f"NOT SENT: {reason}"))
            elif row.held_hash == digest:
                unchanged += 1
            elif self._may_take():
                found.append(StagedRecord(row.row_id, row.local_id, body, digest, row.is_held))
        counts.unchanged += unchanged
        self._progress(unchanged)
        return found

    def _may_take(self) -> bool:
        if self._left is None:
            return True
        if self._left <= 0:
            self.stopped_at_limit = True
            return False
        self._left -= 1
        return True
