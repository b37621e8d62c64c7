"""Check the schools that a command line names before anything else is done for them."""

from __future__ import annotations

from collections.abc import Iterable

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.consent_step import SchoolSecrets
from api_pipeline.xporter.landing import LandingStore

_MOST_NAMED = 10


def check_named(store: LandingStore, secrets: SchoolSecrets, estabs: Iterable[str]) -> None:
    """Raise SettingsError for a school that has no secret here and stands in none of the collector's tables.

    Errors: DatabaseError where the tables are not there.
    """
    wanted = sorted(set(estabs))
    if not wanted:
        return
    store.check()
    known = {str(row["estab"]).strip() for row in store.schools()} | set(secrets.estabs())
    unknown = [estab for estab in wanted if estab not in known and not secrets.get(estab)]
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
