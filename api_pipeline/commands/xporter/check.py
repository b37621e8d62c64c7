"""`xporter check`: the way to the API as each school."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session
from api_pipeline.commands.xporter.common import checked_estab


@click.command("check")
@pass_common
@click.argument("estab", required=False)
@json_option
def command(common: Common, estab: str | None, as_json: bool) -> None:
    """Test the way to the API (DNS, TCP, proxy, TLS), then call it as each school, or as ESTAB.

    For each school it fetches a token, the scopes, and one small page of each endpoint that needs no ids of another.
    """
    from api_pipeline.commands.stage import today
    from api_pipeline.diagnostics.xporter import check_way
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.checking import Checked, SchoolCheck
    from api_pipeline.xporter.opening import StoredSecrets, access_of, chosen, session_of, transport_of

    steps: list[Checked] = []

    def tell(step: Checked) -> None:
        steps.append(step)
        if not (as_json or common.quiet):
            click.echo(step.line)

    with session(common, Purpose.XPORTER, has_testing_mode=False) as started:
        settings = started.settings
        secrets = StoredSecrets(settings, started.redactor.add)
        schools = (checked_estab(estab),) if estab else settings.xporter.schools or tuple(sorted(secrets.estabs()))
        with session_of(settings) as http:
            wing = settings.xporter
            addresses = (("", wing.base_url), ("token service", wing.token_url))
            way = check_way(transport_of(settings), addresses, settings.connect_timeout_s)
            for step in way.steps:
                lines = f"{step.detail}\n{step.advice}".strip().splitlines()
                text = "; ".join(line.removesuffix(".") for line in lines)
                tell(Checked("", step.name, step.status.value.lower(), text))
            access = access_of(settings, http, started.redactor.add)
            check = SchoolCheck(access, secrets, chosen(settings), today(), tell)
            code = way.exit_code or check.run(schools)
    if as_json:
        print_json(documents.checked(steps, code))
    raise SystemExit(code)
