"""Request the sets of one school: whole ones, changes, and counts. No database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from api_pipeline.xporter.asking import Choice, Parameters
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.collect.change_sets import Since
from api_pipeline.xporter.values import member_of, text_of
from api_pipeline.xporter.wire.access import Failed
from api_pipeline.xporter.wire.answer import Answer
from api_pipeline.xporter.wire.client import IdaasClient


class SchoolRequests:
    """Send the requests of one school's questions. Errors of every method: Failed, Stopped."""

    def __init__(self, client: IdaasClient) -> None:
        self._client = client

    @contextmanager
    def whole(self, choice: Choice, requests: Sequence[Parameters]) -> Iterator[Answer]:
        """Give the whole set of an endpoint until the end of the block; of several requests the rows of all."""
        if len(requests) == 1:
            with self._data(choice, requests[0]) as answer:
                yield answer
        else:
            yield self._joined(choice, requests)

    def changes(self, choice: Choice, request: Parameters, since: Since) -> AbstractContextManager[Answer]:
        """Give what changed since a snapshot, or the whole set, until the end of the block."""
        query = [*request, ("changedRows", since.asks)]
        return self._client.data(choice.endpoint, query, choice.options, None if since.is_whole else 1)

    def whole_rows(self, choice: Choice, request: Parameters) -> int | None:
        """Return how many rows the API counts in a whole set; None where it does not say."""
        small = self._client.first_page(choice.endpoint, request, choice.options, rows=1)
        return small.page.rows if small.page else None

    def pupils_counted(self, choice: Choice) -> int | None:
        """Return how many pupils the API itself counts, None where it does not say (endpoint Counts)."""
        if choice.endpoint.name != "Students":
            return None
        try:
            with self._client.data(load_catalogue().endpoint("Counts")) as answer:
                for rows in answer.tables.values():
                    for row in rows:
                        if text_of(row, "area").lower() in ("students", "student", "pupils"):
                            return int(member_of(row, "count"))
        except Failed as failure:
            if failure.ends_school:
                raise
        except (TypeError, ValueError):
            pass
        return None

    def _joined(self, choice: Choice, requests: Sequence[Parameters]) -> Answer:
        joined: dict[str, list[Mapping[str, Any]]] = {}
        if not requests:
            joined = {table.name: [] for table in choice.endpoint.tables}
        received = 0
        meta = None
        for request in requests:
            with self._data(choice, request) as answer:
                for table, rows in answer.tables.items():
                    joined.setdefault(table, []).extend(rows)
                received += answer.received_bytes
                meta = answer.meta
        return Answer(joined, meta, received_bytes=received)

    def _data(self, choice: Choice, request: Parameters) -> AbstractContextManager[Answer]:
        return self._client.data(choice.endpoint, request, choice.options)
