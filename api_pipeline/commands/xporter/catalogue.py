"""`xporter catalogue`: what can be collected, and the scopes to ask a school for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.xporter.catalogue import Endpoint


@click.command("catalogue")
@pass_common
@click.argument("endpoint", required=False)
@json_option
def command(_common: Common, endpoint: str | None, as_json: bool) -> None:
    """List the endpoints that can be collected, or the tables, keys, fields and consent scopes of ENDPOINT."""
    from api_pipeline.documents import xporter as documents
    from api_pipeline.xporter.catalogue import load_catalogue

    if as_json:
        known = load_catalogue()
        print_json(documents.catalogue(known.endpoints if endpoint is None else [known.endpoint(endpoint)]))
        return
    if endpoint is None:
        for entry in load_catalogue().endpoints:
            tables = counted(len(entry.tables), "{table |tables}", ">2")
            click.echo(f"{entry.name:<30} {entry.asking:<24} {tables}  {entry.title}")
        return
    for line in _endpoint_lines(load_catalogue().endpoint(endpoint)):
        click.echo(line)


def _endpoint_lines(endpoint: Endpoint) -> list[str]:
    from api_pipeline.xporter.catalogue import scopes_of

    lines = [f"{endpoint.name}: {endpoint.title}", f"  asked: {endpoint.asking}"]
    lines.append(f"  options: {', '.join(endpoint.options) or 'none'}")
    lines.append(f"  scopes to ask a school for: {', '.join(sorted(scopes_of(endpoint.tables))) or 'none published'}")
    for table in endpoint.tables:
        key = ", ".join(table.key) + (" (guessed)" if table.key_is_guessed else "")
        lines.append(f"  {table.name}: key {key}{'' if table.is_published else '; its fields are not published'}")
        lines.extend(
            f"    {field.name:<32} {field.type:<12} {field.scopes.replace('|', ' or ').replace('&', ' and ')}".rstrip()
            for field in table.fields
        )
    return lines
