"""`validate`: what is wrong with the payloads, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import click

from api_pipeline.commands.common import Common, json_option, open_table, pass_common, print_json, say, table_option


@click.command("validate")
@pass_common
@table_option
@click.option("--all", "every_row", is_flag=True, help="Check every row, not only those that are due.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="Also write every finding to this file.")
@json_option
def command(common: Common, table: str | None, every_row: bool, csv_path: Path | None, as_json: bool) -> None:
    """Check every pending payload against the schema and list every finding by rule. Nothing is sent.

    Exit code 1 if a record would not be sent.
    """
    from api_pipeline import documents
    from api_pipeline.diagnostics.payloads import validate
    from api_pipeline.outbox.staging_table import FILL_THE_TABLE
    from api_pipeline.run_summary import counted
    from api_pipeline.settings.shared import check_output

    with open_table(common, table) as (settings, store):
        check_output("--csv", csv_path, settings.connection_string, settings.env_file)
        result = validate(store, settings, csv_path, every_row=every_row)
    if as_json:
        print_json(documents.validation(result, settings.table_name, csv_path))
    elif result.is_table_empty:
        say(f"The table {settings.table_name} is empty; {FILL_THE_TABLE}.")
    elif not common.quiet or result.refused_rows:
        say(
            f"Checked {counted(result.rows, '{payload|payloads}')} of {settings.table_name}: "
            f"{counted(result.refused_rows, '{is|are}')} invalid and would not be sent."
        )
        if result.nulls:
            say(f"{counted(result.nulls, 'null {member|members}')} would be taken out before sending.")
        for rule in result.ordered_rules():
            say(f"  {rule.findings:>7} x {rule.severity}: {rule.rule} at {rule.place}: {rule.message}")
            say(f"            for example person_id {', '.join(rule.examples)}")
        if csv_path:
            say(f"Every finding is in {csv_path}.")
    raise SystemExit(1 if result.refused_rows else 0)
