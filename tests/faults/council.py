"""The council of the campaign: a staging table whose children change, leave and come back as builds change them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from api_pipeline.sandbox.invented_children import changed, invented_child
from tests.support.databases import TestDatabase
from tests.support.staging import fill, hash_of, staged, text_of


@dataclass
class Council:
    """What the campaign knows of the table by its own book-keeping: the newest payload of each child, and who left.

    Today's build overwrites the previous payload with the last staged one, sent or not; another leaves it alone. Both
    occur here.
    """

    database: TestDatabase
    rng: random.Random
    living: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: dict[str, dict[str, Any]] = field(default_factory=dict)

    def join(self, count: int) -> None:
        """Add new children to the cohort."""
        rows = []
        for _ in range(count):
            number = len(self.living) + len(self.gone) + 1
            payload = invented_child(self.rng, number, self.rng.choice((0, 0, 1500)))
            self.living[payload["la_child_id"]] = payload
            rows.append(staged(payload["la_child_id"], payload))
        fill(self.database, self.database.table, rows)

    def build(self, share: float) -> None:
        """One run of the build: a share of the children changes, some leave, some come back, one may be new."""
        for person in self._some(self.living, share):
            self._update(person, self._next_version(self.living[person]))
        for person in self._some(self.living, share / 4):
            self.gone[person] = self.living.pop(person)
            self._set(person, "row_state = 'Deleted'")
        for person in self._some(self.gone, share):
            payload = self.gone.pop(person)
            same = self.rng.random() < 0.3
            self._update(person, payload if same else self._next_version(payload))
        if self.rng.random() < share:
            self.join(1)

    def _next_version(self, payload: dict[str, Any]) -> dict[str, Any]:
        for _ in range(self.rng.choice((1, 1, 2))):
            payload = changed(self.rng, payload)
        return payload

    def _some(self, children: dict[str, dict[str, Any]], share: float) -> list[str]:
        return self.rng.sample(sorted(children), round(len(children) * share * self.rng.random()))

    def _update(self, person: str, payload: dict[str, Any]) -> None:
        self.living[person] = payload
        text = text_of(payload)
        keeps_previous = self.rng.random() < 0.5
        previous = "" if keeps_previous else ", previous_json_payload = json_payload, previous_hash = current_hash"
        assignments = "json_payload = ?, current_hash = ?, row_state = 'Updated', submission_status = 'Pending'"
        self._set(person, f"{assignments}{previous}", text, hash_of(text))

    def _set(self, person: str, assignments: str, *values: object) -> None:
        sql = f"UPDATE {self.database.table} SET {assignments} WHERE person_id = ?"
        self.database.execute(sql, [*values, person])
