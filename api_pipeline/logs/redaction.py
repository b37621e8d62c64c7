"""Take secrets out of texts. Nothing else in the program does that."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

from api_pipeline.logs.plain_text import harmless
from api_pipeline.sql.connection_string import HIDDEN, is_embedded, pairs, secrets_in_path

if TYPE_CHECKING:
    from api_pipeline.settings.model import Settings

SHORTEST_SECRET = 3
"""Shorter values are not looked for by themselves: they would take half the alphabet out of every line."""
_LONGEST_ESCAPED = 64
_SHORTEST_WITHIN_A_WORD = 4
"""Shorter secrets are found where they stand alone, not within a word or a number."""

_SHORTEST_CUT = 6
"""Shorter secrets are not looked for in pieces: blanks between a few letters mean nothing."""
_GAP = r"(?:[\s\x00\u00ad\u200b-\u200f\u2060\ufeff]|<[^<>]{0,40}>|\x1b\[[0-9;]*m)*"
_MAY_DISGUISE = re.compile(r"[&%\\<\x00-\x08\x0b-\x1f\u00ad\u200b-\u200f\u2060\ufeff]|\n(?!\Z)|\S\s\S\s\S\s")
"""What a text needs to hold a secret in another form than its letters in a row; most lines of a log have none of it."""

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
        self._secrets: frozenset[str] = frozenset()
        self._followers: list[Redactor] = []
        # The pattern of the secrets beside it: one that was compiled of fewer than are known now is not used.
        self._literals: tuple[frozenset[str], re.Pattern[str] | None] = (self._secrets, None)
        self._disguised: dict[str, re.Pattern[str]] = {}
        self._add_all(secrets)

    @classmethod
    def for_settings(cls, settings: Settings) -> Redactor:
        """Return a redactor that knows the secrets of `settings`."""
        redactor = cls((settings.client_secret, settings.supplier_key))
        redactor.add_credentials(settings.client_id, settings.client_secret)
        redactor.add_connection_string(settings.connection_string)
        redactor._add_all((*settings.xporter.secrets, *settings.notify.secrets))
        redactor.add_proxy(settings.proxy_url)
        return redactor

    def add(self, secret: str) -> None:
        """Make a secret known from now on."""
        self._add_all((secret,))

    def add_credentials(self, user: str, password: str) -> None:
        """Make a password known, and the forms in which a Basic login has it with its user: as it is, and encoded."""
        if password:
            encoded = f"{quote_plus(user, errors='replace')}:{quote_plus(password, errors='replace')}"
            logins = (f"{user}:{password}", encoded)
            self._add_all((password, *(base64.b64encode(one.encode(errors="replace")).decode() for one in logins)))

    def add_proxy(self, url: str) -> None:
        """Make the password in a proxy's URL known."""
        if "@" in url:
            proxy = urlsplit(url)
            self.add_credentials(unquote(proxy.username or ""), unquote(proxy.password or ""))

    def add_connection_string(self, text: str) -> None:
        """Make the passwords of an ODBC connection string known."""
        if is_embedded(text):
            self._add_all(secrets_in_path(text))
            return
        self._add_all(value for keyword, value in pairs(text) if not keyword)
        self.add_assigned(text)

    def add_assigned(self, text: str) -> None:
        """Make the passwords known that a text gives to their keywords, as a connection string does."""
        self._add_all(value for keyword, value in pairs(text) if is_password(keyword))
        # A brace that is never closed makes one value of all that follows: the password in it is known as well.
        for keyword, value in pairs(text):
            if keyword and "=" in value:
                self._add_all(found.strip() for found in _PASSWORD.findall(value))

    def follow(self, other: Redactor) -> None:
        """Know also the secrets that `other` knows, now and later."""
        self._add_all(other._secrets)
        other._followers.append(self)

    def forget(self) -> None:
        """Forget every secret."""
        self._secrets, self._disguised = frozenset(), {}

    def hide_known(self, text: str) -> str:
        """Return `text` with the known secrets replaced by ***, and nothing else changed."""
        secrets = self._secrets
        if not secrets:
            return text
        text = self._pattern_of(secrets).sub(HIDDEN, text)
        if not _MAY_DISGUISE.search(text):
            return text
        # 15 ms for each secret: the start of a command need not pay them before there is a text that asks for it, and a
        # new token need not pay them for the secrets that were known before.
        patterns = self._disguised
        for secret in secrets - patterns.keys():
            patterns[secret] = _one_of(_forms_of(secret))
        for secret in sorted(patterns, key=len, reverse=True):
            text = patterns[secret].sub(HIDDEN, text)
        return text

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced by ***."""
        text = self.hide_known(text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def _add_all(self, secrets: Iterable[str]) -> None:
        # Also as it is printed: the signs that steer a terminal are taken out before a text is looked through.
        given = set(secrets)
        forms = given.union(harmless(secret) for secret in given if not secret.isprintable())
        known = {form for form in forms if len(form) >= SHORTEST_SECRET}
        for follower in self._followers:
            follower._add_all(known)
        self._secrets |= known

    def _pattern_of(self, secrets: frozenset[str]) -> re.Pattern[str]:
        """Return the pattern that finds these secrets; it is compiled for the first text behind a new one."""
        known, pattern = self._literals
        if pattern is None or known != secrets:
            pattern = _one_of({form for secret in secrets for form in _literals_of(secret)})
            self._literals = (secrets, pattern)
        return pattern


def is_password(keyword: str) -> bool:
    """Return whether a keyword is one that a password is given to."""
    return _SECRET_KEYWORD.search(keyword) is not None


def _one_of(forms: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(forms, key=len, reverse=True)), re.IGNORECASE)


def _literals_of(secret: str) -> Iterator[str]:
    """Return the patterns of a secret as it is, as ODBC or a URL's query writes it, in base64 and as numbers."""
    for plain in {secret, secret.replace("}", "}}"), secret.replace(" ", "+")}:
        form = re.escape(plain)
        yield form if len(secret) >= _SHORTEST_WITHIN_A_WORD else rf"(?<![^\W_]){form}(?![^\W_])"
    data = secret.encode(errors="replace")
    for whole in (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode()):
        yield re.escape(whole.decode("ascii").rstrip("="))


