"""Commands that messages advise, with the table and the settings file of this call, ready to be copied."""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_WITH_TABLE = frozenset(
    {"run", "stage", "validate", "test-schema", "smoke", "status", "explain", "report", "requeue", "deploy-schema"}
)
_OTHERS = frozenset(
    {"test-db-connection", "test-endpoint", "test-notify", "config show", "config check", "schedule", "anonymise"}
)
# Groups of commands: of what follows their name a sentence does not show where the command ends.
_GROUPS = frozenset({"sdr", "xporter"})
_CALL: ContextVar[tuple[str, str]] = ContextVar("call", default=("", ""))


def remember(env_file: Path | None, table: object) -> None:
    """Keep what this call was given by option; None is what it was not given."""
    _CALL.set((_option("--env-file", env_file), _option("--table", table)))


def as_called(text: str) -> str:
    """Return a message in which every command that it advises has the options of this call."""
    env_file, table = _CALL.get()
    if not (env_file or table):
        return text

    def completed(found: re.Match[str]) -> str:
        command, rest = found["command"], found["rest"]
        if command in _GROUPS:
            return f"d2i-csc-api{env_file} {command}{rest}"
        own_table = table if command in _WITH_TABLE and "--table" not in rest else ""
        return f"d2i-csc-api {command}{own_table}{env_file if '--env-file' not in rest else ''}{rest}"

    return _advised().sub(completed, text)


@cache
def _advised() -> re.Pattern[str]:
    # Made when it is used: `--help` advises nothing.
    names = "|".join(sorted(_WITH_TABLE | _OTHERS | _GROUPS, key=len, reverse=True))
    return re.compile(rf"\bd2i-csc-api (?P<command>{names})(?![\w-])(?P<rest>(?: --?[\w-]+)*)")


def _option(name: str, value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    return f" {name} {text}" if re.fullmatch(r"[\w./:\\+-]+", text) else f' {name} "{text}"'
