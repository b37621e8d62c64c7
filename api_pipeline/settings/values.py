"""From the text of a setting to its value: one small reader for each kind, and the collector of faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from api_pipeline.settings.definition import Setting, SettingKind
from api_pipeline.settings.definitions import BY_NAME
from api_pipeline.sql.connection_string import embedded_path, is_embedded, pairs, redacted_url
from api_pipeline.sql.paths import is_folder, is_there

_TABLE_PART = r"(?:[A-Za-z0-9_]+|\[[A-Za-z0-9_]+\])"
_TABLE = re.compile(rf"{_TABLE_PART}(?:\.{_TABLE_PART})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_LONGEST_SHOWN = 80


class Origin(Enum):
    """Where a value came from; the first that has one wins."""

    OPTION = "the command line"
    ENVIRONMENT = "the environment"
    STORE = "the credential store"
    FILE = "the settings file"
    DEFAULT = "the default"


@dataclass(frozen=True, slots=True)
class Found:
    """The text of a setting as found, stripped; `base` is the folder from which a relative path counts."""

    text: str
    origin: Origin
    base: Path


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` parts of the table, counted from 1."""

    index: int
    count: int


@dataclass(slots=True)
class Values:
    """Reads typed values out of what was found, and gathers a sentence for each that is not as wanted.

    A reader answers the default where nothing was found or the value is at fault, so that all faults come to light.
    """

    found: Mapping[str, Found]
    faults: list[str] = field(default_factory=list)

    def given(self, name: str) -> bool:
        """Whether the setting has a value of its own."""
        return name in self.found

    def text(self, name: str) -> str:
        """The value as a text without control characters ("" for none), checked by the setting's kind."""
        text = self._text(name)
        check = _TEXT_CHECKS.get(BY_NAME[name].kind, _is_one_line)
        if text and not check(text):
            self.refuse(name)
            return BY_NAME[name].default
        return text

    def boolean(self, name: str) -> bool:
        """True for true, 1, yes, on; false for false, 0, no, off; in any case of letters."""
        word = self._text(name).lower()
        if word not in _TRUE | _FALSE:
            self.refuse(name)
            return BY_NAME[name].default in _TRUE
        return word in _TRUE

    def integer(self, name: str) -> int:
        """A whole number within the setting's bounds."""
        text = self._text(name)
        if not _INTEGER.fullmatch(text) or not _is_within(BY_NAME[name], int(text)):
            self.refuse(name)
            return int(BY_NAME[name].default)
        return int(text)

    def number(self, name: str) -> float:
        """A number within the setting's bounds."""
        text = self._text(name)
        if not _NUMBER.fullmatch(text) or not _is_within(BY_NAME[name], float(text)):
            self.refuse(name)
            return float(BY_NAME[name].default)
        return float(text)

    def choice(self, name: str) -> str:
        """One of the setting's words, in lower case ("" where there is no default)."""
        word = self._text(name).lower()
        if word and word not in BY_NAME[name].choices:
            self.refuse(name)
            return BY_NAME[name].default
        return word

    def path(self, name: str) -> Path | None:
        """An absolute path; None for none. A `Kind.FILE` must exist."""
        if not self.given(name):
            return None
        found = self.found[name]
        if not _is_one_line(found.text):
            self.refuse(name)
            return None
        path = found.base / Path(found.text).expanduser()
        if BY_NAME[name].kind is SettingKind.FILE and (is_folder(path) or not is_there(path)):
            self.refuse(name)
            return None
        return path

    def words(self, name: str) -> tuple[str, ...]:
        """The words of a list with commas between."""
        text = self._text(name)
        if not _is_one_line(text):
            self.refuse(name)
        return tuple(word.strip() for word in text.split(",") if word.strip())

    def shard(self, name: str) -> Shard:
        """I/N as a pair."""
        match = re.fullmatch(r"([0-9]{1,6})\s*/\s*([0-9]{1,6})", self._text(name))
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            self.refuse(name)
            return Shard(1, 1)
        return Shard(int(match[1]), int(match[2]))

    def refuse(self, name: str, wanted: str = "") -> None:
        """Notes that the value of `name` is not what is wanted."""
        wanted = wanted or BY_NAME[name].wanted
        self.faults.append(f"{name} is {self.shown(name)} (from {self.origin(name)}); wanted is {wanted}.")

    def missing(self, name: str, wanted: str = "") -> None:
        """Notes that `name` has no value and needs one."""
        self.faults.append(f"{name} is missing; wanted is {wanted or BY_NAME[name].wanted}.")

    def shown(self, name: str) -> str:
        """The value fit to be shown: a secret never is."""
        if BY_NAME[name].secret:
            return "set, but not as wanted"
        text = redacted_url(self._text(name))
        text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
        return '"' + "".join(letter if letter.isprintable() else "?" for letter in text) + '"'

    def origin(self, name: str) -> str:
        """Where the value came from, in words."""
        return (self.found[name].origin if self.given(name) else Origin.DEFAULT).value

    def _text(self, name: str) -> str:
        return self.found[name].text if self.given(name) else BY_NAME[name].default


def _is_within(setting: Setting, number: float) -> bool:
    return (setting.low is None or setting.low <= number) and (setting.high is None or number <= setting.high)


def split_url(text: str) -> SplitResult | None:
    """The parts of an http or https URL with a host; None where it is none.

    Blanks, control characters and backslashes are refused, because programs differ in what host they see then.
    """
    if any(letter.isspace() or not letter.isprintable() or letter in '\\<>"' for letter in text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return None
    return parts


def _is_url(text: str) -> bool:
    parts = split_url(text)
    return parts is not None and "@" not in parts.netloc and "#" not in text


def _is_proxy(text: str) -> bool:
    parts = split_url(text)
    return parts is not None and not parts.query and "#" not in text


def _is_one_line(text: str) -> bool:
    return all(letter >= " " and letter != "\x7f" for letter in text)


def _is_header(text: str) -> bool:
    return all(" " <= letter <= "~" for letter in text)


def _is_connection(text: str) -> bool:
    if not _is_one_line(text):
        return False
    if is_embedded(text):
        return bool(embedded_path(text))
    return "://" not in text.split("=", 1)[0] and any(keyword for keyword, _ in pairs(text))


def _is_table(text: str) -> bool:
    return _TABLE.fullmatch(text) is not None


def _is_la_code(text: str) -> bool:
    return re.fullmatch(r"[0-9]{3}", text) is not None


_TEXT_CHECKS = {
    SettingKind.CONNECTION: _is_connection,
    SettingKind.URL: _is_url,
    SettingKind.PROXY: _is_proxy,
    SettingKind.HEADER: _is_header,
    SettingKind.TABLE: _is_table,
    SettingKind.SCHEMA: _is_table,
    SettingKind.LA_CODE: _is_la_code,
}
