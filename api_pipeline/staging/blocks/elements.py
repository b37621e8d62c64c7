"""What the arrays of an episode have in common: elements with an id, dates, a purge flag."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api_pipeline.staging import conversions as convert
from api_pipeline.staging.issues import ElementPath, IssueRule, Notes

EPISODES = "social_care_episodes"


@dataclass(frozen=True, slots=True)
class Element:
    """A kind of element: the array it stands in, the name of its id, and the SSD table it comes from."""

    array: str
    key: str
    table: str

    def field(self, name: str) -> str:
        """Return the path of one of its fields, as the field table has it."""
        return f"{EPISODES}[].{self.array}[].{name}"

    def path(self, episode: ElementPath, key: str) -> ElementPath:
        """Return the path of one such element of an episode."""
        return (*episode, self.array, key.strip(" "))


def element(kind: Element, key: str, notes: Notes) -> dict[str, Any]:
    """Return a new element with its id; one that cannot be sent holds the record back."""
    found = convert.element_id(key)
    if found is None:
        notes.withhold(IssueRule.ID_ILL_FORMED, kind.field(kind.key), kind.table)
        return {}
    return {kind.key: found}


def put_date(block: dict[str, Any], name: str, moment: datetime | None) -> None:
    """Put a date in, if there is one."""
    if moment is not None:
        block[name] = convert.day(moment)
