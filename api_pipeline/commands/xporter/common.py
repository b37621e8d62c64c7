"""What several commands of `xporter` share: schools on the command line, and what a run has open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from api_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from api_pipeline.commands.common import Session
    from api_pipeline.notify.job import Job
    from api_pipeline.notify.watch import RunWatch
    from api_pipeline.xporter.parts import Parts

estabs_option = click.option(
    "--estab", "estabs", multiple=True, metavar="ESTAB", help="Take only this school; may be given more than once."
)


def checked_estab(estab: str) -> str:
    """Return the number of a school. Errors: SettingsError where it is not one."""
    from api_pipeline.settings.definitions.xporter import is_estab

    if not is_estab(estab):
        raise SettingsError(f'ESTAB: expected seven digits (LA code and school number), got "{estab[:20]}".')
    return estab


@contextmanager
def opened(
    started: Session, job: Job | None, is_stopped: Callable[[], bool]
) -> Iterator[tuple[Parts, RunWatch | None]]:
    """Open what a collection or a write-back works with, until the end of the block. Errors: those of opening.

    Others are notified of the run's end where there is a `job`.
    """
    from api_pipeline.notify.services import of_xporter
    from api_pipeline.notify.watch import watched
    from api_pipeline.xporter.opening import access_of, open_landing, parts_of, session_of

    settings = started.settings
    with ExitStack() as stack:
        watch = stack.enter_context(watched(of_xporter(settings, started.run_id, job))) if job else None
        store = stack.enter_context(open_landing(settings, started.run_id))
        http = stack.enter_context(session_of(settings))
        access = access_of(settings, http, started.redactor.add, is_stopped)
        yield parts_of(settings, store, access, started.redactor.add), watch
