"""`sdr demo`: the whole return with an invented provider and a simulated TEC."""

from __future__ import annotations

from pathlib import Path

import click

from api_pipeline.commands.common import Common, pass_common
from api_pipeline.commands.sdr.common import sdr_session


@click.command("demo")
@pass_common
@click.option("--folder", type=click.Path(path_type=Path), help="Put the demo's database and report into this folder.")
@click.option(
    "--learners", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Invent this many learners."
)
def command(common: Common, folder: Path | None, learners: int) -> None:
    """Submit and validate with an invented provider and a simulated TEC: errors are found, corrected, and it passes."""
    from api_pipeline.demos.sdr import demo
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.settings.loading import working_folder

    with sdr_session(common, Purpose.NOTHING):
        echo = (lambda _text: None) if common.quiet else click.echo
        code = demo(folder or working_folder() / "sdr-demo", learners, echo)
    raise SystemExit(code)
