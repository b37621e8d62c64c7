"""Walk to the API as each school: token, scopes, and one small page of each chosen endpoint that needs no ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import requests

from api_pipeline.run_summary import counted
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.xporter.asking import Choice, Parameters, query_of, questions
from api_pipeline.xporter.consent_step import SchoolSecrets
from api_pipeline.xporter.minimise import member_of
from api_pipeline.xporter.wire.access import Access, Caller, Failed, Outcome, WireObservers
from api_pipeline.xporter.wire.client import SCHOOL, IdaasClient

if TYPE_CHECKING:
    from api_pipeline.settings.xporter import XporterSettings


OK = "ok"


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


def check_schools(
    session: requests.Session,
    access: Access,
    secrets: SchoolSecrets,
    schools: Iterable[str],
    choices: tuple[Choice, ...],
    settings: XporterSettings,
    today: date,
    on_token: Callable[[str], None],
    tell: Callable[[Checked], None],
) -> int:
    """Check each school and return the exit code: 0, 1 (something to look at), 4 (all refused), 5 (not reached).

    `today` says which week is asked for where an endpoint is asked by week.
    """
    outcomes: list[str] = []
    count = 0
    for estab in schools:
        count += 1
        secret = secrets.get(estab)
        if secret is None:
            text = f"no secret is here; add it with: d2i-csc-api xporter schools add {estab}"
            tell(Checked(estab, "", Outcome.ERROR, text))
            outcomes.append(Outcome.ERROR)
            continue
        limiter = RateLimiter(1, settings.min_gap_ms / 1000, time.monotonic)
        client = IdaasClient(
            Caller(session, access, estab, secret, limiter, time.monotonic, WireObservers(on_token=on_token))
        )
        outcomes.extend(_check_one(client, estab, choices, settings, today, tell))
    if not count:
        tell(Checked("", "", Outcome.ERROR, "There is no school to check; name one, or set XPORTER_SCHOOLS."))
        return 1
    if outcomes and all(outcome == Outcome.REFUSED for outcome in outcomes) and len(outcomes) == count:
        return 4
    if Outcome.UNAVAILABLE in outcomes:
        return 5
    return 1 if outcomes else 0


def _check_one(
    client: IdaasClient,
    estab: str,
    choices: tuple[Choice, ...],
    settings: XporterSettings,
    today: date,
    tell: Callable[[Checked], None],
) -> list[str]:
    try:
        scopes = client.scopes()
    except Failed as failure:
        tell(Checked(estab, "", failure.outcome, failure.text))
        return [failure.outcome]
    text = f"token accepted; scopes: {', '.join(sorted(scopes or ())) or 'not named'}"
    tell(Checked(estab, "", OK, text))
    _say_health(client, estab, tell)
    _say_gdpr(client, estab, tell)
    outcomes = []
    for choice in choices:
        if choice.endpoint.is_withheld(scopes):
            tell(Checked(estab, choice.endpoint.name, Outcome.NO_SCOPE, "the school's consent does not cover it"))
            outcomes.append(Outcome.NO_SCOPE)
        elif requests := questions(choice, today, 0, None, lambda _source: [])[-1].requests:
            outcomes.extend(_ask_one(client, estab, choice, requests[0], settings, tell))
        else:
            tell(Checked(estab, choice.endpoint.name, OK, "no request was sent: it needs ids of another endpoint"))
    return outcomes


def _say_health(client: IdaasClient, estab: str, tell: Callable[[Checked], None]) -> None:
    """Say how old the school's data are at the API, which serves them for up to 30 days while a school is away."""
    try:
        answer = client.first_page(f"{SCHOOL}{estab}/Health", [])
    except Failed as failure:
        tell(Checked(estab, "Health", failure.outcome, failure.text))
        return
    ages = [member_of(row, "schooldataagedays") for rows in answer.tables.values() for row in rows]
    known = [str(age) for age in ages if str(age).isdigit()]
    text = f"the data are {known[0]} days old" if known else "the age of the data is not named"
    tell(Checked(estab, "Health", OK, text))


def _say_gdpr(client: IdaasClient, estab: str, tell: Callable[[Checked], None]) -> None:
    """Say how many people the API lists as GDPR ids; what is in the list is not published, so it is a hint alone."""
    try:
        listed = client.gdpr_ids()
    except Failed as failure:
        tell(Checked(estab, "GDPRIDs", failure.outcome, failure.text))
        return
    count = None if listed is None else counted(len(listed), "{entry|entries}")
    text = "no list" if count is None else f"{count}; compare with whom the school withholds"
    tell(Checked(estab, "GDPRIDs", OK, text))


def _ask_one(
    client: IdaasClient,
    estab: str,
    choice: Choice,
    request: Parameters,
    settings: XporterSettings,
    tell: Callable[[Checked], None],
) -> list[str]:
    path = settings.paths.get(choice.endpoint.name.lower()) or choice.endpoint.path or ""
    query = query_of(choice, request, settings.options_style, {"pagesize": "1", "page": "1"})
    try:
        answer = client.first_page(path.replace("{estab}", estab), query)
    except Failed as failure:
        tell(Checked(estab, choice.endpoint.name, failure.outcome, failure.text))
        return [failure.outcome]
    tell(Checked(estab, choice.endpoint.name, OK, f"answered, {len(answer.tables)} tables"))
    return []
