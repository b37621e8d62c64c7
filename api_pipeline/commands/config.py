"""`config`: every setting with its value, its source, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, sources_of

if TYPE_CHECKING:
    from api_pipeline.diagnostics.configuration import Configuration


_live_option = click.option("--live", is_flag=True, help="Check the settings as for a live run.")


@click.group("config")
def command() -> None:
    """Show every setting with its value and its source, and say what is wrong. Secrets are never shown."""


@command.command("show")
@pass_common
@click.option("--all", "every_setting", is_flag=True, help="Also show the settings that have their default.")
@_live_option
@json_option
def show_config(common: Common, every_setting: bool, live: bool, as_json: bool) -> None:
    """Show the settings: value, source, and what is wrong. A secret is never shown, only whether it is set.

    It opens only the settings file and the credential store. Exit code 2 if a setting cannot be used.
    """
    from api_pipeline import documents
    from api_pipeline.diagnostics.configuration import configuration_lines

    found = _examined(common, live=live)
    if as_json:
        print_json(documents.configuration(found))
    else:
        click.echo("\n".join(configuration_lines(found, every_setting=every_setting)))
    raise SystemExit(found.exit_code)


@command.command("check")
@pass_common
@_live_option
@json_option
def check_config(common: Common, live: bool, as_json: bool) -> None:
    """Check the settings and print only what is wrong; for scripts and monitoring.

    Exit code 2 if a setting cannot be used.
    """
    from api_pipeline import documents
    from api_pipeline.diagnostics.configuration import result_line

    found = _examined(common, live=live)
    if as_json:
        print_json(documents.configuration(found))
    elif not common.quiet or found.exit_code:
        for sentence in found.errors:
            click.echo(f"error: {sentence}")
        for sentence in found.warnings:
            click.echo(f"warning: {sentence}")
        click.echo(result_line(found))
    raise SystemExit(found.exit_code)


def _examined(common: Common, *, live: bool) -> Configuration:
    from api_pipeline.diagnostics.configuration import configuration
    from api_pipeline.logs.output import redact_output
    from api_pipeline.logs.redaction import Redactor
    from api_pipeline.settings.definitions import SECRET_NAMES
    from api_pipeline.settings.loading import examine, near_misses

    sources = sources_of(common, {"TESTING_MODE": "false"} if live else None)
    # All secrets are looked for in the credential store, not only those that a run needs.
    found = examine(sources, secrets=SECRET_NAMES)
    redact_output(Redactor.for_settings(found.settings))
    return configuration(found, near_misses(found, sources))
