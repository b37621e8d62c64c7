"""One school's part of a collection: request each endpoint in turn and hand every answer to the writer. No database.

It runs in a thread of its own and waits for the writer after each answer, so that one school has one answer in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import PipelineError
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.asking import Choice, Question, questions, sources_of
from api_pipeline.xporter.collect.change_sets import WHOLE, Since
from api_pipeline.xporter.collect.items import (
    Change,
    Collected,
    Counted,
    HandIn,
    PeopleListed,
    Problem,
    SchoolPlan,
    ScopesFound,
    WriteResult,
)
from api_pipeline.xporter.collect.school_requests import SchoolRequests
from api_pipeline.xporter.collect.sorting import Sorting
from api_pipeline.xporter.landing import Round
from api_pipeline.xporter.layout import landings
from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.wire.answer import Answer
from api_pipeline.xporter.wire.big_json import BadJson
from api_pipeline.xporter.wire.client import IdaasClient

_LOG = logging.getLogger(__name__)
# So many questions in a row without an answer end an endpoint; so many endpoints in a row end the school's part.
_GIVE_UP_AFTER = 2
_BAD_ROW = "a row of the answer is not JSON"
_WHOLE_SCHOOL = (Outcome.REFUSED, Outcome.PAUSED)


@dataclass(frozen=True, slots=True)
class _Asked:
    choice: Choice
    question: Question
    round: Round
    counted: int | None = None
    is_second_try: bool = False
    started: datetime = field(default_factory=utc_now)


class SchoolRound:
    """Request everything of one school. `sleep` ends early at a stop."""

    def __init__(
        self,
        plan: SchoolPlan,
        client: IdaasClient,
        desk: HandIn,
        sleep: Callable[[float], None],
        is_dead_address: Callable[[str], bool],
    ) -> None:
        self._plan = plan
        self._client = client
        self._requests = SchoolRequests(plan, client)
        self._desk = desk
        self._sleep = sleep
        self._is_dead_address = is_dead_address
        self._sorting = Sorting(plan)
        self._failed_in_a_row: list[str] = []

    def run(self) -> None:
        """Request every chosen endpoint; errors are handed in and not raised, except Stopped."""
        first = self._plan.choices[0] if self._plan.choices else None
        if first is not None and self._plan.scopes is None and (problem := self._find_scopes(first)) is not None:
            self._rest_fails(first, problem)
            return
        for choice in self._plan.choices:
            outcome = self._endpoint(choice)
            if outcome is not None:
                self._rest_fails(choice, outcome)
                return
        if self._plan.verifies:
            self._list_people()

    def _list_people(self) -> None:
        """Request the API's list for data protection; a school without such a list loses nothing."""
        try:
            people = self._client.gdpr_ids()
        except Failed as failure:
            _LOG.info("school %s: no list for data protection: %s", self._plan.estab, failure.text)
            return
        if people is not None:
            self._desk.hand_in(PeopleListed(self._plan.estab, people))

    def _find_scopes(self, first: Choice) -> Problem | None:
        """Request what the school's consent covers; return the problem that ends the school's part.

        Where the API does not say it, the scopes that were known last hold.
        """
        self._plan = replace(self._plan, scopes=self._plan.last_scopes)
        try:
            scopes = self._client.scopes()
        except Failed as failure:
            if failure.outcome not in _WHOLE_SCHOOL and not failure.ends_school:
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
        asked = questions(choice, self._plan.today, self._plan.weeks_back, self._plan.earliest, self._sorting.known_ids)
        # The newest week comes first: weeks of long ago may be what the API has no answer to.
        for question in reversed(asked):
            if not question.requests and not self._is_emptied(choice):
                self._skip(name, "the endpoint that its ids come from has none", is_news=False)
                continue
            # A closed week was landed without the rows of a pupil who is new on the roll, or on it again.
            if self._is_complete(name, question) and not self._plan.verifies and not self._sorting.has_new_pupils:
                continue
            if self._failed_in_a_row.count(name) >= _GIVE_UP_AFTER:
                text = f"not asked: {_GIVE_UP_AFTER} requests to this endpoint got no answer"
                round_ = Round(self._plan.estab, name, question.window)
                self._desk.hand_in(Problem(round_, Outcome.UNAVAILABLE, text, is_skip=True, is_news=False))
                continue
            problem = self._question(choice, question)
            if problem is not None:
                return problem
        return None

    def _is_emptied(self, choice: Choice) -> bool:
        """Return whether an endpoint is landed whose ids come from endpoints that have none any more, as of tonight."""
        is_landed = choice.endpoint.name in self._plan.known_endpoints
        return is_landed and all(self._sorting.is_of_tonight(source) for source in sources_of(choice))

    def _is_landed(self, endpoint: str, question: Question) -> bool:
        state = self._plan.landed.get((endpoint, question.window))
        return state is not None and state.params_hash == question.params_hash

    def _is_complete(self, endpoint: str, question: Question) -> bool:
        """Return whether a closed window is landed as it was after its last day."""
        if question.closed_on is None or not self._is_landed(endpoint, question):
            return False
        ended_at = self._plan.landed[endpoint, question.window].ended_at
        return ended_at is not None and ended_at.date() > question.closed_on

    def _question(self, choice: Choice, question: Question) -> Problem | None:
        round_ = Round(self._plan.estab, choice.endpoint.name, question.window)
        try:
            asked = _Asked(choice, question, round_)
            if self._is_verified(asked):
                return None
            verdict = self._ask(asked)
            if verdict is WriteResult.SHRANK:
                self._sleep(self._plan.shrink_pause_s)
                verdict = self._ask(replace(asked, counted=self._requests.pupils_counted(choice), is_second_try=True))
            if verdict is WriteResult.KEPT:
                self._sorting.forget(choice)
            self._failed_in_a_row.clear()
        except (Failed, BadJson) as error:
            # An answer that came before, and that looked too small, was not written either.
            self._sorting.forget(choice)
            failure = error if isinstance(error, Failed) else Failed(Outcome.UNAVAILABLE, _BAD_ROW)
            problem = Problem(round_, failure.outcome, failure.text, is_news=self._is_news(choice, failure.outcome))
            self._desk.hand_in(problem)
            if failure.outcome in _WHOLE_SCHOOL or failure.ends_school:
                return problem
            if failure.outcome != Outcome.UNAVAILABLE:
                self._failed_in_a_row.clear()
                return None
            self._failed_in_a_row.append(choice.endpoint.name)
            if len(set(self._failed_in_a_row)) >= _GIVE_UP_AFTER:
                return problem
        return None

    def _is_news(self, choice: Choice, outcome: str) -> bool:
        """Return whether somebody should look at it: scopes that never covered all of it are as the school wants it."""
        if outcome == Outcome.NO_SCOPE and any(table.withheld(self._plan.scopes) for table in choice.endpoint.tables):
            return choice.endpoint.name in self._plan.known_endpoints
        return outcome != Outcome.NOT_SUPPORTED

    def _is_verified(self, asked: _Asked) -> bool:
        """Return whether a landed set has as many rows as the API itself counts; only --verify asks for it."""
        question, choice = asked.question, asked.choice
        is_landed = self._is_landed(choice.endpoint.name, question)
        if not self._plan.verifies or not is_landed or len(question.requests) != 1:
            return False
        rows = self._requests.whole_rows(choice, question.requests[0])
        return self._desk.hand_in(Counted(asked.round, rows)) is WriteResult.WRITTEN

    def _ask(self, asked: _Asked) -> WriteResult:
        changes = self._plan.changes
        since = changes.since(asked.choice, asked.question, self._plan.scopes) if changes else None
        if since is None:
            with self._requests.whole(asked.choice, asked.question.requests) as answer:
                return self._hand_in(asked, answer)
        if asked.is_second_try or self._plan.verifies:
            since = replace(since, asks=WHOLE)
        verdict = self._ask_since(asked, since)
        return self._ask_since(asked, replace(since, asks=WHOLE)) if verdict is WriteResult.DOUBTFUL else verdict

    def _ask_since(self, asked: _Asked, since: Since) -> WriteResult:
        """Request what changed; DOUBTFUL where the whole set must be requested instead (R3 to R5)."""
        choice, (request,) = asked.choice, asked.question.requests
        try:
            with self._requests.changes(choice, request, since) as answer:
                change = Change(since.key)
                if not since.is_whole and (answer.previous_hash or "").lower() == since.asks.lower():
                    deleted = self._sorting.deleted_by_landing(choice, answer)
                    change = Change(since.key, True, deleted, self._requests.whole_rows(choice, request))
                return self._hand_in(asked, answer, change)
        except Failed as failure:
            if since.may_be_unknown(failure.outcome) and not failure.ends_school:
                return WriteResult.DOUBTFUL
            raise

    def _hand_in(self, asked: _Asked, answer: Answer, change: Change | None = None) -> WriteResult:
        choice = asked.choice
        found = {
            name: (landing, [] if landing.table and landing.table.is_withheld(self._plan.scopes) else rows)
            for name, (landing, rows) in self._sorting.by_landing(choice, answer).items()
        }
        whole = {name: sum(1 for _ in rows) for name, (_, rows) in found.items()}
        tables = self._sorting.minimised(choice, found)
        dropped = sum(whole.values()) - sum(sum(1 for _ in rows) for _, rows in tables.values())
        self._sorting.remember(choice, tables, is_whole=change is None or not change.is_set)
        known = {landing.name: landing for landing in landings(choice.endpoint)}
        withheld = {
            name: landing.table.withheld(self._plan.scopes) if landing.table else () for name, landing in known.items()
        }
        return self._desk.hand_in(
            Collected(
                *(asked.round, asked.question, tables, whole, dropped, answer, withheld, asked.started),
                is_second_try=asked.is_second_try,
                counted=asked.counted,
                change=change,
            )
        )

    def _skip(self, endpoint: str, text: str, *, is_news: bool = True) -> None:
        round_ = Round(self._plan.estab, endpoint)
        self._desk.hand_in(Problem(round_, "skipped", text, is_skip=True, is_news=is_news))

    def _rest_fails(self, last: Choice, problem: Problem) -> None:
        """Record for the remaining endpoints why no request was sent."""
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
