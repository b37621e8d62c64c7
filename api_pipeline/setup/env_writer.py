"""The settings file of a new installation."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from api_pipeline.common.private_files import private_opener, remove_file, when_not_in_use
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.settings.definition import Group
from api_pipeline.settings.definitions import BY_NAME
from api_pipeline.settings.env_file import read_env_file

_HEAD = """\
# Settings of d2i-csc-api, written by: d2i-csc-api init
# Every setting with its meaning is in .env.example and in the settings reference; see what counts with:
#   d2i-csc-api config show
"""


def write_env(path: Path, values: Mapping[str, str]) -> Path | None:
    """Write the settings file, readable by its owner alone; return where an older one was kept, None for none.

    The older one stays where it is until the new one is whole. Errors: SettingsError where the file cannot be written,
    or would be read as something else; then the older one stands where it stood.
    """
    kept = None
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        _write(draft, env_text(values).encode())
        read = read_env_file(draft)
        if read.errors or any(read.values.get(name, "").strip() != value.strip() for name, value in values.items()):
            raise SettingsError(f"The settings file {path} was not written: a value in it would be read differently.")
        if path.exists():
            kept = path.with_name(f"{path.name}.bak")
        _put(draft, path, kept)
    except OSError as error:
        raise SettingsError(
            f"The settings file {path} cannot be written ({reason_of(error)}); run the command in a folder that "
            "this account may write to, or name another file with --env-file."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            remove_file(draft)
    return kept


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=private_opener) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put(draft: Path, path: Path, kept: Path | None) -> None:
    """Put the draft in the place of the older file, of which `kept` gets a copy; at no moment there is none."""
    try:
        if kept:
            remove_file(kept)
            _write(kept, path.read_bytes())
        when_not_in_use(lambda: draft.replace(path))
    except OSError:
        if kept:
            # It has secrets, and is named only where the new file was written.
            remove_file(kept)
        raise


def env_text(values: Mapping[str, str]) -> str:
    """Return the text of a settings file, by group in the order of the reference."""
    parts = [_HEAD]
    for group in Group:
        lines = [
            f"{name}={_quoted(values[name])}\n" for name in BY_NAME if name in values and BY_NAME[name].group is group
        ]
        if lines:
            parts.append(f"\n# ---- {group.value} ----\n" + "".join(lines))
    return "".join(parts)


def _quoted(value: str) -> str:
    """Return a value as it must stand in the file: in quotes where it would be read differently without them."""
    if not re.search(r"\s#|^['\"]|^#", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
