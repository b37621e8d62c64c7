"""`sdr`: the Single Data Return to TEC. A group of its own, also installed as `tec-sdr`.

One file for each command, as in `commands`; what they share is in `common.py`. Start reading at `submit.py`.
"""

from __future__ import annotations

from typing import Any

import click

from api_pipeline._version import __version__
from api_pipeline.commands.common import common_options, take_common
from api_pipeline.commands.lazy_group import LazyGroup

_COMMANDS = {
    "returns": ("returns", "List the return periods with their windows and states."),
    "load": ("load", "Fill the staging table from the CSV files of a student management system."),
    "check": ("check", "Check the staged records here; send nothing."),
    "submit": ("submit", "Send what differs from what TEC holds; delete what vanished."),
    "validate": ("validate", "Let TEC validate the return, and store the results."),
    "results": ("results", "Show the stored results of the last validation again."),
    "status": ("status", "Show what is staged, held, in doubt and refused; the last runs."),
    "reset": ("reset", "Delete the submission of a return at TEC and start again."),
    "test-endpoint": ("check_endpoint", "Test the way to TEC; send no record."),
    "deploy-schema": ("deploy_schema", "Print the script that makes the tables, or run it with --apply."),
    "config": ("config", "Show the settings, or print an example file."),
    "demo": ("demo", "Submit, validate, correct and validate again, with an invented provider."),
    "simulate": ("simulate", "Serve a simulated TEC on this machine, for rehearsals."),
}


@click.group(
    "sdr",
    cls=LazyGroup,
    package="api_pipeline.commands.sdr",
    headings={"Commands": _COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@common_options
@click.version_option(__version__, prog_name="d2i-csc-api")
@click.pass_context
def command(context: click.Context, /, **keywords: Any) -> None:
    """Submit a Single Data Return to the Tertiary Education Commission (TEC) of New Zealand.

    PERIOD is a return's id (202608) or its year and month (2026-08). Exit codes: 0 TEC holds everything (it passed),
    1 records refused or errors found, 2 settings, 3 database, 4 login refused, 5 TEC not reached or still validating,
    6 TEC declined the return, 75 another run or validation at work, 130 stopped.
    """
    context.obj = take_common(context, keywords)
