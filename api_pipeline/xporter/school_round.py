"""One school's part of a collection: ask each endpoint in turn and hand every answer to the writer. No database.

It runs in a thread of its own and waits for the writer after each answer, so that one school has one answer in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from enum import Enum
from typing import Any, Protocol, TypeAlias

from api_pipeline.errors import PipelineError
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.answer import Answer
from api_pipeline.xporter.asking import Choice, Question, query_of, questions, sources_of
from api_pipeline.xporter.client import Failed, IdaasClient, Outcome
from api_pipeline.xporter.landing import Round
from api_pipeline.xporter.layout import Landing, landings
from api_pipeline.xporter.minimise import landed_sources, matched_pupils, member_of, owned_rows

_GIVE_UP_AFTER = 2
_WHOLE_SCHOOL = (Outcome.REFUSED, Outcome.PAUSED)
Rows = Iterable[Mapping[str, Any]]


class Verdict(Enum):
    """What the writer did with an answer."""

    WRITTEN = "written"
    SHRANK = "shrank"


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


@dataclass(frozen=True, slots=True)
class Problem:
    """A round that got no data, or was not asked (`is_skip`)."""

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


Item: TypeAlias = "Collected | Problem | ScopesFound"


class Desk(Protocol):
    """Where a school's thread hands in its results; the writer works them off one at a time."""

    def hand_in(self, item: Item) -> Verdict:
        """Wait until the writer has dealt with it."""


@dataclass(frozen=True, slots=True)
class SchoolPlan:
    """What one school is asked. `scopes` None: not known. `closed` are windows landed already, with their parameters.

    `landed_ids` has the values of landed columns that requests or minimisation need. `cohort` None: all pupils.
    """

    estab: str
    choices: tuple[Choice, ...]
    scopes: frozenset[str] | None
    known_endpoints: frozenset[str]
    closed: Mapping[tuple[str, str], str | None]
    landed_ids: Mapping[tuple[str, str, str], Set[str]]
    cohort: Set[str] | None
    today: date
    weeks_back: int
    earliest: date | None
    options_style: str
    paths: Mapping[str, str] = field(default_factory=dict)
    shrink_pause_s: float = 30.0


