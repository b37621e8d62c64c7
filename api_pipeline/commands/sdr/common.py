"""What the commands of `sdr` share: their settings, their logs, and the options that name a period."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from api_pipeline.commands.common import Common, log_options, logged, sources_of
from api_pipeline.sdr.nouns import Collection

if TYPE_CHECKING:
    from api_pipeline.assembly.sdr import SdrObservers
    from api_pipeline.logs.redaction import Redactor
    from api_pipeline.notify.job import Job
    from api_pipeline.notify.watch import RunWatch
    from api_pipeline.sdr.settings import Purpose, SdrExamined, SdrSettings

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SdrSession:
    """What a command works with once its settings are read and its logs are open."""

    settings: SdrSettings
    redactor: Redactor
    run_id: str

    def observers(self) -> SdrObservers:
        """Return what the work reports to: the redactor for secrets, and a signal that asks to stop."""
        from api_pipeline.assembly.sdr import SdrObservers
        from api_pipeline.commands.stopping import stop_on_signals

        stop = stop_on_signals()
        return SdrObservers(self.redactor.add, stop, self.run_id)


@contextmanager
def sdr_session(
    common: Common,
    purpose: Purpose,
    options: Mapping[str, str | None] | None = None,
    on_unusable: Callable[[SdrExamined, str, int], None] = lambda _found, _run_id, _code: None,
) -> Iterator[SdrSession]:
    """Return the settings for a command with its logs open until the end. Errors: SettingsError.

    `on_unusable` is called for settings that cannot be used, with the id and the exit code of the run.
    """
    import uuid

    from api_pipeline.logs.output import redact_output
    from api_pipeline.sdr.settings import examine_sdr_settings

    run_id = str(uuid.uuid4())
    found = examine_sdr_settings(sources_of(common, options), purpose)
    if found.error:
        on_unusable(found, run_id, found.error.exit_code)
        raise found.error
    settings = found.settings
    redactor = _redactor(settings)
    redact_output(redactor)
    with logged(log_options(settings, common, run_id), redactor, settings.warnings):
        yield SdrSession(settings, redactor, run_id)


@contextmanager
def watched_session(
    common: Common, options: Mapping[str, str | None], job: Job | None, period: str, *, indicative: bool
) -> Iterator[tuple[SdrSession, RunWatch | None]]:
    """Return the session of a command, and the watch that notifies others; None, and nobody, without `job`.

    Errors: SettingsError.
    """
    from contextlib import ExitStack

    from api_pipeline.notify.services import of_sdr, tell_unusable_return
    from api_pipeline.notify.watch import watched
    from api_pipeline.sdr.settings import Purpose

    def on_unusable(found: SdrExamined, run_id: str, exit_code: int) -> None:
        if job:
            tell_unusable_return(found, job, run_id, period, exit_code)

    with sdr_session(common, Purpose.SUBMIT, options, on_unusable) as started, ExitStack() as stack:
        watch = None
        if job:
            run = of_sdr(started.settings, started.run_id, job, period, indicative=indicative)
            watch = stack.enter_context(watched(run))
        yield started, watch


def _redactor(settings: SdrSettings) -> Redactor:
    from api_pipeline.logs.redaction import Redactor

    redactor = Redactor((settings.client_secret, *settings.notify.secrets))
    redactor.add_credentials(settings.client_id, settings.client_secret)
    redactor.add_connection_string(settings.connection_string)
    redactor.add_proxy(settings.proxy_url)
    return redactor


def period_argument(function: _Function) -> _Function:
    """Add the argument PERIOD and --indicative to a command."""
    function = click.option("--indicative", is_flag=True, help="Take the indicative return of that month.")(function)
    return click.argument("period")(function)


def mode_option(function: _Function) -> _Function:
    """Add --testing/--live to a command."""
    return click.option("--testing/--live", "testing", default=None, help="Simulate TEC, or call it.")(function)


def mode_settings(testing: bool | None) -> dict[str, str | None]:
    """Return the setting that --testing/--live stands for."""
    return {"TESTING_MODE": None if testing is None else str(testing).lower()}


def collection_option(function: _Function) -> _Function:
    """Add --collection to a command."""
    return click.option(
        "--collection",
        "collections",
        multiple=True,
        type=click.Choice([one.value for one in Collection]),
        help="Take only this collection; may be given more than once.",
    )(function)


def chosen(collections: tuple[str, ...]) -> tuple[Collection, ...]:
    """Return the collections of --collection, all of them where it is not given."""
    return tuple(one for one in Collection if not collections or one.value in collections)
