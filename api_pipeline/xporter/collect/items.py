"""The data that pass between a school's thread and the thread that writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Protocol, TypeAlias

from api_pipeline.xporter.asking import Choice, Question
from api_pipeline.xporter.collect.change_sets import ChangeSets
from api_pipeline.xporter.landing import Round, SyncState
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.wire.answer import Answer

Rows = Iterable[Mapping[str, Any]]


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
class Change:
    """What belongs to an answer where change sets are switched on. `key` is what its snapshot depends on.

    `is_set` is set where it holds changes alone; `deleted` are then the rows that are gone, by landing table, and
    `whole_rows` is the API's own count of the whole set.
    """

    key: str
    is_set: bool = False
    deleted: Mapping[str, Rows] = field(default_factory=dict)
    whole_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """An answer, ready to be compared: the rows of each landing table that the answer named.

    `whole` counts the rows of each of them before minimisation. `is_second_try` is set where the first was so small
    that it was asked for again; `counted` is what the API says of how many pupils there are, then.
    """

    round: Round
    question: Question
    tables: Mapping[str, tuple[Landing, Rows]]
    whole: Mapping[str, int]
    dropped: int
    answer: Answer
    withheld: Mapping[str, tuple[str, ...]]
    started: datetime
    is_second_try: bool = False
    counted: int | None = None
    change: Change | None = None


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

    round: Round
    rows: int | None


@dataclass(frozen=True, slots=True)
class PeopleListed:
    """The API's list of people for data protection, each as the ids that stand with them; asked for with --verify."""

    estab: str
    people: tuple[frozenset[str], ...]


Item: TypeAlias = "Collected | Counted | PeopleListed | Problem | ScopesFound"


class HandIn(Protocol):
    """Where a school's thread hands in its results; the writer processes them one at a time."""

    def hand_in(self, item: Item) -> WriteResult:
        """Wait until the writer has processed it, and return what it did."""


@dataclass(frozen=True, slots=True)
class SchoolPlan:
    """What is requested of one school. `scopes` None: not known.

    `landed` has the last complete round of each endpoint and window; with --full none. `last_scopes` are those that
    were known last, for a night that cannot learn them. `landed_ids` has the values of landed columns that requests or
    minimisation need. `cohort` None: all pupils.
    """

    estab: str
    choices: tuple[Choice, ...]
    scopes: frozenset[str] | None
    known_endpoints: frozenset[str]
    landed: Mapping[tuple[str, str], SyncState]
    landed_ids: Mapping[tuple[str, str, str], Set[str]]
    cohort: Set[str] | None
    today: date
    weeks_back: int
    earliest: date | None
    options_style: str
    paths: Mapping[str, str] = field(default_factory=dict)
    shrink_pause_s: float = 30.0
    changes: ChangeSets | None = None
    verifies: bool = False
    keeps_unknown: bool = True
    last_scopes: frozenset[str] | None = None
