"""The records of a collection that are due: those that differ from what TEC holds, read page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from api_pipeline.sdr.checks import id_error
from api_pipeline.sdr.difference import NotSendable, body_of
from api_pipeline.sdr.nouns import Collection, Record
from api_pipeline.sdr.outcome import Counts, Options
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import PageRow, Store


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
    """The records that one pass over the staging table sends; `limit` is the most of them, None for all."""

    def __init__(self, store: Store, scope: Scope, options: Options, limit: int | None) -> None:
        self._store = store
        self._scope = scope
        self._options = options
        self._left = limit
        self.stopped_at_limit = False

    def pages(
        self, collection: Collection, counts: Counts, withhold: Callable[[Sequence[Record], Mapping[str, str]], None]
    ) -> Iterator[list[Record]]:
        """Yield the differing records of a collection, those of one page at a time.

        `withhold` gets the records that cannot be sent, and why, by localId.
        """
        sendable = Sendable(self._store, collection, self._options)
        for page in self._store.pages(self._scope, collection):
            due: list[Record] = []
            withheld: list[Record] = []
            reasons: dict[str, str] = {}
            for row in page:
                body, digest, reason = sendable.read(row)
                if reason:
                    withheld.append(Record(row.local_id, b"", row.row_id, is_held=row.is_held))
                    reasons[row.local_id] = f"NOT SENT: {reason}"
                elif row.held_hash == digest:
                    counts.unchanged += 1
                elif self._may_take():
                    due.append(Record(row.local_id, body, row.row_id, digest, row.is_held))
            if withheld:
                counts.withheld += len(withheld)
                withhold(withheld, reasons)
            yield due
            if self.stopped_at_limit:
                return

    def _may_take(self) -> bool:
        if self._left is None:
            return True
        if self._left <= 0:
            self.stopped_at_limit = True
            return False
        self._left -= 1
        return True


def in_batches(pages: Iterable[list[Record]], size: Callable[[], int]) -> Iterator[list[Record]]:
    """Yield the records of pages in batches of at most `size()`, as it is then."""
    waiting: list[Record] = []
    for page in pages:
        waiting += page
        while len(waiting) >= (most := size()):
            yield waiting[:most]
            waiting = waiting[most:]
    while waiting:
        most = size()
        yield waiting[:most]
        waiting = waiting[most:]
