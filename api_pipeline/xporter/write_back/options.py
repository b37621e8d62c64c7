"""What one write-back is asked for, and what it works with at one school."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from api_pipeline.xporter.wire.client import IdaasClient
from api_pipeline.xporter.write_back.outbox import Outbox
from api_pipeline.xporter.write_back.rows import Kind
from api_pipeline.xporter.write_back.settling import Waits
from api_pipeline.xporter.write_back.summary import WriteBackSummary

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
    """`kinds` are the kinds of rows that are sent; `only` the schools asked for, none for all.

    With `callback_url` the asynchronous calls are used.
    """

    kinds: frozenset[str]
    only: frozenset[str] = frozenset()
    is_dry_run: bool = False
    batch_size: int = 100
    callback_url: str = ""
    waits: Waits = field(default_factory=lambda: Waits(timedelta(minutes=75), timedelta(hours=48)))


@dataclass(frozen=True, slots=True)
class SchoolParts:
    """What the write-back of one school works with: `client` asks as the school."""

    client: IdaasClient
    outbox: Outbox
    options: WriteBackOptions
    summary: WriteBackSummary

    def post_path(self, kind: Kind, estab: str) -> str:
        """Return where rows of a kind are sent."""
        name, path = (_ASYNCHRONOUS if self.options.callback_url else _SYNCHRONOUS)[kind]
        return self.client.access.paths.get(name, path).replace("{estab}", estab)
