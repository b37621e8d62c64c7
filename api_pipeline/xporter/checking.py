"""Ask the API which schools authorised the council, and walk to it as each of them.

The walk: token, scopes, and one small page of each chosen endpoint that needs no ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from api_pipeline.errors import ServiceUnavailable
from api_pipeline.run_summary import counted
from api_pipeline.xporter.asking import Choice, questions
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.consent import Listed, read_list
from api_pipeline.xporter.parts import SchoolSecrets
from api_pipeline.xporter.values import text_of
from api_pipeline.xporter.wire.access import Access, Failed, Outcome
from api_pipeline.xporter.wire.answer import Answer
from api_pipeline.xporter.wire.client import IdaasClient

OK = "ok"
_AGE = re.compile(r"[0-9]{1,9}")


def listed_schools(access: Access) -> dict[str, Listed] | None:
    """Return the list of schools, None without a management secret. Errors: ServiceUnavailable."""
    if not access.management_secret:
        return None
    try:
        return read_list(IdaasClient(access, "", access.management_secret).schools())
    except Failed as failure:
        raise ServiceUnavailable(f"The list of schools could not be read: {failure.text}.") from None


@dataclass(frozen=True, slots=True)
class Checked:
    """One step of the check. `subject` is "" for the school's token, else an endpoint; `outcome` ok or an Outcome.

    A step on the way to the API is of no school ("").
    """

    estab: str
    subject: str
    outcome: str
    text: str

    @property
    def line(self) -> str:
        """Return the step for a console."""
        if self.subject and not self.estab:
            return f"{self.subject}: {self.text}"
        if self.subject:
            return f"  {self.subject}: {self.text}"
        return f"School {self.estab}: {self.text}" if self.estab else self.text


def age_in_words(answer: Answer) -> str:
    """Return how old the API's data of a school are, by its answer about its health."""
    ages = [text_of(row, "schooldataagedays") for rows in answer.tables.values() for row in rows]
    age = next((age for age in ages if _AGE.fullmatch(age)), None)
    return f"the data are {counted(int(age), '{day|days}')} old" if age else "the age of the data is not named"


class SchoolCheck:
    """Check schools. `tell` takes each step; `today` says which week a dated endpoint is asked for."""

    def __init__(
        self,
        access: Access,
        secrets: SchoolSecrets,
        choices: tuple[Choice, ...],
        today: date,
        tell: Callable[[Checked], None],
    ) -> None:
        self._access = access
        self._secrets = secrets
        self._choices = choices
        self._today = today
        self._tell = tell

    def run(self, schools: Iterable[str]) -> int:
        """Check each school; return the exit code: 0, 1 (something to look at), 4 (all refused), 5 (not reached)."""
        outcomes: list[str] = []
        count = 0
        for estab in schools:
            count += 1
            outcomes += self._school(estab)
        if not count:
            self._say("", "", Outcome.ERROR, "There is no school to check; name one, or set XPORTER_SCHOOLS.")
            return 1
        if outcomes == [Outcome.REFUSED] * count:
            return 4
        if Outcome.UNAVAILABLE in outcomes:
            return 5
        return 1 if outcomes else 0

    def _say(self, estab: str, subject: str, outcome: str, text: str) -> list[str]:
        """Tell of a step; return its outcome in a list where it is not ok."""
        self._tell(Checked(estab, subject, outcome, text))
        return [] if outcome == OK else [outcome]

    def _school(self, estab: str) -> list[str]:
        """Check one school; return the outcomes that are not ok."""
        secret = self._secrets.get(estab)
        if secret is None:
            text = f"no secret is here; add it with: d2i-csc-api xporter schools add {estab}"
            return self._say(estab, "", Outcome.ERROR, text)
        client = IdaasClient(self._access, estab, secret)
        try:
            scopes = client.scopes()
        except Failed as failure:
            return self._say(estab, "", failure.outcome, failure.text)
        named = ", ".join(sorted(scopes or ())) or "not named"
        self._say(estab, "", OK, f"token accepted; scopes: {named}")
        self._say_health(client, estab)
        self._say_gdpr(client, estab)
        outcomes = []
        for choice in self._choices:
            outcomes += self._endpoint(client, estab, choice, scopes)
        return outcomes

    def _say_health(self, client: IdaasClient, estab: str) -> None:
        """Say how old the school's data are at the API, which serves them for up to 30 days while a school is away."""
        try:
            answer = client.first_page(load_catalogue().endpoint("Health"))
        except Failed as failure:
            self._say(estab, "Health", failure.outcome, failure.text)
            return
        self._say(estab, "Health", OK, age_in_words(answer))

    def _say_gdpr(self, client: IdaasClient, estab: str) -> None:
        """Say how many people the API lists as GDPR ids, as a hint: what is in the list is not published."""
        try:
            listed = client.gdpr_ids()
        except Failed as failure:
            self._say(estab, "GDPRIDs", failure.outcome, failure.text)
            return
        count = None if listed is None else counted(len(listed), "{entry|entries}")
        text = "no list" if count is None else f"{count}; compare with whom the school withholds"
        self._say(estab, "GDPRIDs", OK, text)

    def _endpoint(self, client: IdaasClient, estab: str, choice: Choice, scopes: frozenset[str] | None) -> list[str]:
        name = choice.endpoint.name
        if choice.endpoint.is_withheld(scopes):
            return self._say(estab, name, Outcome.NO_SCOPE, "the school's consent does not cover it")
        requests = questions(choice, self._today, 0, None, lambda _column: [])[-1].requests
        if not requests:
            return self._say(estab, name, OK, "no request was sent: it needs ids of another endpoint")
        try:
            answer = client.first_page(choice.endpoint, requests[0], choice.options, rows=1)
        except Failed as failure:
            return self._say(estab, name, failure.outcome, failure.text)
        return self._say(estab, name, OK, f"answered, {counted(len(answer.tables), '{table|tables}')}")