def _forms_of(secret: str) -> Iterator[str]:
    """Return the patterns of the ways in which a secret may be written, letter by letter or as a whole."""
    if len(secret) > _LONGEST_ESCAPED:
        # A token of a thousand letters would make a pattern of a hundred thousand: it is looked for as a whole.
        yield from {re.escape(whole) for whole in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])}
        return
    between = _GAP if len(secret) >= _SHORTEST_CUT else ""
    form = between.join(_letter_pattern(letter) for letter in secret)
    if len(secret) < _SHORTEST_WITHIN_A_WORD:
        form = rf"(?<![^\W_]){form}(?![^\W_])"
    yield form


def _letter_pattern(letter: str) -> str:
    """Return a pattern for one letter of a secret: as it is, or escaped for URL, JSON, HTML, Python or ODBC."""
    escapes = _escapes({ord(letter), *map(ord, letter.lower()), *map(ord, letter.upper())})
    if _is_plain(letter):
        return f"(?:{letter}|{escapes})"
    # It takes 2 milliseconds, and few runs have a text that asks for it.
    import html

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


def _escapes(codes: Iterable[int]) -> str:
    """Return a pattern for the letters with these numbers, as HTML, JSON, Python or a URL escapes them."""
    decimal = "|".join(str(code) for code in codes)
    hexadecimal = "|".join(f"{code:x}" for code in codes)
    short = "|".join(f"{code:02x}" for code in codes if code < 128) or "(?!)"
    return (
        rf"&(?:amp;)*#(?:0*(?:{decimal})|x0*(?:{hexadecimal}));?"
        rf"|\\\\?(?:u\{{?0*(?:{hexadecimal})\}}?|x(?:{short}))|%(?:25)*(?:u0*(?:{hexadecimal})|(?:{short}))"
    )


def _is_plain(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()
