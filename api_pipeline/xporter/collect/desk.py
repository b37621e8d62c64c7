"""What a school's thread hands in to the thread that writes, and the desk between them."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from api_pipeline.common.clock import utc_now
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.asking import Choice, Question
from api_pipeline.xporter.catalogue import Endpoint
from api_pipeline.xporter.landing import Round
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.values import Row
from api_pipeline.xporter.wire.answer import Answer

Rows = Iterable[Row]
_TICK_S = 0.2


class WriteResult(Enum):
    """What the writer did with an answer.

    KEPT: it cannot be right, so what is landed stays. SHRANK: too many rows are missing, so the request is repeated.
    DOUBTFUL: a change set cannot be trusted, so the whole set is requested.
    """

    WRITTEN = "written"
    KEPT = "kept"
    SHRANK = "shrank"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a school. `is_second_try` is set where the first answer was so small that it was asked again;
    `counted` is what the API says of how many pupils there are, then."""

    choice: Choice
    question: Question
    round: Round
    is_second_try: bool = False
    counted: int | None = None
    started: datetime = field(default_factory=utc_now)

    @property
    def endpoint(self) -> Endpoint:
        """Return the endpoint that is asked."""
        return self.choice.endpoint


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What makes a whole set of an answer that holds changes alone.

    `asked` is the snapshot that it builds on, `deleted` are the rows that are gone since, by landing table.
    `whole_rows` is the API's own count of the whole set.
    """

    asked: str
    deleted: Mapping[str, Rows]
    whole_rows: int | None


@dataclass(frozen=True, slots=True)
class Collected:
    """An answer, ready to be compared: the rows of each landing table that the answer named.

    `whole` counts the rows of each of them before minimisation, `dropped` are those that it took out of all.
    `withheld` are the columns of each table that the school's consent does not cover. `change_key` is what its snapshot
    depends on, where change sets are switched on; `changes` is None where it is a whole set.
    """

    asked: Asked
    answer: Answer
    tables: Mapping[str, tuple[Landing, Rows]]
    whole: Mapping[str, int]
    dropped: int
    withheld: Mapping[str, tuple[str, ...]]
    change_key: str | None
    changes: ChangeSet | None


@dataclass(frozen=True, slots=True)
class Problem:
    """A round that got no data, or for which no request was sent (`is_skip`)."""

    round: Round
    outcome: str
    text: str
    is_skip: bool = False
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class ScopesFound:
    """The scopes of a school's token, where the list of schools named none."""

    estab: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Counted:
    """The API's own count of the rows of a whole set (None: it names none), to be compared with what is landed."""

    asked: Asked
    rows: int | None


@dataclass(frozen=True, slots=True)
class PeopleListed:
    """The API's list of people for data protection, each as the ids that stand with them; asked for with --verify."""

    estab: str
    people: tuple[frozenset[str], ...]


Item: TypeAlias = "Collected | Counted | PeopleListed | Problem | ScopesFound"


class Desk:
    """Hand items from the schools' threads to the writer and its verdicts back."""

    def __init__(self) -> None:
        self._items: queue.Queue[tuple[Item, Future[WriteResult]] | None] = queue.Queue()
        self.is_closed = False

    def hand_in(self, item: Item) -> WriteResult:
        """Wait until the writer has processed it, and return what it did. Errors: Stopped."""
        if self.is_closed:
            raise Stopped
        reply: Future[WriteResult] = Future()
        self._items.put((item, reply))
        while True:
            done, _ = wait([reply], timeout=_TICK_S)
            if not done and self.is_closed:
                raise Stopped
            if done:
                return reply.result()

    def next(self) -> tuple[Item, Future[WriteResult]] | None:
        """Return the next item, None after a moment without one or when a school has ended."""
        try:
            return self._items.get(timeout=_TICK_S)
        except queue.Empty:
            return None

    def wake(self) -> None:
        """End the wait of `next`."""
        self._items.put(None)
