"""A group of commands that are imported when they are called: `--help` must not wait for drivers and libraries."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

import click
from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """A group whose commands are modules with a `command`; `entries` has name, module and one line of help.

    `headings` are those of the help, each with the names under it; without them there is one heading.
    """

    entries: ClassVar[Mapping[str, tuple[str, str]]]
    headings: ClassVar[Mapping[str, Sequence[str]]] = {}
    aliases: ClassVar[Mapping[str, str]] = {}
    package: ClassVar[str]

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
        for heading, names in (self.headings or {"Commands": list(self.entries)}).items():
            with formatter.section(heading):
                # As wide as the longest, so that the texts under all headings begin in one column.
                formatter.write_dl([(name.ljust(width), self.entries[name][1]) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so, without importing any command: a shell waits for it."""
        found = [
            CompletionItem(name, help=text) for name, (_, text) in self.entries.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
