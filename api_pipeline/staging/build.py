"""A person's rows become their payload (mapping 4 to 7). Pure.

Whether the person is in the cohort, `cohort.eligibility` says; the caller looks first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import conversions as convert
from api_pipeline.staging.blocks.child_details import child_details
from api_pipeline.staging.blocks.episodes import social_care_episodes
from api_pipeline.staging.blocks.health_and_wellbeing import health_and_wellbeing
from api_pipeline.staging.issues import ElementPath, Issue, IssueRule, Notes
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.window import Window


@dataclass(frozen=True, slots=True)
class Built:
    """A payload, its members in the specification's order.

    `outside` are the elements that exist in the SSD and not in the payload because they are outside the window
    (`issues.Notes`): what vanished from the payload and is among them need not be purged. Parts of the payload may be
    shared; it is not to be changed.
    """

    payload: dict[str, Any]
    issues: tuple[Issue, ...]
    outside: frozenset[ElementPath]


@dataclass(frozen=True, slots=True)
class Withheld:
    """A record that cannot be sent, because of an id that must not be cut."""

    issues: tuple[Issue, ...]


def build_payload(rows: PersonRows, window: Window, settings: StagingSettings) -> Built | Withheld:
    """Return the payload of a person in the cohort, or why it is held back."""
    notes = Notes(rows.person.person_id)
    payload = _ids(rows, notes)
    payload["purge"] = False
    payload["child_details"] = child_details(rows, window, settings, notes)
    health = health_and_wellbeing(rows, window, notes)
    if health is not None:
        payload["health_and_wellbeing"] = health
    episodes = social_care_episodes(rows, window, settings, notes)
    if episodes:
        payload["social_care_episodes"] = episodes
    if notes.is_withheld:
        return Withheld(tuple(notes.issues))
    return Built(payload, tuple(notes.issues), frozenset(notes.outside))


def _ids(rows: PersonRows, notes: Notes) -> dict[str, Any]:
    block: dict[str, Any] = {}
    child = convert.record_id(rows.person.person_id)
    if child is None:
        notes.withhold(IssueRule.LA_CHILD_ID_ILL_FORMED, "la_child_id")
    else:
        block["la_child_id"] = child
    legacy = convert.trimmed(rows.person.legacy_id)
    if legacy:
        found = convert.element_id(legacy)
        if found is None:
            notes.withhold(IssueRule.ID_ILL_FORMED, "mis_child_id")
        else:
            block["mis_child_id"] = found
    return block
