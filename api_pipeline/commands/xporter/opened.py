"""What a collection and a write-back have open: notifications of their end, the landing tables, the way to the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

    from api_pipeline.commands.common import Session
    from api_pipeline.notify.job import Job
    from api_pipeline.notify.watch import RunWatch
    from api_pipeline.xporter.landing import LandingStore


@contextmanager
def opened(started: Session, job: Job | None) -> Iterator[tuple[LandingStore, requests.Session, RunWatch | None]]:
    """Open them until the end of the block; others are notified where there is a `job`. Errors: those of opening."""
    from api_pipeline.notify.services import of_xporter
    from api_pipeline.notify.watch import watched
    from api_pipeline.xporter.opening import open_landing, session_of

    settings = started.settings
    with ExitStack() as stack:
        watch = stack.enter_context(watched(of_xporter(settings, started.run_id, job))) if job else None
        store = stack.enter_context(open_landing(settings, started.run_id))
        yield store, stack.enter_context(session_of(settings)), watch
