"""The reference of the commands and of the Python interface, from click and from the interface's own docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass

import click

from api_pipeline import interface
from api_pipeline.cli import cli
from api_pipeline.commands.common import common_options

PROGRAM = "d2i-csc-api"
MADE = "<!-- Made by scripts/make-docs from the code; changes belong there. -->\n"


def cli_page() -> str:
    """Return the reference of the commands."""
    parts = [
        f"{MADE}# Commands\n",
        f"`{PROGRAM}` and `csc-api-pipeline` are the same program, and so is the executable. Without a command it\n"
        "does the main job, as `run` does. Each command has `--help`.\n",
        "| command | what it does |\n|---|---|",
    ]
    commands = list(_commands(cli, click.Context(cli, info_name=PROGRAM)))
    parts[-1] += "".join(
        f"\n| [`{path}`](#{_anchor(path)}) | {_first_sentence(command)} |" for path, command, _ in commands
    )
    parts.append("")
    parts.append("## Options that every command has\n")
    parts.append(_options_table(_common_parameters(), hidden=set()))
    shared: set[str | None] = {parameter.name for parameter in _common_parameters()}
    for path, command, context in commands:
        parts += _command_section(path, command, context, shared)
    parts.append(_EXIT_CODES)
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=name)
        path = inner.command_path
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield path, command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _command_section(path: str, command: click.Command, context: click.Context, shared: set[str | None]) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    help_text = inspect.cleandoc(command.help or "")
    parts = [f"\n## {path}\n", f"{help_text}\n", f"```text\n{path} {usage}\n```\n"]
    table = _options_table(command.get_params(context), hidden=shared)
    return [*parts, table] if table else parts


def _options_table(parameters: list[click.Parameter], hidden: set[str | None]) -> str:
    rows = [
        _option_row(parameter)
        for parameter in parameters
        if isinstance(parameter, click.Option) and parameter.name not in hidden and "--help" not in parameter.opts
    ]
    return "\n".join(["| option | meaning | default |", "|---|---|---|", *rows, ""]) if rows else ""


def _option_row(option: click.Option) -> str:
    names = " / ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {_wanted(option)}"
    default = ""
    if option.show_default:
        on = option.opts[0] if option.default else next(iter(option.secondary_opts), "")
        default = f"`{on if option.is_flag else option.default}`"
    return f"| {names}{value} | {cell(option.help or '')} | {default} |"


def _wanted(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return " or ".join(f"`{choice}`" for choice in option.type.choices)
    return f"`{option.make_metavar(click.Context(click.Command('any'))).removesuffix(' RANGE')}`"


def _common_parameters() -> list[click.Parameter]:
    @click.command("any")
    @common_options
    def any_command(**_keywords: object) -> None:
        """Stand for any command."""

    return list(any_command.params)


def _first_sentence(command: click.Command) -> str:
    text = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())
    return cell(text)


_EXIT_CODES = """
## Exit codes

| code | meaning |
|---|---|
| 0 | everything due was accepted, or there was nothing due |
| 1 | the run ended, but a record is in `error` or a status word is unknown; for `validate`: a record is invalid |
| 2 | usage or settings |
| 3 | the database cannot be reached or used |
| 4 | authentication refused |
| 5 | the receiver or the token service could not be reached or kept failing; what was not tried is left as it was |
| 6 | `sdr` alone: TEC declined the return (closed, not open, unknown, stop gate) |
| 75 | another run holds the table |
| 130 | stopped by a signal, after what was in flight had been written back |

Of several, the first that applies in the order 130, 3, 4, 5, 1, 0.
"""


def python_page() -> str:
    """Return the reference of the Python interface."""
    parts = [
        f"{MADE}# Python interface\n",
        f"{inspect.getdoc(interface)}\n",
        "The notebook [rehearsal](../notebooks/rehearsal.ipynb) shows it at work.\n",
        "```python\n"
        "from api_pipeline import as_table, load_settings, rehearse\n\n"
        'result = rehearse(load_settings(TABLE_NAME="ssd_api_data_staging_anon"), limit=10)\n'
        "print(as_table(result.counts))\n"
        "print(result.result)\n```\n",
        "## Functions\n",
    ]
    members = {name: getattr(interface, name) for name in interface.__all__}
    for name, member in members.items():
        if inspect.isfunction(member):
            parts.append(f"### {name}\n\n```python\n{_signature(name, member)}\n```\n\n{inspect.getdoc(member)}\n")
    parts.append("## Rows and results\n")
    for name, member in members.items():
        if isinstance(member, type) and is_dataclass(member) and name != "Settings":
            parts.append(f"### {name}\n\n{inspect.getdoc(member)}\n\n{_members(member)}")
    parts.append(
        "`Settings` has a field for each of the [settings](settings.md), in small letters; what it shows of itself\n"
        "holds no secret. `as_table` gives a `Table`, which shows as a table in a notebook and as text when printed."
    )
    return "\n".join(parts)


def _signature(name: str, function: Callable[..., object]) -> str:
    signature = f"{name}{inspect.signature(function)}"
    plain = signature.replace("'", "")
    if len(plain) <= 100:
        return plain
    inside, _, after = plain.partition("(")[2].rpartition(") -> ")
    return f"{name}(\n    " + inside.replace(", ", ",\n    ") + f",\n) -> {after}"


def _members(kind: type) -> str:
    rows = [f"| `{name}` | `{cell(str(annotation))}` |" for name, annotation in kind.__annotations__.items()]
    return "\n".join(["| field | type |", "|---|---|", *rows, ""])


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def cell(text: str) -> str:
    return text.replace("|", "\\|")
