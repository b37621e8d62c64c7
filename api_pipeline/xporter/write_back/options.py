"""What one write-back is asked for, and what it works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import requests

from api_pipeline.db.retry import RetryBudget
from api_pipeline.xporter.consent_step import SchoolSecrets
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.wire.access import Access
from api_pipeline.xporter.wire.client import SCHOOL
from api_pipeline.xporter.write_back.reading import Waits
from api_pipeline.xporter.write_back.rows import Kind

# The reference has one call for detentions, and no path of it; this one a public client uses.
_DETENTION = ("detention", "/api/v1/Writeback/?id=efw.Detention")
_SYNCHRONOUS = {
    Kind.ATTENDANCE: ("attendance", "/api/v1/Attendance/{estab}/"),
    Kind.LESSON: ("attendance", "/api/v1/Attendance/{estab}/"),
    Kind.CONDUCT: ("conduct", "/api/v1/Writeback/Conduct"),
    Kind.DETENTION: _DETENTION,
}
_ASYNCHRONOUS = {
    Kind.ATTENDANCE: ("attendanceasync", "/api/v1/AttendanceAsync/{estab}/"),
    Kind.LESSON: ("attendanceasync", "/api/v1/AttendanceAsync/{estab}/"),
    Kind.CONDUCT: ("conductasync", "/api/v1/Writeback/ConductAsync"),
    Kind.DETENTION: _DETENTION,
}


@dataclass(frozen=True, slots=True)
class WriteBackOptions:
    """`kinds` are the kinds of rows that are sent. With `callback_url` the asynchronous calls are used."""

    kinds: frozenset[str]
    only: frozenset[str] = frozenset()
    is_dry_run: bool = False
    batch_size: int = 100
    callback_url: str = ""
    options_style: str = "options"
    paths: Mapping[str, str] = field(default_factory=dict)
    min_gap_s: float = 0.2
    waits: Waits = field(default_factory=lambda: Waits(timedelta(minutes=75), timedelta(hours=48)))

    def post_path(self, kind: Kind, estab: str) -> str:
        """Return where rows of a kind are sent."""
        name, path = (_ASYNCHRONOUS if self.callback_url else _SYNCHRONOUS)[kind]
        return self.paths.get(name, path).replace("{estab}", estab)

    def read_path(self, endpoint: str, estab: str) -> str:
        """Return where the data of an endpoint are read."""
        path = self.paths.get(endpoint.lower(), f"{SCHOOL}{{estab}}/{endpoint}")
        return path.replace("{estab}", estab)


@dataclass(frozen=True, slots=True)
class WriteBackParts:
    """What a write-back works with. `on_token` takes what must stay out of logs."""

    store: LandingStore
    session: requests.Session
    access: Access
    secrets: SchoolSecrets
    budget: RetryBudget
    stop: threading.Event
    on_token: Callable[[str], None] = lambda _token: None
    clock: Callable[[], float] = time.monotonic
