"""One row of the settings table: name, kind, meaning, default and what is accepted."""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

CheckLevel: TypeAlias = Literal["reject", "warn", "off"]
"""What happens to a record that breaks a check: not sent, sent and logged, or not checked."""


class SettingKind(Enum):
    """The form that a value must have."""

    TEXT = "text"
    HEADER = "text that can stand in an HTTP header"
    CONNECTION = "an ODBC connection string, or sqlite:///PATH"
    URL = "a URL"
    WEBHOOK = "a URL that may hold a token"
    PROXY = "a proxy's URL"
    LA_CODE = "three digits"
    TABLE = "a table name"
    SCHEMA = "a schema name"
    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    NUMBER = "a number"
    CHOICE = "one of several words"
    FILE = "a file that exists"
    PATH = "a path"
    SHARD = "I/N"
    LIST = "words with commas between"
    DATE = "a date"


class Group(Enum):
    """The headings under which settings are shown, in this order."""

    DATABASE = "Database"
    RECEIVER = "Receiver and credentials"
    MODE = "What is sent"
    PACE = "Pace, retries and timeouts"
    NETWORK = "Network"
    LOGGING = "Logs"
    NOTIFY = "Notifications and metrics"
    STAGING = "Filling the staging table with `stage` (not needed by `run`)"
    XPORTER = "School data (`xporter`; not needed by anything else)"


class Needed(Enum):
    """The commands for which a setting must have a value."""

    NEVER = "optional"
    DATABASE = "always needed"
    LIVE = "needed when live"


class Setting(NamedTuple):
    """One setting: its name, what it means, and what is accepted.

    `default` is written as it would stand in `.env` ("" for none); `default_note` says in words what holds
    where the default depends on something else. `low` and `high` bound numbers, both ends included.
    """

    name: str
    group: Group
    kind: SettingKind
    meaning: str
    default: str = ""
    default_note: str = ""
    example: str = ""
    aliases: tuple[str, ...] = ()
    secret: bool = False
    needed: Needed = Needed.NEVER
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """Return what is accepted, in words that fit after "expected"."""
        if self.kind in (SettingKind.INTEGER, SettingKind.NUMBER) and self.low is not None and self.high is not None:
            return f"{self.kind.value} from {self.low:g} to {self.high:.12g}"
        if self.kind is SettingKind.CHOICE:
            return "one of " + ", ".join(self.choices)
        return _EXPECTED[self.kind]

    @property
    def in_short(self) -> str:
        """Return what the setting is, the first sentence of its meaning, in words that fit after "expected"."""
        sentence = self.meaning.partition(". ")[0].rstrip(".")
        return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


_EXPECTED: dict[SettingKind, str] = {
    SettingKind.TEXT: "a text on one line",
    SettingKind.HEADER: "a text on one line, of letters, digits and signs that can stand in an HTTP header",
    SettingKind.CONNECTION: "an ODBC connection string such as Driver={...};Server=...;Database=..., or sqlite:///PATH",
    SettingKind.URL: "a URL that begins with https:// and names a host, of plain letters, without user, password, "
    "query (?), fragment (#), ;, % or dot segments",
    SettingKind.WEBHOOK: "a URL that begins with https://, with its path and query, without user, password or "
    "fragment (#)",
    SettingKind.PROXY: "a URL such as http://proxy.example:8080, or http://user:password@proxy.example:8080 with "
    "signs such as @ : / in the password written as %40 %3A %2F",
    SettingKind.LA_CODE: "three digits, for example 845",
    SettingKind.TABLE: "a table name, or schema.table, of letters, digits and _ (a part may stand in [ ])",
    SettingKind.SCHEMA: "a schema name, or database.schema, of letters, digits and _ (a part may stand in [ ])",
    SettingKind.BOOLEAN: "true or false",
    SettingKind.FILE: "the path of a file that exists and can be read",
    SettingKind.PATH: "a path",
    SettingKind.SHARD: "I/N with 1 <= I <= N <= 999999, for example 2/4",
    SettingKind.DATE: "a date such as 2025-09-01",
    SettingKind.LIST: "words with commas between",
}
