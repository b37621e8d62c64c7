"""The form that the text of a setting must have, and the characters that come along when it is copied."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import SplitResult, urlsplit

from api_pipeline.settings.definition import SettingKind
from api_pipeline.sql.connection_string import embedded_path, is_embedded, pairs
from api_pipeline.sql.identifiers import is_table_name

_NOT_IN_AN_ENDPOINT = frozenset("@#?;%{}|^`'")
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.|$)){4}")
_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u00ab\u00bb"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def is_text_of(kind: SettingKind, text: str) -> bool:
    """Return whether a text has the form of a kind of setting; on one line it must be for every kind."""
    return _CHECKS.get(kind, is_one_line)(text)


def _split_url(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL with a host; None when it is none.

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
    """Return whether `text` is an endpoint that stands on the wire letter by letter as it stands here.

    Whatever a program on the way could read in two ways is refused, so that the interlocks judge what is requested.
    """
    parts = _split_url(text)
    if parts is None or not text.isascii() or set(text) & _NOT_IN_AN_ENDPOINT:
        return False
    host = parts.hostname or ""
    if _ENDS_IN_NUMBER.search(host) and not _ADDRESS.fullmatch(host):
        # 127.1, 0x7f.1 and 2130706433 are this machine to some programs and an unknown name to others.
        return False
    return (_HOST.fullmatch(host) is not None or ":" in host) and not {".", ".."} & set(parts.path.split("/"))


def _is_webhook(text: str) -> bool:
    parts = _split_url(text)
    return parts is not None and text.isascii() and "@" not in parts.netloc and "#" not in text


def _is_proxy(text: str) -> bool:
    parts = _split_url(text)
    return parts is not None and not parts.query and "#" not in text


def is_one_line(text: str) -> bool:
    """Return whether a text has no control character."""
    return all(letter >= " " and letter != "\x7f" for letter in text)


def _is_header(text: str) -> bool:
    return all(" " <= letter <= "~" for letter in text)


def _is_connection(text: str) -> bool:
    if not is_one_line(text):
        return False
    if is_embedded(text):
        return bool(embedded_path(text))
    return "://" not in text.split("=", 1)[0] and any(keyword for keyword, _ in pairs(text))


def _is_la_code(text: str) -> bool:
    return re.fullmatch(r"[0-9]{3}", text) is not None


def copied_sign(text: str) -> str:
    """Return a character that comes along when a value is copied out of Word, Teams or a PDF; "" where there is none.

    It is in words, such as "an invisible sign (U+200B)". Letters of any language are allowed. So is a blank at the
    beginning or the end, which is taken off before.
    """
    for letter in text:
        kind = _kind(letter)
        if kind:
            return f"{kind} (U+{ord(letter):04X})"
    return ""


def without_invisible_signs(text: str) -> str:
    """Return `text` without its invisible characters."""
    return "".join(letter for letter in text if not _is_invisible(letter))


def _kind(letter: str) -> str:
    if letter.isascii():
        return ""
    if _is_invisible(letter):
        return "an invisible sign"
    if letter in _QUOTES:
        return "a curly quotation mark"
    if letter in _DASHES:
        return "a dash that is not a minus"
    return "a blank that is not an ordinary one" if unicodedata.category(letter) == "Zs" else ""


def _is_invisible(letter: str) -> bool:
    return not letter.isascii() and unicodedata.category(letter) == "Cf"


_CHECKS = {
    SettingKind.CONNECTION: _is_connection,
    SettingKind.URL: _is_url,
    SettingKind.WEBHOOK: _is_webhook,
    SettingKind.PROXY: _is_proxy,
    SettingKind.HEADER: _is_header,
    SettingKind.TABLE: is_table_name,
    SettingKind.SCHEMA: is_table_name,
    SettingKind.LA_CODE: _is_la_code,
}
