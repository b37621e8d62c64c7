"""The options that every `deploy-schema` shares: run the script, or print that of another database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])


def script_options(*dialects: str) -> Callable[[_Function], _Function]:
    """Add `--apply` and `--dialect` with these databases to a command."""
    apply_option = click.option(
        "--apply", "is_applied", is_flag=True, help="Run the script on the configured database."
    )
    dialect_option = click.option(
        "--dialect",
        type=click.Choice(dialects or ("sqlserver", "postgresql", "sqlite")),
        help="Print the script for this database, without connecting to any.",
    )

    def add(function: _Function) -> _Function:
        return apply_option(dialect_option(function))

    return add


def check_options(dialect: str | None, *, is_applied: bool, as_json: bool) -> None:
    """Refuse options that do not go together. Errors: UsageError."""
    if dialect is not None and is_applied:
        raise click.UsageError("--dialect prints a script for another database; it does not go with --apply.")
    if as_json and not is_applied:
        raise click.UsageError("--json goes with --apply: without it the script is printed, as it is.")
