"""Take secrets out of texts; nothing else does."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from api_pipeline.settings.model import Settings
from api_pipeline.sql.connection_string import HIDDEN, is_embedded, pairs

SHORTEST_SECRET = 4
"""Shorter values are not looked for by themselves: they would take half the alphabet out of every line."""

_SECRET_KEYWORD = re.compile(r"pwd|pass|token|secret|key", re.IGNORECASE)
_VALUE = r"""(?:\{(?:[^}]|\}\})*\}?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s;,&"'}\]<>]+)"""
_PATTERNS = (
    # a password in a connection string ends at the semicolon, whatever stands in it
    (re.compile(r"(?i)\b((?:pwd|password)\s*=\s*)(?:\{(?:[^}]|\}\})*\}?|[^;\r\n]*)"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://)[^\s\"'<>]*@"), rf"\1{HIDDEN}@"),
    (
        re.compile(r"""(?i)(authorization["']?\s*[:=]\s*["']?)(?:[a-z]+\s+)?[a-z0-9+/=._~-]+"""),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer\s+)[a-z0-9._~+/-]{8,}=*"), rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]+)*"), HIDDEN),
    (
        re.compile(
            r"(?i)\b((?:supplier_?-?key|client_?secret|client_assertion|access_?token|refresh_?token|id_?token|passwd)"
            rf"""["']?\s*[:=]\s*){_VALUE}"""
        ),
        rf"\1{HIDDEN}",
    ),
)


class Redactor:
    """Take secrets out of a text: the known ones, in any form in which they may be written, and what looks like one.

    `add` makes a token known that is fetched while the program runs.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._add_all(secrets)

    @classmethod
    def for_settings(cls, settings: Settings) -> Redactor:
        """Return a redactor that knows the secrets of `settings`."""
        redactor = cls((settings.client_secret, settings.supplier_key))
        redactor.add_credentials(settings.client_id, settings.client_secret)
        redactor.add_connection_string(settings.connection_string)
        if "@" in settings.proxy_url:
            proxy = urlsplit(settings.proxy_url)
            redactor.add_credentials(unquote(proxy.username or ""), unquote(proxy.password or ""))
        return redactor

    def add(self, secret: str) -> None:
        """Make a secret known from now on."""
        self._add_all((secret,))

    def add_credentials(self, user: str, password: str) -> None:
        """Make a password known, and the form in which basic authentication writes it with its user."""
        if password:
            basic = base64.b64encode(f"{user}:{password}".encode(errors="replace")).decode("ascii")
            self._add_all((password, basic))

    def add_connection_string(self, text: str) -> None:
        """Make the passwords of an ODBC connection string known."""
        if not is_embedded(text):
            self._add_all(value for keyword, value in pairs(text) if not keyword or _SECRET_KEYWORD.search(keyword))

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced by ***."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def _add_all(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                forms.add("".join(_letter_pattern(letter) for letter in secret))
                forms.add(re.escape(base64.b64encode(secret.encode(errors="replace")).decode("ascii").rstrip("=")))
        if not forms <= self._forms:
            self._forms = self._forms | forms
            self._known = re.compile("|".join(sorted(self._forms, key=len, reverse=True)), re.IGNORECASE)


def _letter_pattern(letter: str) -> str:
    """Return a pattern for one letter of a secret: as it is, URL-encoded, or escaped for JSON, HTML, Python or ODBC."""
    if letter.isascii() and letter.isalnum():
        return letter
    written = {
        letter,
        quote(letter, safe="", errors="replace"),
        html.escape(letter),
        json.dumps(letter)[1:-1],
        "\\" + letter,
    }
    if letter == " ":
        written.add("+")
    if letter == "}":
        written.add("}}")
    if letter == "\\":
        written.add("\\\\\\\\")
    return "(?:" + "|".join(re.escape(form) for form in sorted(written, key=len, reverse=True)) + ")"
