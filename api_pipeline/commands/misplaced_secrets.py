"""Secrets on a command line, where others can read them: none is taken from it, and no error repeats one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, sources_of

if TYPE_CHECKING:
    from pathlib import Path

    from api_pipeline.logs.redaction import Redactor

TAKES_MORE = {"allow_extra_args": True}
"""For a command behind whose name a secret may be typed: `refuse_more` refuses it, where click would print it."""
_ADVICE = (
    "What is shown as *** may be a secret, and others can read a command line: keep a secret with d2i-csc-api secrets "
    "set, or write it into the settings file."
)
# Of these the password alone is secret.
_SECRET_IN_PART = frozenset({"DB_CONNECTION_STRING", "PROXY_URL"})
# An error that quotes a word quotes so many of its letters, however it shortens or writes it.
_TELLING = 8
# Each name with all that follows it: a secret may hold semicolons and further signs of equality.
_PAIR = r"(?s)(?=(?<!\w)((\w+)\s*=\s*(.+)))"
_LOGIN = r"://[^\s/@:]*:(\S+)@"


def refuse_more() -> None:
    """Refuse everything behind the name without printing it. Errors: UsageError."""
    if click.get_current_context().args:
        raise click.UsageError(
            "There is more on the line than the command takes (not shown, because it may be a secret); nothing was "
            "changed. Others can read a command line, so a secret is typed without echo, or read from standard input."
        )


def hide_secrets(arguments: Sequence[str], said: str) -> str:
    """Hide the secrets on a command line in all that is printed from now on; return advice where `said` has one.

    They are the secrets that arguments give to a name, and those among the settings of this call.
    """
    if not arguments:
        return ""
    from api_pipeline.logs.output import redact_output
    from api_pipeline.logs.redaction import Redactor
    from api_pipeline.sql.connection_string import HIDDEN

    redactor = Redactor()
    for argument in arguments:
        _add_typed(redactor, argument)
    # The credential store may wait for a person to unlock it, so it is left alone where no word can be one of its
    # secrets. What is set may be anything, also where the settings cannot be used: that must not hide the error itself.
    if HIDDEN in said or any(_is_repeated(argument, said) for argument in arguments):
        with suppress(Exception):
            _add_settings(redactor, _given_file(arguments))
    redact_output(redactor)
    hide = redactor.hide_known
    return _ADVICE if HIDDEN in hide(said) and any(hide(argument) != argument for argument in arguments) else ""


def _is_repeated(argument: str, said: str) -> bool:
    """Return whether an error may quote an argument, or what stands in it behind "=": whole, or its beginning."""
    words = (argument.lstrip("-"), argument.partition("=")[2].strip())
    return any(word[:_TELLING].casefold() in said.casefold() for word in words if word)


def _add_typed(redactor: Redactor, argument: str) -> None:
    """Make the secrets known that an argument gives to a name: a secret setting, a keyword, a user in a URL."""
    from api_pipeline.logs.redaction import SHORTEST_SECRET, is_password
    from api_pipeline.settings.definitions import STORED_SECRETS
    from api_pipeline.settings.definitions.xporter import school_secret_of

    redactor.add_assigned(argument)
    for password in re.findall(_LOGIN, argument):
        redactor.add(password)
    for pair, name, value in re.findall(_PAIR, argument):
        is_whole = name.upper() in STORED_SECRETS and name.upper() not in _SECRET_IN_PART
        if is_whole or school_secret_of(name.upper()):
            redactor.add(value)
        if len(value) < SHORTEST_SECRET and (is_whole or is_password(name)):
            redactor.add(pair)


def _add_settings(redactor: Redactor, env_file: Path | None) -> None:
    """Make the secrets known that are set, also where the settings cannot be used. Errors: PipelineError."""
    from api_pipeline.sdr.settings_table import SETTINGS as SDR_SETTINGS
    from api_pipeline.settings.definitions import SETTINGS, STORED_SECRETS
    from api_pipeline.settings.sources import gather, with_stored_secrets

    sources = sources_of(Common(env_file=env_file))
    gathered = gather(sources, only_logging=False, settings=(*SETTINGS, *SDR_SETTINGS))
    stored = with_stored_secrets(gathered, sources.secret_store, STORED_SECRETS)
    for secret in gathered.school_secrets.values():
        redactor.add(secret)
    add_of = {"DB_CONNECTION_STRING": redactor.add_connection_string, "PROXY_URL": redactor.add_proxy}
    for found in (gathered.found, stored.found):
        for name in found.keys() & (set(STORED_SECRETS) | _SECRET_IN_PART):
            add_of.get(name, redactor.add)(found[name].text)


def _given_file(arguments: Sequence[str]) -> Path | None:
    """Return the settings file that the command line names: the error may have come before its options were read."""
    from pathlib import Path

    for option, value in zip(arguments, (*arguments[1:], ""), strict=True):
        if option == "--env-file" and value:
            return Path(value)
        if option.startswith("--env-file="):
            return Path(option.partition("=")[2])
    return None
