"""`xporter demo`: see it work on a machine that has nothing."""

from __future__ import annotations

from pathlib import Path

import click

from api_pipeline.commands.common import Common, pass_common, session


@click.command("demo")
@pass_common
@click.option("--folder", type=click.Path(path_type=Path), help="Put the demo's database into this folder.")
def command(common: Common, folder: Path | None) -> None:
    """Collect three invented schools for three nights: a pupil leaves, a school revokes; then show attendance."""
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.demos.xporter import default_folder
    from api_pipeline.demos.xporter import demo as run_demo
    from api_pipeline.settings.model import Purpose

    with session(common, Purpose.NOTHING):
        stop = stop_on_signals()
        code = run_demo(folder or default_folder(), (lambda _line: None) if common.quiet else click.echo, stop)
    raise SystemExit(code)
