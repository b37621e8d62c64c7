"""`sdr reset`: delete the submission of a return at TEC."""

from __future__ import annotations

import sys

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import mode_option, mode_settings, period_argument, sdr_session
from api_pipeline.common.terminal import is_terminal


@click.command("reset")
@pass_common
@period_argument
@mode_option
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@json_option
def command(common: Common, period: str, indicative: bool, testing: bool | None, is_sure: bool, as_json: bool) -> None:
    """Delete the submission of PERIOD at TEC and forget what it holds; the next submit sends everything."""
    from api_pipeline.assembly.sdr import open_context
    from api_pipeline.documents import sdr as documents
    from api_pipeline.errors import SettingsError
    from api_pipeline.sdr import flows
    from api_pipeline.sdr.settings import Purpose

    if as_json and not is_sure:
        raise click.UsageError("--json goes with --yes: a program cannot be asked.")
    if not is_sure:
        if not is_terminal(sys.stdin):
            raise SettingsError("reset deletes a submission at TEC; give --yes where nobody can be asked.")
        if click.prompt(f"Type the period again to delete its submission at TEC ({period})") != period:
            raise SettingsError("The period was not typed the same again; nothing was reset.")
    with (
        sdr_session(common, Purpose.SUBMIT, mode_settings(testing)) as started,
        open_context(started.settings, started.observers()) as opened,
    ):
        found = flows.reset(opened, period, indicative=indicative)
    if as_json:
        print_json(documents.reset(found, opened.mode))
        return
    where = "the simulated TEC (testing: nothing left this machine)" if opened.is_testing else "TEC"
    click.echo(f"The submission of the return {found.name} is deleted at {where}; the next submit sends everything.")
