"""Secrets that a person types, a program pipes in, or a file holds: they are never read from the command line."""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING

import click

from api_pipeline.common.terminal import is_terminal

if TYPE_CHECKING:
    from pathlib import Path


_NULL = b"\x00"


def asked_secret(label: str, *, is_confirmed: bool = False) -> str:
    """Return a secret that is typed without echo, or the first line of standard input. Errors: SettingsError."""
    if is_terminal(sys.stdin):
        typed: str = click.prompt(label, hide_input=True, confirmation_prompt=is_confirmed)
        return typed
    data = sys.stdin.buffer.readline()
    if _NULL in data or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # Its line ends are not where those of other encodings are.
        data += sys.stdin.buffer.read()
    what = f"What standard input gives for {label}"
    text, is_sure = _text_of(data, what)
    if not is_sure:
        click.echo(
            f"Warning: {what} is not UTF-8; it was read as Windows-1252 (ANSI). A command prompt may have written "
            "another code page: if the secret has other signs than plain letters and digits, type it instead.",
            err=True,
        )
    return text.split("\n", 1)[0].rstrip("\r")


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
    """Return bytes as text, as a settings file is read: each shell of Windows writes another encoding.

    `what` names them in a sentence. Errors: SettingsError.
    """
    return _text_of(data, what)[0]


def _text_of(data: bytes, what: str) -> tuple[str, bool]:
    """Return bytes as text, and whether their encoding is beyond doubt. Errors: SettingsError."""
    from api_pipeline.errors import SettingsError
    from api_pipeline.settings.env_file import decoded

    text, doubt = decoded(data)
    if text is None or "\x00" in text:
        raise SettingsError(f"{what} is not text; write it in UTF-8.")
    return text, not doubt