class SchoolRound:
    """Asks one school for everything. `sleep` obeys a stop; `missing` counts addresses that no school knows."""

    def __init__(
        self,
        plan: SchoolPlan,
        client: IdaasClient,
        desk: Desk,
        sleep: Callable[[float], None],
        is_dead_address: Callable[[str], bool],
    ) -> None:
        self._plan = plan
        self._client = client
        self._desk = desk
        self._sleep = sleep
        self._is_dead_address = is_dead_address
        self._ids: dict[tuple[str, str, str], set[str]] = {}
        self._students: set[str] | None = None
        self._failed_in_a_row = 0

    def run(self) -> None:
        """Ask for every chosen endpoint; what goes wrong is handed in and never raised but Stopped."""
        first = self._plan.choices[0] if self._plan.choices else None
        if first is not None and self._plan.scopes is None and (problem := self._find_scopes(first)) is not None:
            self._rest_fails(first, problem)
            return
        for choice in self._plan.choices:
            outcome = self._endpoint(choice)
            if outcome is not None:
                self._rest_fails(choice, outcome)
                return

    def _find_scopes(self, first: Choice) -> Problem | None:
        """Ask what the school's consent covers; return the problem that ends the school's part."""
        try:
            scopes = self._client.scopes()
        except Failed as failure:
            if failure.outcome not in _WHOLE_SCHOOL:
                return None
            problem = Problem(Round(self._plan.estab, first.endpoint.name), failure.outcome, failure.text)
            self._desk.hand_in(problem)
            return problem
        if scopes is not None:
            self._desk.hand_in(ScopesFound(self._plan.estab, scopes))
            self._plan = replace(self._plan, scopes=scopes)
        return None

    def _endpoint(self, choice: Choice) -> Problem | None:
        """Collect one endpoint; return the problem that ends the school's part."""
        name = choice.endpoint.name
        if choice.endpoint.is_withheld(self._plan.scopes):
            self._skip(
                name, "the school's consent does not cover this endpoint", is_news=name in self._plan.known_endpoints
            )
            return None
        if self._is_dead_address(name):
            self._skip(name, "several schools said that the API does not know this address")
            return None
        asked = questions(choice, self._plan.today, self._plan.weeks_back, self._plan.earliest, self._known_ids)
        if not asked:
            self._skip(name, "the endpoint that its ids come from has none", is_news=False)
        for question in asked:
            if question.is_closed and self._plan.closed.get((name, question.window)) == question.params_hash:
                continue
            problem = self._question(choice, question)
            if problem is not None:
                return problem
        return None

    def _question(self, choice: Choice, question: Question) -> Problem | None:
        round_ = Round(self._plan.estab, choice.endpoint.name, question.window)
        try:
            verdict = self._ask(choice, question, round_, counted=None)
            if verdict is Verdict.SHRANK:
                self._sleep(self._plan.shrink_pause_s)
                self._ask(choice, question, round_, counted=self._pupils_counted(choice), is_second_try=True)
            self._failed_in_a_row = 0
        except Failed as failure:
            problem = Problem(round_, failure.outcome, failure.text, is_news=failure.outcome != Outcome.NOT_SUPPORTED)
            self._desk.hand_in(problem)
            if failure.outcome in _WHOLE_SCHOOL:
                return problem
            self._failed_in_a_row = self._failed_in_a_row + 1 if failure.outcome == Outcome.UNAVAILABLE else 0
            if self._failed_in_a_row >= _GIVE_UP_AFTER:
                return problem
        return None

    def _ask(
        self, choice: Choice, question: Question, round_: Round, *, counted: int | None, is_second_try: bool = False
    ) -> Verdict:
        started = datetime.now(timezone.utc).replace(tzinfo=None)
        path = self._plan.paths.get(choice.endpoint.name.lower()) or choice.endpoint.path or ""
        path = path.replace("{estab}", self._plan.estab)
        if len(question.requests) == 1:
            query = query_of(choice, question.requests[0], self._plan.options_style, {})
            with self._client.data(path, query) as answer:
                return self._hand_in(choice, question, round_, answer, started, counted, is_second_try)
        joined: dict[str, list[Mapping[str, Any]]] = {}
        received = 0
        meta = None
        for request in question.requests:
            with self._client.data(path, query_of(choice, request, self._plan.options_style, {})) as answer:
                for table, rows in answer.tables.items():
                    joined.setdefault(table, []).extend(rows)
                received += answer.received_bytes
                meta = answer.meta
        whole = Answer(joined, meta, received_bytes=received)
        return self._hand_in(choice, question, round_, whole, started, counted, is_second_try)

    def _hand_in(
        self,
        choice: Choice,
        question: Question,
        round_: Round,
        answer: Answer,
        started: datetime,
        counted: int | None,
        is_second_try: bool,
    ) -> Verdict:
        found = self._by_landing(choice, answer)
        whole = {name: sum(1 for _ in rows) for name, (_, rows) in found.items()}
        tables = self._minimised(choice, found)
        dropped = sum(whole.values()) - sum(sum(1 for _ in rows) for _, rows in tables.values())
        self._remember(choice, tables)
        withheld = {
            landing.name: landing.table.withheld(self._plan.scopes) if landing.table else ()
            for landing, _ in tables.values()
        }
        return self._desk.hand_in(
            Collected(
                *(round_, question, tables, whole, dropped, answer, withheld, started),
                is_second_try=is_second_try,
                counted=counted,
            )
        )

    def _by_landing(self, choice: Choice, answer: Answer) -> dict[str, tuple[Landing, Rows]]:
        """Return the rows by the landing table they go to; those of unknown tables name theirs in source_table."""
        by_table = {landing.table.name: landing for landing in landings(choice.endpoint) if landing.table}
        other = landings(choice.endpoint)[-1]
        found: dict[str, tuple[Landing, Rows]] = {}
        unknown: list[Mapping[str, Any]] = []
        for name, rows in answer.tables.items():
            table = choice.endpoint.table_named(name)
            if table is None:
                unknown.extend({**row, "source_table": name} for row in rows)
            else:
                landing = by_table[table.name]
                found[landing.name] = (landing, rows)
        if unknown:
            found[other.name] = (other, unknown)
        return found

    def _minimised(self, choice: Choice, found: dict[str, tuple[Landing, Rows]]) -> dict[str, tuple[Landing, Rows]]:
        if self._plan.cohort is None:
            return found
        if choice.endpoint.name == "Students":
            self._students = self._matched(found)
        students = self._pupils()
        in_answer = {landing.table.name: rows for landing, rows in found.values() if landing.table}
        landed = {source: self._values(source) for source in landed_sources(choice.endpoint)}
        kept: dict[str, tuple[Landing, Rows]] = {}
        for name, (landing, rows) in found.items():
            if name == "Students":
                kept[name] = (landing, matched_pupils(rows, self._plan.cohort))
            else:
                kept[name] = (landing, owned_rows(landing, rows, students, in_answer, landed))
        return kept

    def _matched(self, found: dict[str, tuple[Landing, Rows]]) -> set[str] | None:
        if "Students" not in found or self._plan.cohort is None:
            return self._students
        matched = matched_pupils(found["Students"][1], self._plan.cohort)
        return {str(member_of(row, "id")).strip() for row in matched}

    def _pupils(self) -> Set[str]:
        """Return the Ids of the matched pupils: of tonight's answer, or those that are landed."""
        if self._students is not None:
            return self._students
        return self._plan.landed_ids.get(("Students", "Students", "Id"), frozenset())

    def _remember(self, choice: Choice, tables: Mapping[str, tuple[Landing, Rows]]) -> None:
        """Keep the columns that later questions take their ids from."""
        for source in self._sources():
            if source[0] != choice.endpoint.name:
                continue
            for landing, rows in tables.values():
                if landing.table is not None and landing.table.name == source[1]:
                    column = source[2].lower()
                    values = (member_of(row, column) for row in rows)
                    self._ids[source] = {str(value).strip() for value in values if value is not None}

    def _sources(self) -> set[tuple[str, str, str]]:
        sources = {source for choice in self._plan.choices for source in sources_of(choice)}
        return sources | {source for choice in self._plan.choices for source in landed_sources(choice.endpoint)}

    def _values(self, source: tuple[str, str, str]) -> Set[str]:
        return self._ids.get(source) or self._plan.landed_ids.get(source, frozenset())

    def _known_ids(self, source: tuple[str, str, str]) -> list[str]:
        return sorted(self._values(source))

    def _pupils_counted(self, choice: Choice) -> int | None:
        """Return how many pupils the API itself counts, None where it does not say (endpoint Counts)."""
        if choice.endpoint.name != "Students":
            return None
        path = f"/api/v1/School/{self._plan.estab}/Counts"
        try:
            with self._client.data(path, []) as answer:
                for rows in answer.tables.values():
                    for row in rows:
                        if str(member_of(row, "area")).strip().lower() in ("students", "student", "pupils"):
                            return int(member_of(row, "count"))
        except (Failed, TypeError, ValueError):
            return None
        return None

    def _skip(self, endpoint: str, text: str, *, is_news: bool = True) -> None:
        round_ = Round(self._plan.estab, endpoint)
        self._desk.hand_in(Problem(round_, "skipped", text, is_skip=True, is_news=is_news))

    def _rest_fails(self, last: Choice, problem: Problem) -> None:
        """Record for the endpoints that were not asked any more why that is."""
        rest = self._plan.choices[self._plan.choices.index(last) + 1 :]
        for choice in rest:
            round_ = Round(self._plan.estab, choice.endpoint.name)
            text = f"not asked: {problem.text}"
            self._desk.hand_in(Problem(round_, problem.outcome, text, is_skip=True, is_news=False))


def run_guarded(round_: SchoolRound, on_error: Callable[[PipelineError], None]) -> float:
    """Run a school's part in its thread; return the seconds it took. A stop ends it quietly."""
    began = time.monotonic()
    try:
        round_.run()
    except Stopped:
        pass
    except PipelineError as error:
        on_error(error)
    return time.monotonic() - began
