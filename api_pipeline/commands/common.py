"""What all commands share: the common options, the settings, the logs, and how an error becomes an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from api_pipeline.commands import hints

if TYPE_CHECKING:
    from pathlib import Path

    from api_pipeline.logs.handlers import LogOptions, LogSettings
    from api_pipeline.logs.redaction import Redactor
    from api_pipeline.notify.job import Job
    from api_pipeline.outbox.staging_table import StagingTable
    from api_pipeline.settings.model import Purpose, Settings
    from api_pipeline.settings.sources import Sources

_Function = TypeVar("_Function", bound=Callable[..., Any])


# Tuples: a dataclass of this size takes a hundredth of the time of `--help` to make, and its library three.
class Common(NamedTuple):
    """The common options; one given after the command wins over one given before it."""

    env_file: Path | None = None
    verbose: bool = False
    quiet: bool = False
    log_file: str | None = None

    def over(self, earlier: Common | None) -> Common:
        """Return these options, filled up with those given before the command."""
        if earlier is None:
            return self
        return Common(
            env_file=self.env_file or earlier.env_file,
            verbose=self.verbose or earlier.verbose,
            quiet=self.quiet or earlier.quiet,
            log_file=self.log_file or earlier.log_file,
        )


class FilePath(click.Path):
    """A path, given as `pathlib.Path`: that module is loaded when there is one, not for `--help`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        from pathlib import Path

        return Path(os.fsdecode(super().convert(value, param, ctx)))


