"""The `.env` file: where it is, how its bytes become text, and which names and values it has."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from api_pipeline.common.paths import is_folder, is_there
from api_pipeline.errors import reason_of
from api_pipeline.settings.definition import SettingKind
from api_pipeline.settings.definitions import SECRET_NAMES, SETTINGS, canonical_name
from api_pipeline.settings.text_checks import copied_sign, without_invisible_signs

FILE_NAMES = (".env", "env.txt")
MISNAMED = ".env.txt"
"""What Notepad makes of `.env` where Windows hides the endings of names."""
LONGEST = 1024 * 1024
"""Bytes: a settings file is never longer."""
DECISIVE = frozenset({"TESTING_MODE", "TABLE_NAME", "API_ENDPOINT", "ALLOW_LIVE_DATA_TO_TEST"})
"""Settings that decide what goes where: two values for one of them in one file are an error."""

_OURS = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*[=:]?")
_SET = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
# How a batch file and PowerShell set a variable; the parser takes the second as a name of its own.
_OF_A_SHELL = re.compile(r"\s*(?:setx?\s+|\$env:)\"?([A-Za-z_][A-Za-z0-9_]*)", re.IGNORECASE)
_PATH_NAMES = "|".join(setting.name for setting in SETTINGS if setting.kind in (SettingKind.PATH, SettingKind.FILE))
_QUOTED_PATH = re.compile(rf"""^(\s*(?:export\s+)?(?:{_PATH_NAMES})\s*=\s*)(["'])(.*)\2([ \t]*)$""", re.MULTILINE)
_QUOTED_VALUE = re.compile(r"""^(\s*(?:export\s+)?[A-Za-z_]\w*[ \t]*=[ \t]*)(["'])(.*)$""", re.MULTILINE)


class EnvFile(NamedTuple):
    """The names and values of a `.env` file as written, and what is wrong with it.

    `errors` are sentences that end a command, `warnings` sentences that do not. Neither quotes a value.
    """

    path: Path
    values: dict[str, str]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_env_file(cwd: Path, executable_folder: Path | None) -> Path | None:
    """Return the settings file of contract 2: `.env`, else `env.txt`, in the working folder or beside the program."""
    folders = [cwd] if executable_folder is None else [cwd, executable_folder]
    candidates = (folder / name for folder in folders for name in FILE_NAMES)
    # One that may not be looked at counts as found: to pass it over would be to run with other settings than it has.
    return next((path for path in candidates if is_there(path) and not is_folder(path)), None)


def read_env_file(path: Path) -> EnvFile:
    """Return the content of the file; a file that cannot be opened or decoded is an error in it, not an exception."""
    try:
        data = _read(path)
    except ValueError as error:
        return EnvFile(path, {}, (f"The settings file {path} {error}; name an ordinary text file.",))
    except OSError as error:
        reason = reason_of(error)
        sentence = (
            f"The settings file {path} cannot be read ({reason}); allow the account that runs the command to read it "
            "and to enter its folder."
        )
        return EnvFile(path, {}, (sentence,))
    text, warning = decoded(data)
    if text is None or "\x00" in text:
        return EnvFile(path, {}, (f"The settings file {path} is not text; save it as UTF-8.",))
    values, errors, warnings = _parse(text, path.name)
    if warning:
        warnings.insert(0, f"The settings file {path} {warning}")
    return EnvFile(path, values, tuple(errors), tuple(warnings))


def _read(path: Path) -> bytes:
    """Return the bytes of the file. Errors: OSError; ValueError with the reason for what is not an ordinary file."""
    # Without O_NONBLOCK the opening of a pipe that nobody writes to would never end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise ValueError("is a pipe or a device")
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError("is longer than 1 MiB")
    return data


def decoded(data: bytes) -> tuple[str | None, str]:
    """Return the text, None where there is none, and the end of a sentence that warns about the encoding."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _attempt(data, "utf-16"), ""
    if b"\x00" in data:
        # Without a byte order mark: in UTF-16 every plain letter has its zero on the same side.
        for encoding, zeros, letters in (("utf-16-le", data[1::2], data[0::2]), ("utf-16-be", data[0::2], data[1::2])):
            if zeros.count(0) > len(zeros) // 2 and not letters.count(0):
                return _attempt(data, encoding), ""
        return None, ""
    text = _attempt(data, "utf-8-sig")
    if text is not None:
        return text, ""
    return _attempt(data, "cp1252"), (
        "is not UTF-8; it was read as Windows-1252 (ANSI). Save it as UTF-8 to be sure of every letter."
    )


def _attempt(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _parse(text: str, file_name: str) -> tuple[dict[str, str], list[str], list[str]]:
    from dotenv.parser import parse_stream  # slow to import, and not every command has a file

    values: dict[str, str] = {}
    errors: list[str] = []
    warnings: list[str] = []
    for binding in parse_stream(StringIO(_with_plain_backslashes(text.replace("\r\n", "\n")))):
        raw = binding.original.string
        line = binding.original.line + raw[: len(raw) - len(raw.lstrip())].count("\n")
        errors += _swallowed(raw, line, file_name)
        of_a_shell = _name_in(raw, _OF_A_SHELL)
        if of_a_shell:
            errors.append(f"Line {line} of {file_name} is a command that sets {of_a_shell}; begin it with the name.")
            continue
        if binding.error or (binding.key is not None and binding.value is None and raw.strip()):
            name = _name_in(raw, _OURS)
            sentence = f"Line {line} of {file_name} cannot be read{f' ({name})' if name else ''}; expected NAME=value"
            (errors if name else warnings).append(f"{sentence}, with a quote closed where one is opened.")
            continue
        if binding.key is None or binding.value is None:
            continue
        if canonical_name(binding.key) and ("\n" in binding.value or "\r" in binding.value):
            errors.append(f"{binding.key} on line {line} of {file_name} has a quote that is not closed on its line.")
            continue
        sentence = _odd_name(binding.key, line, file_name)
        if sentence:
            errors.append(sentence)
        if values.get(binding.key, "").strip() not in ("", binding.value.strip()):
            _add_second_value(binding.key, file_name, errors, warnings)
        if canonical_name(binding.key) in SECRET_NAMES and _is_cut(raw):
            warnings.append(
                f"{binding.key} on line {line} of {file_name} ends before the #, which begins a remark; put the whole "
                "value in quotes if # is part of it."
            )
        values[binding.key] = binding.value
    return values, errors, warnings


def _swallowed(raw: str, line: int, file_name: str) -> list[str]:
    """Return a sentence for each setting that stands within the quotes of another program's value."""
    first, *rest = raw.lstrip().split("\n")
    if _name_in(first, _OURS):
        return []
    return [
        f"{name} on line {number} of {file_name} has no effect, because a quote of line {line} is not closed before "
        "it; close that quote."
        for number, text in enumerate(rest, line + 1)
        if (name := _name_in(text, _SET))
    ]


def _add_second_value(name: str, file_name: str, errors: list[str], warnings: list[str]) -> None:
    if canonical_name(name) in DECISIVE:
        errors.append(f"{name} has two values in {file_name}; delete one of the lines.")
    elif canonical_name(name):
        warnings.append(f"{name} stands more than once in {file_name}; the last one counts.")


def _odd_name(name: str, line: int, file_name: str) -> str:
    """Return a sentence where a name would be that of a setting without its invisible characters."""
    plain = without_invisible_signs(name)
    if plain == name or canonical_name(plain) is None:
        return ""
    return (
        f"The name {plain} on line {line} of {file_name} has {copied_sign(name)} in it; type the name again, so "
        "that it has an effect."
    )


def _is_cut(raw: str) -> bool:
    """Return whether an unquoted value is followed by a remark."""
    value = raw.partition("=")[2].strip()
    return not value.startswith(("'", '"')) and re.search(r"\s#", value) is not None


def _name_in(raw: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.match(raw)
    return match[1] if match and canonical_name(match[1]) else None


def _with_plain_backslashes(text: str) -> str:
    """Return `text` with backslashes in quoted values doubled: a folder called \\new must not become a line end.

    The parser decodes \\n, \\t and their kin in double quotes. Only \\\\ and an escaped quote are left to it; in a path
    every backslash stands for itself, also before the closing quote.
    """

    def path_line(match: re.Match[str]) -> str:
        return match[1] + match[2] + match[3].replace("\\", "\\\\") + match[2] + match[4]

    def value_line(match: re.Match[str]) -> str:
        name, quote, rest = match.groups()
        return name + quote + re.sub(rf"\\(\\|{quote})|\\", lambda part: part[0] if part[1] else r"\\", rest)

    lines = []
    for line in text.split("\n"):
        as_path = _QUOTED_PATH.sub(path_line, line)
        lines.append(as_path if as_path != line else _QUOTED_VALUE.sub(value_line, line))
    return "\n".join(lines)
