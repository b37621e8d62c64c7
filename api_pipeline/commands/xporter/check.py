"""`xporter check`: the way to the API as each school."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session


@click.command("check")
@pass_common
@click.argument("estab", required=False)
@json_option
def command(common: Common, estab: str | None, as_json: bool) -> None:
    """Fetch a token for each school (or ESTAB), read its scopes and ask one small page of each endpoint."""
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.checking import Checked, check_schools
    from api_pipeline.xporter.opening import StoredSecrets, access_of, chosen, session_of

    steps: list[Checked] = []

    def tell(step: Checked) -> None:
        steps.append(step)
        if not (as_json or common.quiet):
            click.echo(step.line)

    with session(common, Purpose.XPORTER, has_testing_mode=False) as started:
        settings = started.settings
        secrets = StoredSecrets(settings, started.redactor.add)
        schools = (estab,) if estab else settings.xporter.schools or tuple(sorted(secrets.estabs()))
        with session_of(settings) as http:
            code = check_schools(
                http,
                access_of(settings),
                *(secrets, schools, chosen(settings), settings.xporter, started.redactor.add),
                tell,
            )
    if as_json:
        print_json(documents.checked(steps, code))
    raise SystemExit(code)
