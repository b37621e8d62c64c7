"""Secrets that a person types, a program pipes in, or a file holds: they are never read from the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def asked_secret(label: str, *, is_confirmed: bool = False) -> str:
    """Return a secret that is typed without echo, or the first line of standard input. Errors: SettingsError."""
    if sys.stdin.isatty():
        typed: str = click.prompt(label, hide_input=True, confirmation_prompt=is_confirmed)
        return typed
    return text_of(sys.stdin.buffer.readline(), f"What standard input gives for {label}").rstrip("\r\n")


def secret_in(path: Path, option: str) -> str:
    """Return the secret in a file that an option names. Errors: SettingsError."""
    from api_pipeline.errors import SettingsError, reason_of

    try:
        secret = text_of(path.read_bytes(), f"The file {path} given by {option}").strip()
    except OSError as error:
        raise SettingsError(f"The file {path} given by {option} cannot be read ({reason_of(error)}).") from None
    if not secret:
        raise SettingsError(
            f"The file {path} given by {option} is empty; write the secret into it, or leave the option out."
        )
    return secret


def text_of(data: bytes, what: str) -> str:
    """Return bytes as text, as a settings file is read: each shell of Windows writes another encoding."""
    from api_pipeline.errors import SettingsError
    from api_pipeline.settings.env_file import decoded

    text, _ = decoded(data)
    if text is None or "\x00" in text:
        raise SettingsError(f"{what} is not text; write it in UTF-8.")
    return text