def not_empty(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse an option that is given without a text: an empty variable of a script must not mean every row.

    Errors: SettingsError.
    """
    if value is not None and not value.strip():
        from api_pipeline.errors import SettingsError

        raise SettingsError(
            f"{option.opts[0]} is given without a text, so nothing was done; give it one, or leave the option out."
        )
    return value


def common_options(function: _Function) -> _Function:
    """Add the common options to a command."""
    options = (
        click.option("--env-file", type=FilePath(), help="Read the settings from this file."),
        click.option("--verbose", is_flag=True, help="Print and log more detail."),
        click.option("--quiet", is_flag=True, help="Print errors only."),
        click.option(
            "--log-file", metavar="PATH", callback=not_empty, help="Also write the log to this file, which rotates."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def take_common(context: click.Context, keywords: dict[str, Any]) -> Common:
    """Take the common options out of a command's keywords."""
    own = Common(
        env_file=keywords.pop("env_file"),
        verbose=keywords.pop("verbose"),
        quiet=keywords.pop("quiet"),
        log_file=keywords.pop("log_file"),
    )
    return own.over(context.find_object(Common))


def sources_of(common: Common, options: Mapping[str, str | None] | None = None) -> Sources:
    """Return where a command looks for its settings; `options` are those of the command line by name.

    Errors: SettingsError where the working folder is gone.
    """
    from api_pipeline.settings.credential_store import CredentialStore
    from api_pipeline.settings.loading import working_folder
    from api_pipeline.settings.sources import Sources

    given = {**(options or {}), "LOG_FILE": common.log_file, "DEBUG": "true" if common.verbose else None}
    return Sources(given, os.environ, working_folder(), executable_folder(), CredentialStore(), common.env_file)


class Session(NamedTuple):
    """What a command works with once its settings are read and its logs are open."""

    settings: Settings
    redactor: Redactor
    run_id: str


@contextmanager
def session(
    common: Common,
    purpose: Purpose,
    options: Mapping[str, str | None] | None = None,
    *,
    has_testing_mode: bool = True,
    job: Job | None = None,
) -> Iterator[Session]:
    """Return the settings for a command with its logs open until the end. Errors: SettingsError.

    `options` are settings by name as the command line gave them (None: not given). A command that does the same in
    testing mode (`has_testing_mode` false) does not mark its log as a rehearsal's. Where the settings
    cannot be used, others are notified that `job` could not begin.
    """
    import uuid

    from api_pipeline.logs.output import redact_output
    from api_pipeline.logs.redaction import Redactor
    from api_pipeline.settings.loading import examine, unusable

    sources, run_id = sources_of(common, options), str(uuid.uuid4())
    found = examine(sources, purpose)
    if found.errors:
        error = unusable(found, sources)
        if job:
            from api_pipeline.notify.services import tell_unusable

            tell_unusable(found, job, run_id, error.exit_code)
        raise error
    settings = found.settings
    redactor = Redactor.for_settings(settings)
    redact_output(redactor)
    logs = log_options(settings, common, run_id, has_testing_mode=has_testing_mode)
    with logged(logs, redactor, settings.warnings):
        yield Session(settings, redactor, run_id)


def log_options(settings: LogSettings, common: Common, run_id: str, *, has_testing_mode: bool = True) -> LogOptions:
    """Return what a command logs; a console shows progress and summary, the file keeps every event."""
    import logging

    from api_pipeline.logs.handlers import LogOptions

    logs = LogOptions.from_settings(settings, run_id, verbose=common.verbose, quiet=common.quiet)
    logs = logs._replace(is_testing=logs.is_testing and has_testing_mode)
    if logs.debug or common.quiet:
        return logs
    return logs._replace(console_level=logging.WARNING)


@contextmanager
def open_table(common: Common, table: str | None) -> Iterator[tuple[Settings, StagingTable]]:
    """Return the settings and the open staging table for a command that looks at it. Errors: PipelineError."""
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.settings.model import Purpose

    with session(common, Purpose.DATABASE, {"TABLE_NAME": table}) as started, open_store(started.settings) as store:
        yield started.settings, store


@contextmanager
def logged(logs: LogOptions, redactor: Redactor, warnings: Iterable[str]) -> Iterator[None]:
    """Keep the logs of a command open. Log these warnings first, and the error that ends the command."""
    import logging

    from api_pipeline.errors import AlreadyRunning, PipelineError
    from api_pipeline.logs.handlers import set_up_logging

    with set_up_logging(logs, sys.stderr, redactor, advice=hints.as_called):
        log = logging.getLogger(__name__)
        for warning in warnings:
            log.warning("%s", warning)
        try:
            yield
        except PipelineError as error:
            # The command's end prints this on the console; the log must say it too.
            level = logging.INFO if error.exit_code == AlreadyRunning.exit_code else logging.ERROR
            log.log(level, "ended with exit code %d: %s", error.exit_code, error, extra={"is_printed": True})
            raise


table_option = click.option(
    "--table", metavar="NAME", callback=not_empty, help="Use this staging table instead of TABLE_NAME."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
latency_option = click.option(
    "--latency-ms", type=click.IntRange(0), default=0, show_default=True, help="Answer so long after a request came."
)


def port_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for the port that a simulator listens on."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=default,
        show_default=True,
        help="Listen on this port; 0 takes a free one.",
    )


def print_json(document: object, redact: Callable[[str], str] | None = None) -> None:
    """Print a document on standard output, where nothing else may stand then; `redact` is applied to each text in it.

    Applied to the whole, it could take the quotation mark behind a password with it.
    """
    import json

    click.echo(json.dumps(_each_text(document, redact) if redact else document, indent=2, default=str))


def _each_text(value: object, redact: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _each_text(item, redact) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(item, redact) for item in value]
    return value


def say(text: str, *, err: bool = False) -> None:
    """Print a text; commands that it advises have the options of this call."""
    click.echo(hints.as_called(text), err=err)


def executable_folder() -> Path | None:
    """Return the folder of the packaged executable, None where Python runs the program."""
    from pathlib import Path

    return Path(sys.executable).parent if getattr(sys, "frozen", False) else None


def pass_common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command its `Common` as first argument instead of the four options."""

    @common_options
    @click.pass_context
    def command(context: click.Context, /, **keywords: Any) -> Any:
        common = take_common(context, keywords)
        hints.remember(common.env_file, keywords.get("table"))
        return function(common, **keywords)

    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    if hasattr(function, "__click_params__"):
        command.__click_params__ = [*function.__click_params__, *command.__click_params__]  # type: ignore[attr-defined] # click keeps parameters there
    return command
