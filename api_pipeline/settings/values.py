"""From the text of a setting to its value: one small reader for each kind, and the errors they collect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from api_pipeline.common.paths import is_readable_kind, is_there
from api_pipeline.settings.definition import Setting, SettingKind
from api_pipeline.settings.definitions import BY_NAME
from api_pipeline.settings.text_checks import copied_sign, is_one_line, is_text_of
from api_pipeline.sql.connection_string import HIDDEN, is_embedded, redacted_url

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_LONGEST_SHOWN = 80
_SHORTEST_SECRET = 3
# Of these the password alone is secret; the rest may be shown, and is needed to find what is wrong.
_SECRET_IN_PART = (SettingKind.CONNECTION, SettingKind.PROXY)
_NAMED_BY_OTHERS = frozenset({"USER_SERVER", "USER_DATABASE"})


class Origin(Enum):
    """Where a value came from; the first source with one wins."""

    OPTION = "the command line"
    ENVIRONMENT = "the environment"
    STORE = "the credential store"
    FILE = "the settings file"
    DEFAULT = "the default"


class Found(NamedTuple):
    """The text of a setting as found, stripped; `base` is the folder from which a relative path counts."""

    text: str
    origin: Origin
    base: Path


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` parts of the table, counted from 1."""

    index: int
    count: int

    @property
    def part(self) -> tuple[int, int] | None:
        """Return (I, N) for part I of N, None for the whole table."""
        return (self.index, self.count) if self.count > 1 else None

    @property
    def text(self) -> str:
        """Return I/N, as the journal and notifications have it, "" for the whole table."""
        return f"{self.index}/{self.count}" if self.count > 1 else ""


