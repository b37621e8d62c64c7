"""`demo`: see the whole job work, on a machine that has nothing."""

from __future__ import annotations

from pathlib import Path

import click

from api_pipeline.commands.common import Common, pass_common, session


@click.command("demo")
@pass_common
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("d2i-csc-api-demo"),
    help="Put the demo's database into this folder.",
)
@click.option(
    "--children", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Invent this many children."
)
def command(common: Common, folder: Path, children: int) -> None:
    """Run the whole job on an embedded database and an embedded receiver. It needs nothing and takes seconds."""
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.demos.council import demo
    from api_pipeline.settings.model import Purpose

    with session(common, Purpose.NOTHING):
        stop = stop_on_signals()
        echo = (lambda _text: None) if common.quiet else click.echo
        code = demo(folder, children, echo, stop)
    raise SystemExit(code)
