"""`schedule`: the scheduled task of the nightly run, printed, made, looked at, removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, executable_folder, json_option, not_empty, pass_common, print_json

if TYPE_CHECKING:
    from api_pipeline.schedule.job import ScheduledRun, Scheduler

_KINDS = ("task-scheduler", "systemd", "systemd-user", "cron")
_FOLDER = click.Path(path_type=Path, file_okay=False)
_KIND = click.option("--kind", type=click.Choice(_KINDS), help="Use this scheduler (default: that of this machine).")
_NAME = click.option("--name", default="csc-api", show_default=True, help="Give the task this name.")
_ACCOUNT = click.option(
    "--account", metavar="NAME", callback=not_empty, help="Run as this account (default: the current one)."
)


@click.group("schedule", invoke_without_command=True)
@pass_common
@_KIND
@_NAME
@_ACCOUNT
@click.option(
    "--at", "at", multiple=True, metavar="HH:MM", help="Start at this time; may be given twice [default: 02:00, 05:00]."
)
@click.option("--folder", type=_FOLDER, help="Work in this folder (default: the working folder).")
@click.option("--report", type=_FOLDER, help="Write report pages to this folder (default: reports).")
@click.option("--stage", "stages", is_flag=True, help="Fill the staging table first, as run --stage does.")
@click.option("--install", "is_installed", is_flag=True, help="Make the task, or replace it.")
@json_option
def command(
    common: Common,
    kind: str | None,
    name: str,
    account: str | None,
    at: tuple[str, ...],
    folder: Path | None,
    report: Path | None,
    stages: bool,
    is_installed: bool,
    as_json: bool,
) -> None:
    """Print the scheduled task of the nightly run, or make it with --install: Task Scheduler, systemd or cron.

    The task starts this program in the working folder, with --env-file and --log-file as they are given here. It holds
    no secret and no password: where Windows needs the account's password, schtasks asks for it.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from api_pipeline.errors import SettingsError
    from api_pipeline.schedule.job import ScheduledRun, SchedulerKind, start_times
    from api_pipeline.schedule.machine import own_account
    from api_pipeline.settings.loading import working_folder

    scheduler, here = _scheduler(kind, name, account), working_folder()
    place = here / (folder or "")
    log, pages = place / _expanded(common.log_file or "run.log"), place / (report or "reports")
    env_file = here / common.env_file if common.env_file else None
    job = ScheduledRun(
        name=name,
        program=_program(log, pages, env_file, stages=stages),
        folder=place,
        times=start_times(at or ("02:00", "05:00")),
        account=account or ("" if scheduler.kind is SchedulerKind.CRON else own_account()),
        writes_to=tuple(path for path in (log.parent, pages) if path != place),
    )
    text = scheduler.text(job)
    if is_installed and not place.is_dir():
        raise SettingsError(f"The folder {place} is not there; make it, with the .env file in it, and try again.")
    said = list(scheduler.install(job)) if is_installed else []
    if as_json:
        kind = scheduler.kind.value
        print_json({"kind": kind, "name": name, "was_installed": is_installed, "text": text, "said": said})
    elif not is_installed:
        click.echo(text, nl=False)
    elif not common.quiet:
        click.echo("\n".join(said))
    _warn(place, env_file)
    _warn_of_drives(job)


def _expanded(log_file: str) -> Path:
    """Return the path with the home folder for ~, as a run takes it. Errors: SettingsError."""
    from api_pipeline.errors import SettingsError

    try:
        return Path(log_file).expanduser()
    except RuntimeError:
        raise SettingsError(
            f"--log-file: expected a path without ~, because no home folder is known for it, got {log_file!r}."
        ) from None


def _program(log: Path, pages: Path, env_file: Path | None, *, stages: bool) -> tuple[str, ...]:
    """Return the command of the nightly run; every path is absolute, so that it counts in whatever folder it starts."""
    from api_pipeline.schedule.machine import own_program

    program = [*own_program(), "run", "--quiet", "--log-file", str(log), "--report", str(pages)]
    if env_file:
        program += ["--env-file", str(env_file)]
    if stages:
        program.append("--stage")
    return tuple(program)


def _warn(place: Path, env_file: Path | None) -> None:
    """Warn of what would keep the task from sending: no settings file, one that cannot be used, testing mode in it."""
    from api_pipeline.settings.sources import Sources, gather
    from api_pipeline.settings.values import Values

    # The task does not have the environment of this command, so the file alone counts.
    gathered = gather(Sources({}, {}, place, executable_folder(), env_file=env_file), only_logging=False)
    values = Values(gathered.found, list(gathered.errors))
    is_testing = values.boolean("TESTING_MODE")
    for error in values.errors:
        click.echo(f"Warning: the task cannot run with these settings. {error}", err=True)
    if not gathered.file and not env_file:
        click.echo(f"Warning: there is no .env in {place}; the run needs its settings there.", err=True)
    elif is_testing and not values.errors:
        click.echo(
            f"Warning: TESTING_MODE is on in {gathered.file}, so the task sends nothing; "
            "set TESTING_MODE=false there when you go live.",
            err=True,
        )


def _warn_of_drives(job: ScheduledRun) -> None:
    from api_pipeline.schedule.job import mapped_drives
    from api_pipeline.schedule.machine import is_mapped_drive

    if drives := mapped_drives(job, is_mapped_drive):
        click.echo(
            f"Warning: the task does not have the mapped network drives of your session ({', '.join(drives)}); use a "
            "folder of this machine, or the share's own path (\\\\server\\share).",
            err=True,
        )


@command.command("status")
@pass_common
@_KIND
@_NAME
@_ACCOUNT
@json_option
def show_status(common: Common, kind: str | None, name: str, account: str | None, as_json: bool) -> None:
    """Say whether the task is there, and what its scheduler knows of it. Exit code 1 if it is not there."""
    from api_pipeline import documents

    standing = _scheduler(kind, name, account).standing(name)
    if as_json:
        print_json(documents.standing(standing))
    elif not (common.quiet and standing.is_installed):
        word = "is installed" if standing.is_installed else "is not installed"
        click.echo(f"The task {name} {word} ({standing.kind.value}).")
        for fact, value in standing.facts.items():
            click.echo(f"  {fact}: {value}")
    raise SystemExit(0 if standing.is_installed else 1)


@command.command("remove")
@pass_common
@_KIND
@_NAME
@_ACCOUNT
@json_option
def remove(common: Common, kind: str | None, name: str, account: str | None, as_json: bool) -> None:
    """Remove the task; settings, logs and reports stay."""
    was_there = _scheduler(kind, name, account).remove(name)
    if as_json:
        print_json({"name": name, "was_there": was_there})
    elif not common.quiet:
        click.echo(f"The task {name} {'was removed' if was_there else 'was not there'}.")


def _scheduler(kind: str | None, name: str, account: str | None) -> Scheduler:
    from api_pipeline.schedule.job import SchedulerKind, checked_name
    from api_pipeline.schedule.machine import default_kind, scheduler

    checked_name(name)
    return scheduler(SchedulerKind(kind) if kind else default_kind(), account or "")
