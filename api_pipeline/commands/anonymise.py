"""`anonymise`: invented records in the shape of the live ones, for rehearsals with the receiver's test service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from api_pipeline.commands.common import Common, json_option, not_empty, pass_common, print_json, session
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.anonymise.filling import CopyOptions, CopyOutcome
    from api_pipeline.anonymise.tables import Pair


@click.command("anonymise")
@pass_common
@click.option(
    "--source", metavar="TABLE", callback=not_empty, help="Read this live table [default: TABLE_NAME without _anon]."
)
@click.option(
    "--target",
    metavar="TABLE",
    callback=not_empty,
    help="Fill this table; its name must end in _anon [default: the source's name with _anon].",
)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Make at most N records.")
@click.option(
    "--replace",
    is_flag=True,
    help="First remove the rows of the anonymised copy; without this option it must be empty.",
)
@click.option("--as-sent", is_flag=True, help="Treat previous payloads as accepted, to rehearse deltas and purges.")
@click.option("--dry-run", is_flag=True, help="Make and check every record; write none.")
@json_option
def command(common: Common, source: str | None, target: str | None, as_json: bool, **chosen: Any) -> None:
    """Fill the anonymised copy (_anon) of the live table with invented records of the same structure.

    If any name, date, postcode or identifier survived, nothing is written (exit code 1). The live table is only read.
    """
    from api_pipeline import documents
    from api_pipeline.anonymise.filling import CopyOptions, fill_copy_of
    from api_pipeline.anonymise.tables import pair_of
    from api_pipeline.settings.model import Purpose

    with session(common, Purpose.DATABASE) as started:
        settings = started.settings
        pair = pair_of(settings.table_name, source, target)
        options = CopyOptions(**chosen)
        outcome = fill_copy_of(settings.connection_string, pair, options)
    if as_json:
        print_json(documents.anonymised(pair, options, outcome))
    elif not common.quiet:
        for line in sentences(pair, options, outcome):
            click.echo(line)


def sentences(pair: Pair, options: CopyOptions, outcome: CopyOutcome) -> list[str]:
    """Return the outcome in a few sentences, counts and row ids only."""
    source, target = pair.source_name, pair.target_name
    records = f"invented {{record|records}} of {source}"
    if options.dry_run:
        said = [counted(outcome.records, f"{records} would be written to {target}; nothing was written.")]
    else:
        found = "nothing of the originals was found in {it|them}."
        said = [counted(outcome.records, f"{records} {{was|were}} written to {target}; {found}")]
    if outcome.replaced:
        said.append(counted(outcome.replaced, "earlier {row was|rows were} removed from ") + f"{target}.")
    if outcome.unreadable.count:
        skipped = counted(outcome.unreadable.count, "{row was|rows were} skipped, because the payload")
        said.append(f"{skipped} is blank or cannot be read: {outcome.unreadable} of {source}.")
    if outcome.left_out:
        what = "{member or value|members or values} that the schema does not have {was|were} left out."
        said.append(counted(outcome.left_out, what))
    return said
