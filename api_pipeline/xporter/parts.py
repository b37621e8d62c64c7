"""What a collection and a write-back work with: the tables, the API, and the schools' secrets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from api_pipeline.db.retry import RetryBudget
from api_pipeline.errors import SettingsError
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.wire.access import Access

_MOST_NAMED = 10


class SchoolSecrets(Protocol):
    """The secrets of schools: the credential store's, else those of environment and `.env` file."""

    def get(self, estab: str) -> str | None:
        """Return a school's secret, None where there is none."""

    def estabs(self) -> Iterable[str]:
        """Return the schools whose secrets stand in environment or `.env` file."""

    def forget(self, estab: str) -> bool:
        """Take a secret out of the credential store; return whether it was there. Errors: SettingsError."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What one run works with. `budget` is how long it waits for a database that is away."""

    store: LandingStore
    access: Access
    secrets: SchoolSecrets
    budget: RetryBudget

    def check_named(self, estabs: Iterable[str]) -> None:
        """Raise SettingsError for a school that has no secret here and stands in none of the collector's tables.

        Errors: DatabaseError where the tables are not there.
        """
        wanted = sorted(set(estabs))
        if not wanted:
            return
        self.store.check()
        known = {*(row["estab"] for row in self.store.schools()), *self.secrets.estabs()}
        unknown = [estab for estab in wanted if estab not in known and not self.secrets.get(estab)]
        if unknown:
            raise SettingsError(
                f'--estab: expected a school that is known here ({_named(sorted(known))}), got "{", ".join(unknown)}"; '
                f"if it is right, add its secret with: d2i-csc-api xporter schools add {unknown[0]}"
            )


def _named(estabs: list[str]) -> str:
    if not estabs:
        return "there is none yet"
    more = len(estabs) - _MOST_NAMED
    return ", ".join(estabs[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
