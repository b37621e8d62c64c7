"""`xporter`: school data collected, kept in step, and removed when consent ends.

One file for each command, as in `commands`; what all commands use is in `commands/common.py`. Start reading at
`collect.py`.
"""

from __future__ import annotations

import click

from api_pipeline.commands.lazy_group import LazyGroup

_COMMANDS = {
    "schools": ("schools", "List the schools, keep a school's secret, or remove a school with its data."),
    "check": (
        "check",
        "Test the way to the API with each school's secret; say which endpoints its consent lacks.",
    ),
    "deploy-schema": ("deploy_schema", "Print the script that makes the landing tables, or run it with --apply."),
    "collect": ("collect", "Collect once: consent first, then every school."),
    "status": ("status", "Show the age of each school's data by endpoint, and what went wrong last."),
    "report": ("report", "Write a collection as one HTML page."),
    "catalogue": ("catalogue", "List the endpoints, or one endpoint's tables, keys, fields and consent scopes."),
    "match": ("match", "Propose UPNs for children without one or with a changed one."),
    "write-back": (
        "write_back",
        "Send attendance and conduct from the outbox to the schools, and read them back.",
    ),
    "config": ("config", "Print the collector's settings as they stand in a .env file."),
    "demo": ("demo", "Collect three invented schools: a pupil leaves, a school revokes."),
    "simulate-api": ("simulate_api", "Serve the simulated School Data API on this machine."),
}


@click.group("xporter", cls=LazyGroup, package="api_pipeline.commands.xporter", headings={"Commands": _COMMANDS})
def command() -> None:
    """Collect the data of schools that authorised the council (School Data API) into tables of its own database."""