@dataclass(slots=True)
class Values:
    """Read typed values out of what was found, and collect a sentence for each that cannot be used.

    `table` are the settings by name. A reader returns the default when nothing was found or the value is wrong, so that
    all errors are reported at once.
    """

    found: Mapping[str, Found]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    table: Mapping[str, Setting] = field(default_factory=lambda: BY_NAME)

    def given(self, name: str) -> bool:
        """Return whether the setting has a value of its own."""
        return name in self.found

    def value(self, name: str) -> object:
        """Return the value in the type of the setting's kind."""
        return _READERS.get(self.table[name].kind, Values.text)(self, name)

    def text(self, name: str) -> str:
        """Return the value as a text without control characters ("" for none), checked by the setting's kind."""
        text = self._text(name)
        if self._has_foreign_bytes(name, text) or self._has_copied_sign(name, text):
            return self.table[name].default
        self._warn_of_quotes(name, text)
        if text and not is_text_of(self.table[name].kind, text):
            self.refuse(name)
            return self.table[name].default
        return text

    def boolean(self, name: str) -> bool:
        """Return True for true, 1, yes, on and False for false, 0, no, off; in any case of letters."""
        word = self._text(name).lower()
        if word not in _TRUE | _FALSE:
            self.refuse(name)
            return self.table[name].default in _TRUE
        return word in _TRUE

    def integer(self, name: str) -> int:
        """Return a whole number within the setting's bounds."""
        text = self._text(name)
        if not _INTEGER.fullmatch(text) or not _is_within(self.table[name], int(text)):
            self.refuse(name)
            return int(self.table[name].default or 0)
        return int(text)

    def number(self, name: str) -> float:
        """Return a number within the setting's bounds."""
        text = self._text(name)
        if not _NUMBER.fullmatch(text) or not _is_within(self.table[name], float(text)):
            self.refuse(name)
            return float(self.table[name].default or 0)
        return float(text)

    def choice(self, name: str) -> str:
        """Return one of the setting's words, in lower case ("" when there is no default)."""
        word = self._text(name).lower()
        if word and word not in self.table[name].choices:
            self.refuse(name)
            return self.table[name].default
        return word

    def path(self, name: str) -> Path | None:
        """Return an absolute path; None for none. The file of a `SettingKind.FILE` must exist."""
        if not self.given(name):
            return None
        found = self.found[name]
        if not is_one_line(found.text):
            self.refuse(name)
            return None
        try:
            path = found.base / Path(found.text).expanduser()
        except RuntimeError:
            # An account without a home (a service, a container with a number for its user) has nothing for ~.
            self.refuse(name, "a path without ~, because no home folder is known for it")
            return None
        if self.table[name].kind is SettingKind.FILE and not (is_there(path) and is_readable_kind(path)):
            self.refuse(name)
            return None
        return path

    def words(self, name: str) -> tuple[str, ...]:
        """Return the words of a list with commas between."""
        text = self._text(name)
        self._has_foreign_bytes(name, text)
        self._has_copied_sign(name, text)
        if not is_one_line(text):
            self.refuse(name)
        return tuple(word.strip() for word in text.split(",") if word.strip())

    def shard(self, name: str) -> Shard:
        """Return I/N as a pair."""
        match = re.fullmatch(r"([0-9]{1,6})\s*/\s*([0-9]{1,6})", self._text(name))
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            self.refuse(name)
            return Shard(1, 1)
        return Shard(int(match[1]), int(match[2]))

    def day(self, name: str) -> date | None:
        """Return a date written as YYYY-MM-DD; None for none."""
        text = self.text(name)
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.refuse(name)
            return None

    def _has_foreign_bytes(self, name: str, text: str) -> bool:
        """Record bytes of another encoding, which Python reads from the environment as halves of characters.

        No header, form or ODBC driver takes one. A file may have such a name, and that of an embedded database too.
        """
        if self.table[name].kind is SettingKind.CONNECTION and is_embedded(text):
            return False
        is_foreign = any("\ud800" <= letter <= "\udfff" for letter in text)
        if is_foreign:
            self.errors.append(
                f"{name}: expected text in UTF-8, got bytes of another encoding (from {self.origin(name)}); set the "
                "value again in UTF-8."
            )
        return is_foreign

    def _has_copied_sign(self, name: str, text: str) -> bool:
        """Record a sign that copying leaves; return whether it is an error, not a warning as where it may be meant."""
        sign = copied_sign(text)
        if not sign or not self.given(name):
            return False
        may_be_meant = self.table[name].secret or self.table[name].kind is SettingKind.LIST or name in _NAMED_BY_OTHERS
        if may_be_meant:
            self.warnings.append(
                f"{name} (from {self.origin(name)}) has {sign} in it, as copied from Word or a mail; type it again if "
                "it is refused."
            )
        else:
            self.errors.append(
                f"{name}: expected plain signs, got {sign}, as copied from Word or a mail (from {self.origin(name)}); "
                "type the value again."
            )
        return not may_be_meant

    def _warn_of_quotes(self, name: str, text: str) -> None:
        """Record quotation marks around a secret: `set NAME="..."` and `echo "..."` leave them; they may be meant."""
        if self.table[name].secret and len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            self.warnings.append(
                f"{name} (from {self.origin(name)}) stands in quotation marks, which count as part of it; leave them "
                "out if it is refused."
            )

    def refuse(self, name: str, expected: str = "") -> None:
        """Record that the value of `name` cannot be used."""
        expected = expected or self.table[name].expected
        got = self.shown(name)
        if self.table[name].secret and (sign := copied_sign(self._text(name))):
            got += f", and has {sign} in it, as copied from Word or a mail"
        self.errors.append(f"{name}: expected {expected}, got {got} (from {self.origin(name)}).")

    def missing(self, name: str, expected: str = "") -> None:
        """Record that `name` has no value and needs one."""
        self.missed.append(name)
        self.errors.append(f"{name} is missing: expected {expected or self.table[name].in_short}.")

    def shown(self, name: str) -> str:
        """Return the value as it may be shown: a secret never is."""
        if self.table[name].secret:
            return "a value that is not shown, because it is a secret"
        text = redacted_url(self.without_secrets(self._text(name)))
        if self.table[name].kind is SettingKind.URL:
            # A query may carry a key, as the test console of an API gateway writes it.
            text = re.sub(r"[?#].*", f"?{HIDDEN}", text, flags=re.DOTALL)
        # A connection string pasted into another setting: what is cut below is not known as the password any more.
        text = re.sub(r"(?i)((?:pwd|password|secret)\s*=).+", rf"\1{HIDDEN}", text, flags=re.DOTALL)
        text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
        return '"' + "".join(letter if letter.isprintable() else "?" for letter in text) + '"'

    def without_secrets(self, text: str) -> str:
        """Return `text` without the values of secret settings: one may have been pasted into another setting too."""
        whole = (one for one in self.table.values() if one.secret and one.kind not in _SECRET_IN_PART)
        secrets = {self.found[one.name].text for one in whole if one.name in self.found}
        known = sorted((one for one in secrets if len(one) >= _SHORTEST_SECRET), key=len, reverse=True)
        return re.sub("|".join(map(re.escape, known)), HIDDEN, text, flags=re.IGNORECASE) if known else text

    def origin(self, name: str) -> str:
        """Return where the value came from, in words."""
        return (self.found[name].origin if self.given(name) else Origin.DEFAULT).value

    def _text(self, name: str) -> str:
        return self.found[name].text if self.given(name) else self.table[name].default


def _is_within(setting: Setting, number: float) -> bool:
    return (setting.low is None or setting.low <= number) and (setting.high is None or number <= setting.high)


_READERS = {
    SettingKind.BOOLEAN: Values.boolean,
    SettingKind.INTEGER: Values.integer,
    SettingKind.NUMBER: Values.number,
    SettingKind.CHOICE: Values.choice,
    SettingKind.FILE: Values.path,
    SettingKind.PATH: Values.path,
    SettingKind.SHARD: Values.shard,
    SettingKind.LIST: Values.words,
    SettingKind.DATE: Values.day,
}
