"""The randomised campaign: runs that meet faults of every kind at random points, and the law that holds after them.

`python -m tests.faults.campaign --runs 300 --seed 1` does one from the command line (scripts/campaign).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeAlias

from tests.faults.story import Figures, LawBroken, Story
from tests.support.databases import EXTERNAL, TestDatabase, postgresql_database, sqlite_database
from tests.support.postgres import PostgresServer, running_server
from tests.support.sqlserver import own_database
from tests.support.strict import strict_database

# Makes a database in a folder, and takes it away at the end.
Maker: TypeAlias = Callable[[Path], AbstractContextManager[TestDatabase]]


def run_campaign(
    runs: int,
    seed: int,
    server: PostgresServer | None,
    postgres_share: float,
    tell: Callable[[str], None],
    embedded: Maker = sqlite_database,
) -> Figures:
    """Do at least so many runs with faults, in stories of six nights, and return the figures.

    `embedded` makes the databases that are not on the server.
    """
    figures = Figures()
    began = time.monotonic()
    rng = random.Random(seed)
    while figures.runs < runs:
        story_seed = rng.randrange(10**9)
        on_postgres = server if rng.random() < postgres_share else None
        try:
            tell_story(story_seed, maker_of(on_postgres) if on_postgres else embedded, figures)
        except LawBroken as broken:
            figures.broken.append(str(broken))
            tell(str(broken))
    figures.seconds = time.monotonic() - began
    return figures


def maker_of(server: PostgresServer | None) -> Maker:
    """Return what makes a story's database: on this server, or else embedded."""
    return sqlite_database if server is None else lambda _folder: postgresql_database(server)


def tell_story(seed: int, maker: Maker, figures: Figures, nights: int = 6) -> None:
    """Live one story in a database of its own. Errors: LawBroken."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="campaign-")))
        Story(seed, stack.enter_context(maker(folder)).deploy(), folder, figures).run(nights)


def main() -> int:
    """Do a campaign and print its figures; 1 where the law was broken."""
    parser = argparse.ArgumentParser(description="Runs with faults of every kind, and the law that holds after them.")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres-share", type=float, default=0.25)
    parser.add_argument("--strict", action="store_true", help="the strict database in the place of SQLite")
    parser.add_argument("--external", action="store_true", help=f"the SQL Server of {EXTERNAL} in its place")
    parser.add_argument("--story", type=int, help="one story by its seed, on SQLite (or what stands in its place)")
    options = parser.parse_args()
    embedded: Maker = strict_database if options.strict else sqlite_database
    if options.external:
        embedded = lambda _folder: own_database(os.environ[EXTERNAL])  # noqa: E731 -- as short as the others
    with ExitStack() as stack:
        if options.story is not None:
            figures = Figures()
            tell_story(options.story, embedded, figures)
        else:
            server = stack.enter_context(running_server()) if options.postgres_share > 0 else None
            figures = run_campaign(options.runs, options.seed, server, options.postgres_share, _say, embedded)
    for line in figures.lines():
        _say(line)
    return 1 if figures.broken else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
