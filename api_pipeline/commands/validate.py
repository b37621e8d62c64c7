"""`validate`: what is wrong with the payloads, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, say, session, table_option


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
    from api_pipeline.diagnostics.payloads import Levels, validate
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.outbox.staging_table import FILL_THE_TABLE
    from api_pipeline.payloads.schema_check import Checker
    from api_pipeline.run_summary import counted
    from api_pipeline.settings.model import Purpose

    options = {"TABLE_NAME": table}
    with session(common, Purpose.DATABASE, options) as started, open_store(started.settings) as store:
        settings = started.settings
        store.check_table()
        levels = Levels(settings.schema_check, settings.schema_codes)
        result = validate(store, Checker(), levels, csv_path, every_row=every_row)
        is_empty = not result.rows and store.is_empty()
    rules = result.ordered_rules()
    if as_json:
        print_json(documents.validation(result, rules, settings.table_name, csv_path, is_empty=is_empty))
    elif is_empty:
        say(f"The table {settings.table_name} is empty; {FILL_THE_TABLE}.")
    elif not common.quiet:
        say(
            f"Checked {counted(result.rows, '{payload|payloads}')} of {settings.table_name}: "
            f"{counted(result.refused_rows, '{is|are}')} invalid and would not be sent."
        )
        if result.nulls:
            say(f"{counted(result.nulls, 'null {member|members}')} would be taken out before sending.")
        for rule in rules:
            people = ", ".join(rule.examples)
            say(f"  {rule.findings:>7} x {rule.severity}: {rule.rule} at {rule.place}: {rule.message}")
            say(f"            for example person_id {people}")
        if csv_path:
            say(f"Every finding is in {csv_path}.")
    raise SystemExit(1 if result.refused_rows else 0)
