"""`sdr check`: the local checks; sends nothing."""

from __future__ import annotations

from collections import Counter

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import chosen, collection_option, sdr_session
from api_pipeline.run_summary import counted

_SHOWN = 20


@click.command("check")
@pass_common
@collection_option
@click.option("--indicative", is_flag=True, help="Check for an indicative return, which has three collections.")
@click.option("--all", "shows_all", is_flag=True, help=f"List every finding, not only the first {_SHOWN} of a rule.")
@json_option
def command(common: Common, collections: tuple[str, ...], indicative: bool, shows_all: bool, as_json: bool) -> None:
    """Check the staged records here and list what is wrong; send nothing. Exit code 1 if a record is wrong."""
    from api_pipeline.assembly.sdr import store_alone
    from api_pipeline.documents import sdr as documents
    from api_pipeline.logs.plain_text import harmless
    from api_pipeline.sdr.checks import check_all, misplaced, misplaced_text
    from api_pipeline.sdr.openapi import schema_check
    from api_pipeline.sdr.settings import Purpose

    counts: Counter[tuple[str, str]] = Counter()
    listed = []
    with sdr_session(common, Purpose.TABLES) as started:
        settings = started.settings
        schema = schema_check(settings.schema, settings.paths) if settings.schema else None
        with store_alone(started.settings) as (store, _):
            for error in check_all(store, chosen(collections), indicative=indicative, schema=schema):
                key = (error.collection.value, error.rule)
                counts[key] += 1
                if shows_all or counts[key] <= _SHOWN:
                    listed.append(error)
                    if not as_json:
                        click.echo(f"{error.collection.value} {error.local_id or '-'}: {error.text}")
            by_word = store.count_staged()
            staged = sum(by_word.values())
    if words := misplaced(by_word):
        counts.update({(harmless(word), "collection"): count for word, count in words.items()})
        if not as_json:
            click.echo(misplaced_text(words))
    if as_json:
        print_json(documents.checked(listed, counts, staged, 1 if counts else 0))
        raise SystemExit(1 if counts else 0)
    for (collection, rule), count in counts.items():
        click.echo(f"{count:,} in {collection} by the rule {rule}")
    if not common.quiet:
        found = counted(sum(counts.values()), "{error was|errors were}", ",") if counts else "no error was"
        click.echo(f"{counted(staged, '{record is|records are}', ',')} staged; {found} found.")
    raise SystemExit(1 if counts else 0)
