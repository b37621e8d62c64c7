"""Load the named statements of `data/*.sql`, where every statement the program issues is written once.

A statement begins at a line `-- name: xyz`; the comment lines that follow say what it is for, and the rest is SQL.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_NAME = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)


class NamedSql(str):
    """The text of a statement that knows its name, so that an error can say which statement was refused."""

    __slots__ = ("name",)

    name: str

    def __new__(cls, text: str, name: str) -> NamedSql:
        """Return `text` with a name."""
        made = super().__new__(cls, text)
        made.name = name
        return made

    def format(self, *pieces: object, **named: object) -> NamedSql:
        """Return the statement with its placeholders filled; it keeps its name."""
        return NamedSql(super().format(*pieces, **named), self.name)


class Statement(NamedTuple):
    """A named SQL statement: `purpose` is a sentence for the database administrator, `sql` still has placeholders."""

    name: str
    purpose: str
    sql: NamedSql


@cache
def load(file_name: str = "queries.sql") -> dict[str, Statement]:
    """Return the statements of one packaged file by name, in the order of the file."""
    text = (files("api_pipeline") / "data" / file_name).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {name: _statement(name, body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _statement(name: str, body: str) -> Statement:
    lines = [line for line in body.strip().splitlines() if line.strip()]
    comments = [line[2:].strip() for line in lines if line.startswith("--")]
    sql = "\n".join(line for line in lines if not line.startswith("--"))
    return Statement(name, " ".join(comments), NamedSql(sql.rstrip(";\n "), name))


def placeholders(count: int) -> str:
    """Return `?, ?, ...` for a list of `count` values."""
    return ", ".join("?" * count)
