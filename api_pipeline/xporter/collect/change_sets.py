"""Ask for what changed since a snapshot, where the settings allow it (design 3, rules R1 to R6). Pure.

R1 and R2 hold for every question: one round is one snapshot (`wire/client.py`), and its rows and state are one
transaction (`landing/writing.py`). R3: an answer that does not build on our snapshot is the whole set. R4: an error for
a snapshot asks for the whole set at once. R5: the set's own count of rows must be ours. R6: the whole set is asked for
every so many days anyway.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import orjson

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.asking import Choice, Question
from api_pipeline.xporter.catalogue import Endpoint
from api_pipeline.xporter.collect.options import SchoolPlan
from api_pipeline.xporter.wire.access import Outcome

WHOLE = "*"
# Errors that another question would meet as well.
_NOT_ABOUT_THE_SNAPSHOT = frozenset(
    {Outcome.REFUSED, Outcome.PAUSED, Outcome.NO_SCOPE, Outcome.NOT_FOUND, Outcome.NOT_SUPPORTED, Outcome.NOT_READY}
)


@dataclass(frozen=True, slots=True)
class Since:
    """What a question is asked with: a snapshot, or WHOLE for the whole set. `key` is what the snapshot depends on."""

    asks: str
    key: str

    @property
    def is_whole(self) -> bool:
        """Return whether the whole set is asked for."""
        return self.asks == WHOLE

    def may_be_unknown(self, outcome: str) -> bool:
        """Return whether an error may be about the snapshot (R4)."""
        return not self.is_whole and outcome not in _NOT_ABOUT_THE_SNAPSHOT


def asked_since(plan: SchoolPlan, choice: Choice, question: Question, now: datetime) -> Since | None:
    """Return what a question is asked with; None where change sets are off for it."""
    name, options = choice.endpoint.name, plan.options
    if name.lower() not in options.change_sets or len(question.requests) != 1:
        return None
    key = _key(choice.endpoint, question, plan)
    state = plan.landed.get((name, question.window))
    if options.is_full or state is None or state.next_hash is None or state.change_key != key:
        return Since(WHOLE, key)
    if state.last_full is None or now - state.last_full >= options.whole_every:
        return Since(WHOLE, key)
    return Since(state.next_hash, key)


def _key(endpoint: Endpoint, question: Question, plan: SchoolPlan) -> str:
    """Return what makes an answer another set of data, or its landed rows others."""
    layout = [[table.name, [field.name for field in table.fields]] for table in endpoint.tables]
    scopes = None if plan.scopes is None else sorted(plan.scopes)
    parts: list[object] = [question.params_hash, question.requests, scopes, layout]
    parts += [plan.added] if plan.added else []
    parts += [] if plan.options.keeps_unknown else ["known"]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


def check_endpoints(chosen: tuple[Choice, ...], names: tuple[str, ...], *, is_minimised: bool) -> frozenset[str]:
    """Return the endpoints whose changes are asked for, in lower case. Errors: SettingsError."""
    if names and is_minimised:
        raise SettingsError(
            "XPORTER_CHANGE_SETS: expected none while XPORTER_KEEP_UNMATCHED is false: a pupil who becomes one of the "
            "council's children has not changed at the school, and would not be landed."
        )
    by_name = {choice.endpoint.name.lower(): choice.endpoint for choice in chosen}
    for name in names:
        endpoint = by_name.get(name.lower())
        if endpoint is None:
            raise SettingsError(f'XPORTER_CHANGE_SETS: expected endpoints of XPORTER_ENDPOINTS, got "{name}".')
        if any(table.key != ("Id",) for table in endpoint.tables):
            raise SettingsError(
                f"XPORTER_CHANGE_SETS: expected endpoints whose rows are named by their Id, got {endpoint.name}: a "
                "change set cannot name its deleted rows."
            )
    return frozenset(name.lower() for name in names)
