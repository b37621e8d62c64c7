"""`xporter`: school data collected, kept in step, and taken out again when consent ends."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "schools": "List the schools, keep or remove a school's secret, or take a school's data out.",
    "check": "Walk to the API with each school's secret; say which endpoints its consent does not cover.",
    "deploy-schema": "Print, or with --apply run, the script that makes the landing tables.",
    "collect": "Collect once: consent first, then every school.",
    "status": "Show the age of each school's data by endpoint, and what went wrong last.",
    "report": "Write a collection as one HTML page.",
    "catalogue": "List the endpoints, or one endpoint's tables, keys, fields and consent scopes.",
    "match": "Propose UPNs for children without one or with a changed one.",
    "config": "Print the collector's settings as they stand in a .env file.",
    "demo": "Three invented schools, a few nights: a pupil leaves, a school revokes.",
    "simulate-api": "Serve the simulated School Data API on this machine.",
}


class XporterGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of a council's first days."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in _COMMANDS:
            return None
        module = "asking" if cmd_name in ("collect", "check") else "schools" if cmd_name == "schools" else "looking"
        if cmd_name in ("demo", "simulate-api"):
            module = "trying"
        found = importlib.import_module(f"api_pipeline.commands.xporter_{module}")
        command: click.Command = getattr(found, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group("xporter", cls=XporterGroup)
def command() -> None:
    """Collect the data of schools that authorised the council (School Data API) into tables of its own database."""
