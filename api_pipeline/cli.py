"""The command line: which commands there are, and how an error becomes one sentence and an exit code (contract 5)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from api_pipeline._version import __version__
from api_pipeline.commands import hints
from api_pipeline.commands.common import common_options, say, take_common
from api_pipeline.commands.lazy_group import LazyGroup
from api_pipeline.common.private_files import private_umask
from api_pipeline.errors import PipelineError
from api_pipeline.logs.output import guarded_streams

# Commands by the headings of `--help`, each with its module: it is imported when it is used, because `--help` must not
# wait for drivers and libraries that it does not need.
_COMMANDS = {
    "Set up": {
        "init": ("init", "Set the program up, question by question, and rehearse."),
        "config": ("config", "Show every setting, its source, and what is wrong with it."),
        "secrets": ("secrets", "Keep secret settings in the operating system's credential store."),
        "deploy-schema": ("deploy_schema", "Print the script that makes the tables, or run it with --apply."),
        "preflight": ("preflight", "Print a read-only SQL script that checks the council's own tables (SSD)."),
        "test-db-connection": ("check_database", "Open the database; name driver, server, login and version."),
        "test-schema": ("check_schema", "Compare the tables with what is expected; say what is missing."),
        "test-endpoint": ("check_endpoint", "Test the way to the receiver, step by step; send no record."),
        "test-notify": ("check_notify", "Send a test message by webhook, mail and ping."),
        "smoke": ("smoke", "Test database, schema and endpoint, and sum up (also: run-smoke)."),
        "schedule": ("schedule", "Print, make, show or remove the scheduled task of the nightly run."),
    },
    "Every night": {
        "run": ("run", "Send every due row and write the receipts back (the main job)."),
        "stage": ("stage", "Fill the staging table from the council's own tables (SSD); send nothing."),
    },
    "Find out": {
        "status": ("status", "Show counts by state, the oldest pending row, frequent errors and the last runs."),
        "explain": ("explain", "Explain one child: rows, baseline, difference, checks, every record sent."),
        "report": ("report", "Write one run as an HTML page: what was due, its outcomes, errors by rule."),
        "validate": ("validate", "Check every pending payload and list every finding; send nothing."),
    },
    "Data": {
        "requeue": ("requeue", "Put rows in error back to pending."),
        "anonymise": ("anonymise", "Fill the anonymised copy (_anon) with invented records of the live table's shape."),
    },
    "Rehearse with the embedded receiver": {
        "demo": ("demo", "Run the whole job on an embedded database and receiver; it needs nothing."),
        "simulate-api": ("simulate_api", "Serve the embedded receiver on this machine, for rehearsals."),
    },
    "Other services": {
        "sdr": ("sdr", "Submit a Single Data Return to TEC (New Zealand); its own commands and settings."),
        "xporter": ("xporter", "Collect school data (School Data API) into tables of the council's own database."),
    },
}


@click.group(
    cls=LazyGroup,
    package="api_pipeline.commands",
    headings=_COMMANDS,
    aliases={"run-smoke": "smoke"},
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@common_options
@click.version_option(__version__, prog_name="d2i-csc-api")
@click.pass_context
def cli(context: click.Context, /, **keywords: Any) -> None:
    """Send staged children's social care records to the Department for Education.

    Without a command the program does the main job, as `run` does. Exit codes: 0 everything due was accepted, 1 records
    in error, 2 settings, 3 database, 4 authentication, 5 receiver not reached, 75 another run at work, 130 stopped.
    """
    context.obj = take_common(context, keywords)
    hints.remember(context.obj.env_file, None)
    if context.invoked_subcommand is None:
        from api_pipeline.commands.run import RunCall, execute

        execute(context.obj, RunCall({}))


def main(arguments: list[str] | None = None) -> None:
    """Run the program and end it with an exit code of the contract, never with a traceback.

    The code is that of the command, whatever becomes of its output: `guarded_streams` drops what nobody reads.
    """
    _main(cli, arguments, "d2i-csc-api")


def sdr_main(arguments: list[str] | None = None) -> None:
    """Run the group `sdr` under its own name, `tec-sdr`, in the same way."""
    from api_pipeline.commands.sdr import command

    _main(command, arguments, "tec-sdr")


def _main(command: click.Command, arguments: list[str] | None, name: str) -> None:
    if f"_{name.upper().replace('-', '_')}_COMPLETE" in os.environ:
        # A shell asks what may come next: click answers in bytes, which the guarded streams do not take.
        _run(command, arguments, name)
    with private_umask(), guarded_streams():
        _run(command, arguments, name)


def _run(command: click.Command, arguments: list[str] | None, name: str) -> None:
    given = sys.argv[1:] if arguments is None else arguments
    try:
        # Left to itself, click puts files, folders and variables in the place of *, ~ and % on Windows, in quotes too.
        command.main(list(given), prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        with _hidden_secrets(given, error.format_message()):
            error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except PipelineError as error:
        with _hidden_secrets(given, str(error)):
            say(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        _report_unforeseen(error)
        sys.exit(1)


@contextmanager
def _hidden_secrets(given: Sequence[str], said: str) -> Iterator[None]:
    """Hide the secrets on the command line in what is printed, and print below it what to do if there were any."""
    from api_pipeline.commands.misplaced_secrets import hide_secrets

    advice = hide_secrets(given, said)
    yield
    if advice:
        say(advice, err=True)


def _report_unforeseen(error: Exception) -> None:
    import logging

    # The text of an unforeseen error could quote a payload, so only its kind is printed.
    logging.getLogger(__name__).debug("unforeseen error", exc_info=True)
    click.echo(
        f"Error: the program failed unexpectedly ({type(error).__name__}); "
        "run it again with --verbose --log-file and report it.",
        err=True,
    )
