"""One school's part of a collection: request each endpoint in turn and hand every answer to the writer. No database.

It runs in a thread of its own and waits for the writer after each answer, so that one school has one answer in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from api_pipeline.common.clock import utc_now
from api_pipeline.xporter.asking import Choice, Question, questions, sources_of
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.collect.change_sets import WHOLE, Since, asked_since
from api_pipeline.xporter.collect.desk import (
    Asked,
    ChangeSet,
    Collected,
    Counted,
    Desk,
    PeopleListed,
    Problem,
    ScopesFound,
    WriteResult,
)
from api_pipeline.xporter.collect.options import SchoolPlan
from api_pipeline.xporter.collect.school_requests import SchoolRequests
from api_pipeline.xporter.collect.sorting import Sorting
from api_pipeline.xporter.collect.summary import SKIPPED
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


class SchoolRound:
    """Request everything of one school."""

    def __init__(
        self, plan: SchoolPlan, client: IdaasClient, desk: Desk, is_dead_address: Callable[[str], bool]
    ) -> None:
        self._plan = plan
        self._options = plan.options
        self._client = client
        self._requests = SchoolRequests(client)
        self._desk = desk
        self._is_dead_address = is_dead_address
        self._sorting = Sorting(plan)
        self._failed_in_a_row: list[str] = []

    def run(self) -> None:
        """Request every chosen endpoint; errors are handed in and not raised, except Stopped."""
        choices = self._options.choices
        if choices and self._plan.scopes is None and (problem := self._find_scopes(choices[0])) is not None:
            self._rest_fails(choices[0], problem)
            return
        for choice in choices:
            outcome = self._endpoint(choice)
            if outcome is not None:
                self._rest_fails(choice, outcome)
                return
        if self._options.verifies:
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
            text = "the school's consent does not cover this endpoint"
            self._skip(name, text, is_news=self._plan.has_landed(name))
            return None
        if self._is_dead_address(name):
            self._skip(name, "several schools said that the API does not know this address")
            return None
        options = self._options
        asked = questions(choice, options.today, options.weeks_back, options.earliest, self._sorting.known_ids)
        # The newest week comes first: weeks of long ago may be what the API has no answer to.
        for question in reversed(asked):
            if not question.requests and not self._is_emptied(choice):
                self._skip(name, "the endpoint that its ids come from has none", is_news=False)
                continue
            # A closed week was landed without the rows of a pupil who is new on the roll, or on it again.
            if self._is_complete(name, question) and not options.verifies and not self._sorting.has_new_pupils:
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
        sources = sources_of(choice).values()
        return self._plan.has_landed(choice.endpoint.name) and all(map(self._sorting.is_of_tonight, sources))

    def _is_landed(self, endpoint: str, question: Question) -> bool:
        """Return whether the same question's answer is landed; with --full none counts."""
        state = self._plan.landed.get((endpoint, question.window))
        return state is not None and state.params_hash == question.params_hash and not self._options.is_full

    def _is_complete(self, endpoint: str, question: Question) -> bool:
        """Return whether a closed window is landed as it was after its last day."""
        if question.closed_on is None or not self._is_landed(endpoint, question):
            return False
        ended_at = self._plan.landed[endpoint, question.window].ended_at
        return ended_at is not None and ended_at.date() > question.closed_on

    def _question(self, choice: Choice, question: Question) -> Problem | None:
        """Collect one question's answer; return the problem that ends the school's part."""
        asked = Asked(choice, question, Round(self._plan.estab, choice.endpoint.name, question.window))
        try:
            if not self._is_verified(asked):
                self._collect(asked)
                self._failed_in_a_row.clear()
        except Failed as failure:
            return self._take_failure(asked, failure)
        except BadJson:
            return self._take_failure(asked, Failed(Outcome.UNAVAILABLE, _BAD_ROW))
        return None

    def _collect(self, asked: Asked) -> None:
        """Request an answer, and again where it looks too small. Errors: Failed, BadJson."""
        verdict = self._ask(asked)
        if verdict is WriteResult.SHRANK:
            self._client.sleep(self._options.shrink_pause_s)
            counted = self._requests.pupils_counted(asked.choice)
            verdict = self._ask(replace(asked, counted=counted, is_second_try=True))
        if verdict is WriteResult.KEPT:
            self._sorting.forget(asked.choice)

    def _take_failure(self, asked: Asked, failure: Failed) -> Problem | None:
        """Hand in why a question got no data; return the problem if it ends the school's part."""
        # An answer that came before, and that looked too small, was not written either.
        self._sorting.forget(asked.choice)
        is_news = self._is_news(asked.choice, failure.outcome)
        problem = Problem(asked.round, failure.outcome, failure.text, is_news=is_news)
        self._desk.hand_in(problem)
        if failure.outcome in _WHOLE_SCHOOL or failure.ends_school:
            return problem
        if failure.outcome != Outcome.UNAVAILABLE:
            self._failed_in_a_row.clear()
            return None
        self._failed_in_a_row.append(asked.endpoint.name)
        return problem if len(set(self._failed_in_a_row)) >= _GIVE_UP_AFTER else None

    def _is_news(self, choice: Choice, outcome: str) -> bool:
        """Return whether somebody should look at it: scopes that never covered all of it are as the school wants it."""
        if outcome == Outcome.NO_SCOPE and any(table.withheld(self._plan.scopes) for table in choice.endpoint.tables):
            return self._plan.has_landed(choice.endpoint.name)
        return outcome != Outcome.NOT_SUPPORTED

    def _is_verified(self, asked: Asked) -> bool:
        """Return whether a landed set has as many rows as the API itself counts; only --verify asks for it."""
        question = asked.question
        is_landed = self._is_landed(asked.endpoint.name, question)
        if not self._options.verifies or not is_landed or len(question.requests) != 1:
            return False
        rows = self._requests.whole_rows(asked.choice, question.requests[0])
        return self._desk.hand_in(Counted(asked, rows)) is WriteResult.WRITTEN

    def _ask(self, asked: Asked) -> WriteResult:
        since = asked_since(self._plan, asked.choice, asked.question, utc_now())
        if since is None:
            with self._requests.whole(asked.choice, asked.question.requests) as answer:
                return self._hand_in(asked, answer)
        whole = Since(WHOLE, since.key)
        if asked.is_second_try or self._options.verifies:
            since = whole
        verdict = self._ask_since(asked, since)
        return self._ask_since(asked, whole) if verdict is WriteResult.DOUBTFUL else verdict

    def _ask_since(self, asked: Asked, since: Since) -> WriteResult:
        """Request what changed; DOUBTFUL where the whole set must be requested instead (R3 to R5)."""
        choice, (request,) = asked.choice, asked.question.requests
        try:
            with self._requests.changes(choice, request, since) as answer:
                changes = None
                if not since.is_whole and (answer.previous_hash or "").lower() == since.asks.lower():
                    deleted = self._sorting.deleted_by_landing(choice, answer)
                    changes = ChangeSet(since.asks, deleted, self._requests.whole_rows(choice, request))
                return self._hand_in(asked, answer, since.key, changes)
        except Failed as failure:
            if since.may_be_unknown(failure.outcome) and not failure.ends_school:
                return WriteResult.DOUBTFUL
            raise

    def _hand_in(
        self, asked: Asked, answer: Answer, change_key: str | None = None, changes: ChangeSet | None = None
    ) -> WriteResult:
        scopes, catalogue = self._plan.scopes, load_catalogue()
        found = {
            name: (landing, [] if catalogue.withholds(asked.choice.endpoint, landing.table, scopes) else rows)
            for name, (landing, rows) in self._sorting.by_landing(asked.choice, answer).items()
        }
        tables = self._sorting.minimised(asked.choice, found)
        self._sorting.remember(asked.choice, tables, is_whole=changes is None)
        whole = {name: sum(1 for _ in rows) for name, (_, rows) in found.items()}
        dropped = sum(whole.values()) - sum(sum(1 for _ in rows) for _, rows in tables.values())
        withheld = {one.name: one.table.withheld(scopes) for one in landings(asked.endpoint)}
        return self._desk.hand_in(Collected(asked, answer, tables, whole, dropped, withheld, change_key, changes))

    def _skip(self, endpoint: str, text: str, *, is_news: bool = True) -> None:
        round_ = Round(self._plan.estab, endpoint)
        self._desk.hand_in(Problem(round_, SKIPPED, text, is_skip=True, is_news=is_news))

    def _rest_fails(self, last: Choice, problem: Problem) -> None:
        """Record for the remaining endpoints why no request was sent."""
        choices = self._options.choices
        rest = choices[choices.index(last) + 1 :]
        for choice in rest:
            round_ = Round(self._plan.estab, choice.endpoint.name)
            text = f"not asked: {problem.text}"
            self._desk.hand_in(Problem(round_, problem.outcome, text, is_skip=True, is_news=False))
