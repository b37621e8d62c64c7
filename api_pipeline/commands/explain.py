"""`explain`: one child's story."""

from __future__ import annotations

import sys

import click

from api_pipeline.commands.common import Common, not_empty, pass_common, print_json, say, session, table_option
from api_pipeline.common.terminal import is_terminal


@click.command("explain")
@pass_common
@click.argument("person_id", callback=not_empty)
@table_option
@click.option("--with-values", is_flag=True, help="Also show the values of the payload; only on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, without values.")
def command(common: Common, person_id: str, table: str | None, with_values: bool, as_json: bool) -> None:
    """Explain one child: the rows, what the receiver holds, what differs, why it is due, and every record sent.

    PERSON_ID is the id as the staging table has it. Nothing is written, nothing is sent. Without --with-values only ids
    and names of members are shown.
    """
    from api_pipeline import documents
    from api_pipeline.explain.page import story_lines
    from api_pipeline.explain.story import story_of
    from api_pipeline.settings.model import Purpose

    if with_values and as_json:
        raise click.UsageError("--with-values does not go with --json: JSON never holds a child's values.")
    if with_values and not is_terminal(sys.stdout):
        raise click.UsageError("--with-values shows a child's data, so it writes to a terminal only, not to a file.")
    with session(common, Purpose.DATABASE, {"TABLE_NAME": table}) as started:
        story = story_of(started.settings, started.run_id, person_id)
    if as_json:
        print_json(documents.explained(story))
    else:
        say("\n".join(story_lines(story, with_values=with_values)))
