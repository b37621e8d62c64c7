"""Make dist/pre_flight_checks.zip: the SQL scripts that check a council's own tables, for a release.

With a path as argument the archive is written there. The same version always gives the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from api_pipeline import __version__
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.preflight import render
from scripts.make_release import write_zip

_README = """\
Pre-flight checks for csc-api-pipeline {version}

What this is
  Three SQL scripts that look through the tables of the Standard Safeguarding Dataset (SSD) for values that cannot
  be sent to the Department for Education: ids, lengths, codes and dates. They only read: there is nothing but SELECT
  in them. Nothing needs to be installed.

How to use it
  1. Take the script for your database:
       preflight_sqlserver.sql    SQL Server 2012 or later (Management Studio, sqlcmd)
       preflight_postgresql.sql   PostgreSQL (psql, pgAdmin)
       preflight_sqlite.sql       SQLite
  2. Open it in the database that holds the SSD tables (names that begin with ssd_), and run it.
  3. Each rule gives one row: how many rows break it, the key of one of them, and what the program would make of them.
     A "found" of 0 is good. "held back" means that the whole child is not sent until it is corrected.

  If the tables stand in a schema of their own, print the script for it with:
     d2i-csc-api preflight --dialect sqlserver --schema NAME

What it shows
  Counts and system keys. No names, birth dates or other values; even so, treat the result as confidential.
"""


def write(path: Path) -> None:
    """Write the archive, and its folder where that is missing."""
    texts = {"README.txt": _README.format(version=__version__)}
    texts.update((f"preflight_{dialect.value}.sql", render(dialect)) for dialect in Dialect)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Windows' line ends for Windows' editors.
    write_zip(path, {name: text.replace("\n", "\r\n").encode("ascii") for name, text in texts.items()})


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "dist" / "pre_flight_checks.zip"
    write(target)
    print(target)
