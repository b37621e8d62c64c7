"""What one collection is asked for, and what of it concerns one school."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta

from api_pipeline.xporter.asking import Choice
from api_pipeline.xporter.catalogue import Column
from api_pipeline.xporter.landing import SyncState


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What one call asks for, beside how the API is reached.

    `today` is the council's own day. `cohort` has by what a pupil is known as one of the council's children; None: all
    pupils are landed. `only` are the schools asked for, none for all; `shard` is (I, N): only the I-th of N shares of
    the schools.

    `is_full` asks for closed windows again; `accepts_shrink` writes a set that looks too small; `is_dry_run` writes
    nothing; `verifies` asks for counts, and for whole sets where they differ. `keeps_unknown` lands members that the
    catalogue does not know, in `extra`, `adds_columns` in columns of their own. `change_sets` are the endpoints, in
    lower case, of which changes alone are asked for, and `whole_every` how often the whole set is all the same.
    """

    today: date
    choices: tuple[Choice, ...]
    cohort: Set[str] | None = None
    only: frozenset[str] = frozenset()
    shard: tuple[int, int] | None = None
    is_full: bool = False
    accepts_shrink: bool = False
    is_dry_run: bool = False
    verifies: bool = False
    weeks_back: int = 2
    earliest: date | None = None
    schools_at_once: int = 4
    shrink_pause_s: float = 30.0
    purges_revoked: bool = True
    revoked_grace: timedelta = timedelta(0)
    keeps_unknown: bool = True
    adds_columns: bool = False
    change_sets: frozenset[str] = frozenset()
    whole_every: timedelta = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class SchoolPlan:
    """What is requested of one school. `scopes` None: not known; `last_scopes` are those that were known last.

    `landed` has the last complete round of each endpoint and window, `landed_ids` the values of landed columns that
    requests or minimisation need, `added` the columns of landing tables that the catalogue does not know.
    """

    estab: str
    options: CollectOptions
    scopes: frozenset[str] | None
    last_scopes: frozenset[str] | None
    landed: Mapping[tuple[str, str], SyncState]
    landed_ids: Mapping[Column, Set[str]]
    added: tuple[str, ...]

    def has_landed(self, endpoint: str) -> bool:
        """Return whether a round of an endpoint is landed."""
        return any(name == endpoint for name, _ in self.landed)
