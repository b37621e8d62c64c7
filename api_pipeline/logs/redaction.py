"""Take secrets out of texts; nothing else does."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from api_pipeline.sql.connection_string import HIDDEN, is_embedded, pairs

if TYPE_CHECKING:
    from api_pipeline.settings.model import Settings

SHORTEST_SECRET = 3
"""Shorter values are not looked for by themselves: they would take half the alphabet out of every line."""
_LONGEST_ESCAPED = 64
_SHORTEST_WITHIN_A_WORD = 4
"""Shorter secrets are found where they stand alone, not within a word or a number."""

_PASSWORD = re.compile(r"(?i)(?:pwd|password|passwd|token|secret)\s*=\s*\{?([^;}]*)")
_SECRET_KEYWORD = re.compile(r"pwd|pass|token|secret|key", re.IGNORECASE)
_VALUE = r"""(?:\{(?:[^}]|\}\})*\}?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s;,&"'}\]<>]+)"""
_PATTERNS = (
    # a password in a connection string ends at the semicolon, whatever stands in it
    (re.compile(r"(?i)\b((?:pwd|password)\s*=\s*)(?:\{(?:[^}]|\}\})*\}?|[^;\r\n]*)"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://)[^\s\"'<>]{0,500}@"), rf"\1{HIDDEN}@"),
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
        self._secrets: set[str] = set()
        self._followers: list[Redactor] = []
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._add_all(secrets)

    @classmethod
    def for_settings(cls, settings: Settings) -> Redactor:
        """Return a redactor that knows the secrets of `settings`."""
        redactor = cls((settings.client_secret, settings.supplier_key))
        redactor.add_credentials(settings.client_id, settings.client_secret)
        redactor.add_connection_string(settings.connection_string)
        redactor._add_all((*settings.xporter.secrets, *settings.notify.secrets))
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
        if is_embedded(text):
            return
        self._add_all(value for keyword, value in pairs(text) if not keyword or _SECRET_KEYWORD.search(keyword))
        # A brace that is never closed makes one value of all that follows: the password in it is known as well.
        for keyword, value in pairs(text):
            if keyword and "=" in value:
                self._add_all(found.strip() for found in _PASSWORD.findall(value))

    def follow(self, other: Redactor) -> None:
        """Know what `other` knows, now and from now on."""
        self._add_all(other._secrets)
        other._followers.append(self)

    def forget(self) -> None:
        """Know nothing any more."""
        self._secrets, self._forms, self._known = set(), set(), None

    def hide_known(self, text: str) -> str:
        """Return `text` with the known secrets replaced by ***, and nothing else changed."""
        return self._known.sub(HIDDEN, text) if self._known else text

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced by ***."""
        text = self.hide_known(text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def _add_all(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        forms = {form for secret in known for form in _forms_of(secret)}
        self._secrets |= known
        for follower in self._followers:
            follower._add_all(known)
        if not forms <= self._forms:
            self._forms = self._forms | forms
            self._known = re.compile("|".join(sorted(self._forms, key=len, reverse=True)), re.IGNORECASE)


def _forms_of(secret: str) -> Iterator[str]:
    """Return the patterns of the ways in which a secret may be written, letter by letter or as a whole."""
    if len(secret) > _LONGEST_ESCAPED:
        # A token of a thousand letters would make a pattern of a hundred thousand: it is looked for as a whole.
        yield from {re.escape(whole) for whole in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])}
        return
    form = "".join(_letter_pattern(letter) for letter in secret)
    if len(secret) < _SHORTEST_WITHIN_A_WORD:
        form = rf"(?<![^\W_]){form}(?![^\W_])"
    yield form
    data = secret.encode(errors="replace")
    for whole in (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode()):
        yield re.escape(whole.decode("ascii").rstrip("="))


def _letter_pattern(letter: str) -> str:
    """Return a pattern for one letter of a secret: as it is, or escaped for URL, JSON, HTML, Python or ODBC."""
    code = ord(letter)
    escapes = rf"&#0*{code};?|&#x0*{code:x};?|\\\\?u\{{?0*{code:x}\}}?"
    if code < 128:
        escapes += rf"|%(?:25)*{code:02x}|\\\\?x{code:02x}"
    if _is_plain(letter):
        return f"(?:{letter}|{escapes})"
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
    forms = [re.escape(form) for form in sorted(written, key=len, reverse=True)]
    return "(?:" + "|".join([*(form for form in forms if len(form) > 1), escapes, re.escape(letter)]) + ")"


def _is_plain(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()
