"""What one collection is asked for, and what it works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, timedelta

import requests

from api_pipeline.db.retry import RetryBudget
from api_pipeline.xporter.asking import Choice
from api_pipeline.xporter.consent_step import SchoolSecrets
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.summary import CollectSummary
from api_pipeline.xporter.wire.access import Access


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What one call asks for beyond the settings.

    `verifies` asks for counts, and for whole sets where they differ. `shard` is (I, N): only the I-th of N shares of
    the schools. `keeps_unknown` lands members that the catalogue does not know, in `extra`, `adds_columns`
    in columns of their own.

    `is_full` asks for closed windows again; `accepts_shrink` writes a set that looks too small; `is_dry_run` writes
    nothing. `today` is the council's own day.
    """

    today: date
    choices: tuple[Choice, ...]
    only: frozenset[str] = frozenset()
    is_full: bool = False
    accepts_shrink: bool = False
    is_dry_run: bool = False
    verifies: bool = False
    shard: tuple[int, int] | None = None
    revoked_grace: timedelta = timedelta(0)
    keeps_unknown: bool = True
    adds_columns: bool = False
    weeks_back: int = 2
    earliest: date | None = None
    options_style: str = "options"
    paths: Mapping[str, str] = field(default_factory=dict)
    schools_at_once: int = 4
    min_gap_s: float = 0.2
    shrink_pause_s: float = 30.0
    purges_revoked: bool = True
    change_sets: frozenset[str] = frozenset()
    whole_every: timedelta = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class CollectParts:
    """What a collection works with. `on_token` takes what must stay out of logs."""

    store: LandingStore
    session: requests.Session
    access: Access
    management_secret: str
    secrets: SchoolSecrets
    cohort: Set[str] | None
    budget: RetryBudget
    stop: threading.Event
    on_token: Callable[[str], None] = lambda _token: None
    progress: Callable[[CollectSummary], None] = lambda _summary: None
    clock: Callable[[], float] = time.monotonic
