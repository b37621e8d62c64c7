"""`smoke` (alias `run-smoke`): the three tests, a summary table, one exit code."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.checking import settings_failing, show
from api_pipeline.commands.common import (
    Common,
    json_option,
    pass_common,
    print_json,
    say,
    session,
    sources_of,
    table_option,
)

if TYPE_CHECKING:
    from api_pipeline.commands.common import Session
    from api_pipeline.diagnostics.steps import Report


@click.command("smoke")
@pass_common
@table_option
@json_option
def command(common: Common, table: str | None, as_json: bool) -> None:
    """Test the database, the staging table and the endpoint, and sum up. No record is sent.

    In testing mode it skips the endpoint until the endpoint's settings are there, and tests the rest.
    """
    from api_pipeline import documents
    from api_pipeline.diagnostics.database import check_connection, check_schema
    from api_pipeline.diagnostics.steps import exit_code_of, summary_table
    from api_pipeline.settings.model import Purpose

    options = {"TABLE_NAME": table}
    with (
        settings_failing("smoke", as_json=as_json, is_one_of_many=True),
        session(common, Purpose.DATABASE, options) as started,
    ):
        reports = []
        for check in (check_connection, check_schema):
            reports.append(check(started.settings))
            show(reports[-1], started.redactor, as_json=as_json, quiet=common.quiet)
        reports.append(_endpoint_report(common, options, started))
        show(reports[-1], started.redactor, as_json=as_json, quiet=common.quiet)
    code = exit_code_of(reports)
    if as_json:
        print_json(documents.smoke(reports), started.redactor)
    elif not common.quiet or code:
        say(started.redactor("\n".join(summary_table(reports))))
    raise SystemExit(code)


def _endpoint_report(common: Common, options: dict[str, str | None], started: Session) -> Report:
    """Test the endpoint with settings of its own, so that what is missing there stops no other test."""
    from api_pipeline.diagnostics.endpoint import check_endpoint
    from api_pipeline.diagnostics.steps import endpoint_not_set, settings_report
    from api_pipeline.errors import SettingsError
    from api_pipeline.logs.redaction import Redactor
    from api_pipeline.settings.loading import load_settings
    from api_pipeline.settings.model import Purpose

    known = started.settings
    if known.testing_mode and not (known.api_endpoint or known.token_endpoint):
        return endpoint_not_set()
    try:
        settings = load_settings(sources_of(common, options), Purpose.ENDPOINT)
    except SettingsError as error:
        return settings_report("test-endpoint", error)
    started.redactor.follow(Redactor.for_settings(settings))
    for warning in settings.warnings:
        if warning not in known.warnings:
            logging.getLogger(__name__).warning("%s", warning)
    return check_endpoint(settings, started.redactor.add)
