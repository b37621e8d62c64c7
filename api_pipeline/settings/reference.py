"""The settings as they stand in a `.env` file, made from their table: `.env.example`, and that of the school data."""

from __future__ import annotations

import textwrap

from api_pipeline.settings.definition import Group, Needed, Setting, SettingKind
from api_pipeline.settings.definitions import SETTINGS

_HEAD = """\
Settings of d2i-csc-api. Copy this file to `.env` (or `env.txt`) in the folder where the command is run, and
fill in what you need. A setting left blank, or with a # before it, has its default.

An option on the command line beats an environment variable, which beats the operating system's credential
store (d2i-csc-api secrets set NAME), which beats this file.

A value that holds a blank followed by #, or that begins with a quote, stands in quotes: 'like # this' or
"like # this". Inside quotes a quote of the same sort is written \\' or \\", and two backslashes stand for one
(not in paths, where a backslash is a backslash); nothing else is special, not even $.
A relative path counts from this file's folder.

Save the file as UTF-8, and let only the account that runs the command read and change it and its folder.
"""

_SCHOOL_SECRETS = """\
The secret of a school is best kept by: d2i-csc-api xporter schools add ESTAB. Where there is no credential store it
stands here, under the school's seven digits: XPORTER_SECRET_9990001=...
"""


def env_example() -> str:
    """Return the text of `.env.example`: every setting with its meaning, what is accepted and its default."""
    parts = [as_comment(_HEAD)]
    for group in Group:
        if group is not Group.XPORTER:
            parts.extend(_env_group(group))
    return "\n".join(parts)


def xporter_example() -> str:
    """Return the settings of the school data collector as they stand in a `.env` file, beside the others."""
    return "\n".join(_env_group(Group.XPORTER)) + "\n" + as_comment(_SCHOOL_SECRETS)


def _env_group(group: Group) -> list[str]:
    entries = [env_entry(setting) for setting in SETTINGS if setting.group is group]
    return [f"# ---- {group.value} ----\n", *entries]


def as_comment(text: str) -> str:
    """Return a text as comment lines of a settings file."""
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def env_entry(setting: Setting) -> str:
    """Return a setting as it stands in a settings file, with its meaning as a comment."""
    lines = textwrap.wrap(setting.meaning, 108)
    if setting.kind not in (
        SettingKind.TEXT,
        SettingKind.PATH,
        SettingKind.CONNECTION,
        SettingKind.TABLE,
        SettingKind.PROXY,
        SettingKind.URL,
        SettingKind.WEBHOOK,
    ):
        lines.append(f"Accepted: {setting.expected}.")
    if setting.aliases:
        lines.append(f"Another name for it: {', '.join(setting.aliases)}.")
    if setting.needed is not Needed.NEVER or setting.default_note:
        lines.append(f"Default: {default_in_words(setting)}.")
    if setting.example:
        lines.append(f"Example: {setting.name}={setting.example}")
    is_open = setting.needed is not Needed.NEVER or setting.name == "TESTING_MODE"
    return as_comment("\n".join(lines)) + f"{'' if is_open else '# '}{setting.name}={setting.default}\n"


def default_in_words(setting: Setting) -> str:
    """Return the default of a setting, or what is needed where it has none."""
    if setting.needed is Needed.DATABASE:
        return "none, needed for every command that opens the database"
    if setting.needed is Needed.LIVE:
        return "none, needed when live"
    return setting.default_note or setting.default or "none"
