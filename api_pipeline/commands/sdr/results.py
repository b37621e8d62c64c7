"""`sdr results`: the stored results of the last validation again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import mode_option, mode_settings, period_argument, sdr_session
from api_pipeline.commands.sdr.showing import results_page

if TYPE_CHECKING:
    from api_pipeline.sdr.nouns import TecFinding
    from api_pipeline.sdr.report import ResultPage


@click.command("results")
@pass_common
@period_argument
@mode_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the results as CSV, one line each.")
@click.option(
    "--report", type=click.Path(), metavar="FOLDER", help="Write the results to this folder, as a page and as CSV."
)
@click.option("--errors-only", is_flag=True, help="Leave warnings out.")
@click.option("--code", metavar="CODE", help="Show only results with this code.")
@click.option("--with-record-text", is_flag=True, help="Add the text of each record to the CSV; it is personal data.")
@json_option
def command(
    common: Common,
    period: str,
    indicative: bool,  # noqa: ARG001 - the tables keep no kind of return
    testing: bool | None,
    as_csv: bool,
    report: str | None,
    errors_only: bool,
    code: str | None,
    with_record_text: bool,
    as_json: bool,
) -> None:
    """Show the stored results of the last validation of PERIOD. TEC is not called."""
    from api_pipeline.assembly.sdr import store_alone
    from api_pipeline.documents import sdr as documents
    from api_pipeline.sdr import periods
    from api_pipeline.sdr import report as pages
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.sdr.statements import Scope

    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    with (
        sdr_session(common, Purpose.TABLES, mode_settings(testing)) as started,
        store_alone(started.settings) as (store, receiver),
    ):
        found = periods.find_begun(period, store.periods(receiver))
        page = results_page(store, Scope(receiver, found.return_id), found)
    if errors_only or code is not None:
        page = _part_of(page, errors_only=errors_only, code=code)
    written = pages.write(Path(report), page, with_record_text=with_record_text) if report else ()
    if as_json:
        print_json(documents.validated(found, page, written, 0))
    else:
        text = pages.as_csv(page, with_record_text=with_record_text) if as_csv else "\n".join(pages.lines(page))
        click.echo(text, nl=not as_csv)
    if written:
        click.echo(f"The report is in {written[0]}, the list in {written[1]}.", err=as_csv or as_json)


def _part_of(page: ResultPage, *, errors_only: bool, code: str | None) -> ResultPage:
    """Return the page with the findings alone that the options ask for."""

    def chosen(findings: Sequence[TecFinding]) -> list[TecFinding]:
        return [one for one in findings if (one.is_error or not errors_only) and (code is None or one.code == code)]

    before = page.before and chosen(page.before)
    return replace(page, findings=chosen(page.findings), before=before, whole=page.findings)
