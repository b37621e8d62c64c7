"""A group of commands that are imported when they are called: `--help` must not wait for drivers and libraries."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click import formatting

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


_NARROWEST, _USUAL = 50, 80


class LazyGroup(click.Group):
    """A group whose commands are modules of `package` with a `command`.

    `headings` are those of the help: under each the commands by name, with their module and one line of help.
    `aliases` are further names of commands.
    """

    def __init__(
        self,
        *arguments: Any,
        package: str,
        headings: Mapping[str, Mapping[str, tuple[str, str]]],
        aliases: Mapping[str, str] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(*arguments, **others)
        self.package = package
        self.headings = headings
        self.entries = {name: entry for commands in headings.values() for name, entry in commands.items()}
        self.aliases = aliases or {}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of a call, with the width of its help; to find it, click loads three archive formats."""
        widest = self.context_settings.get("max_content_width", _USUAL)
        extra.setdefault("terminal_width", formatting.FORCED_WIDTH or max(min(_columns(), widest) - 2, _NARROWEST))
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the documentation."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or alias."""
        entry = self.entries.get(self.aliases.get(cmd_name, cmd_name))
        if entry is None:
            return None
        module = importlib.import_module(f"{self.package}.{entry[0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by heading, without importing them."""
        width = max(map(len, self.entries))
        for heading, commands in self.headings.items():
            with formatter.section(heading):
                # As wide as the longest, so that the texts under all headings begin in one column.
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so, without importing any command: a shell waits for it."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=text) for name, (_, text) in self.entries.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _columns() -> int:
    """Return how wide the terminal is, as COLUMNS or the terminal itself says; 80 where nothing does."""
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and int(named):
        return int(named)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or _USUAL  # type: ignore[union-attr] # None is caught
    except (AttributeError, ValueError, OSError):
        return _USUAL
