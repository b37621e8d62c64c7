"""What the simulated TEC holds for each period, under which submission token, and how its validation stands."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from api_pipeline.sandbox.simulator.tec.options import SimulatedReturn, TecConditions
from api_pipeline.sandbox.simulator.tec.rules import COLLECTIONS, findings


def _empty() -> dict[str, dict[str, dict[str, Any]]]:
    return {name: {} for name in COLLECTIONS}


@dataclass(slots=True)
class Submission:
    """The submission of one period."""

    period: SimulatedReturn
    status: str = ""
    token: str = ""
    expiry: datetime | None = None
    uses: int = 0
    held: dict[str, dict[str, dict[str, Any]]] = field(default_factory=_empty)
    polls_left: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_validating(self) -> bool:
        """Return whether a validation is at work."""
        return bool(self.polls_left)


class Submissions:
    """Every period of one organisation. Not safe to use from several threads at once: the service holds a lock."""

    def __init__(self, returns: tuple[SimulatedReturn, ...], now: Callable[[], datetime]) -> None:
        self._now = now
        self._returns = returns
        self.by_id: dict[int, Submission] = {}
        self.forget()

    def forget(self) -> None:
        """Forget everything that was submitted."""
        self.by_id = {one.return_id: Submission(one) for one in self._returns}

    def with_token(self, token: str) -> Submission | None:
        """Return the submission that a living token is for."""
        for one in self.by_id.values():
            if token and one.token == token and one.expiry and self._now() < one.expiry:
                return one
        return None

    def give_token(self, one: Submission, conditions: TecConditions) -> None:
        """Give the submission a token: the living one again where that is the reading, else another."""
        is_alive = bool(one.token) and one.expiry is not None and self._now() < one.expiry
        if not (is_alive and conditions.same_token):
            if one.token and not conditions.keeps_data:
                one.held = _empty()
            one.token = secrets.token_hex(12)
            one.uses = 0
        one.expiry = self._now() + timedelta(seconds=conditions.token_lifetime_s)
        one.status = one.status if one.status not in ("", "Cancelled") else "Pending"

    def use(self, one: Submission, conditions: TecConditions) -> None:
        """Count a request with records; the token may be gone after it."""
        one.uses += 1
        if conditions.token_uses is not None and one.uses >= conditions.token_uses:
            self.expire(one)

    def expire(self, one: Submission) -> None:
        """Make the submission's token worthless."""
        one.expiry = self._now() - timedelta(seconds=1)

    def cancel(self, one: Submission) -> None:
        """Delete the submission."""
        one.held = _empty()
        one.token, one.expiry, one.status = "", None, "Cancelled"
        one.polls_left, one.findings = [], []

    def validate(self, one: Submission, conditions: TecConditions) -> None:
        """Begin a validation, which ends after as many polls as there are words for."""
        received = self._now().isoformat()
        one.polls_left = [*conditions.status_words]
        one.status = one.polls_left[0] if one.polls_left else "Queued"
        one.runs.append({"dateReceived": received, "status": one.status})
        if not one.polls_left:
            self._finish(one, conditions)

    def poll(self, one: Submission, conditions: TecConditions) -> None:
        """Let a validation go on by one step."""
        if one.polls_left:
            one.status = one.polls_left.pop(0)
            if not one.polls_left:
                self._finish(one, conditions)
            one.runs[-1]["status"] = one.status

    def _finish(self, one: Submission, conditions: TecConditions) -> None:
        one.findings = findings(one.held, first_pass_only=conditions.first_pass_only)
        if conditions.bare_findings:
            one.findings = [{**found, "localId": None, "fileType": "Unknown"} for found in one.findings]
        errors = sum(found["errorType"] == "Error" for found in one.findings)
        one.status = conditions.verdict or ("Rejected" if errors else "Processed")
        run = one.runs[-1]
        run.update(
            dateStarted=run["dateReceived"],
            dateCompleted=self._now().isoformat(),
            status=one.status,
            errorCount=errors,
            warningCount=len(one.findings) - errors,
        )
