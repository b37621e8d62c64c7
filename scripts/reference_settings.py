"""The references of the settings, from their tables: one table for each group."""

from __future__ import annotations

from collections.abc import Iterable

from api_pipeline.sdr import settings_table
from api_pipeline.settings.definition import Group, Setting
from api_pipeline.settings.definitions import SETTINGS
from api_pipeline.settings.reference import default_in_words
from scripts.reference_commands import MADE, cell

_HEAD = """\
# Settings

An option beats an environment variable, which beats the operating system's credential store, which beats the `.env` \
file. A blank value means the default. A secret is never shown or logged, and may be kept by \
`d2i-csc-api secrets set NAME` instead of in a file.

A relative path in the `.env` file counts from that file's folder, elsewhere from the working folder.

"""
_SDR_HEAD = """\
# Settings of the Single Data Return

An option beats an environment variable, which beats the operating system's credential store, which beats the `.env` \
file. A blank value means the default. A secret is never shown or logged, and may be kept by \
`d2i-csc-api secrets set NAME` instead of in a file. `d2i-csc-api sdr config --example` prints a file with all of them.

"""


def settings_page() -> str:
    """Return the page of the settings."""
    return MADE + _HEAD + _tables(SETTINGS)


def sdr_settings_page() -> str:
    """Return the page of the settings of the Single Data Return."""
    return MADE + _SDR_HEAD + _tables(settings_table.SETTINGS)


def _tables(settings: Iterable[Setting]) -> str:
    by_group: dict[Group, list[str]] = {group: [] for group in Group}
    for setting in settings:
        by_group[setting.group].append(_row(setting))
    head = "| name | meaning | accepted | default |\n|---|---|---|---|\n"
    return "\n".join(f"## {group.value}\n\n{head}" + "".join(rows) for group, rows in by_group.items() if rows)


def _row(setting: Setting) -> str:
    names = " or ".join(f"`{name}`" for name in (setting.name, *setting.aliases))
    secret = " **Secret.**" if setting.secret else ""
    default = f"`{setting.default}`" if setting.default else default_in_words(setting)
    cells = (names, setting.meaning + secret, setting.expected, default)
    return f"| {' | '.join(map(cell, cells))} |\n"
