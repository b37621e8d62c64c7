"""Find mistakes in an ODBC connection string, by ODBC's rules. No sentence quotes a value."""

from __future__ import annotations

import re
from itertools import pairwise

from api_pipeline.sql.connection_string import is_embedded, pairs, plain

_NAME = "DB_CONNECTION_STRING"
_ALIKE = 0.8
_CURLY = frozenset("\u201c\u201d\u2018\u2019")
_KEYWORDS = (
    *("driver", "dsn", "filedsn", "server", "servername", "address", "addr", "port", "network", "database", "dbq"),
    *("initial catalog", "uid", "user", "user id", "username", "pwd", "password", "trusted_connection", "app", "wsid"),
    *("integrated security", "authentication", "encrypt", "trustservercertificate", "hostnameincertificate"),
    *("sslmode", "connect timeout", "timeout", "login timeout", "applicationintent", "multisubnetfailover"),
    *("server certificate", "server spn", "keepalive", "column encryption", "longasmax", "ipaddresspreference"),
    *("connectretrycount", "connectretryinterval", "attachdbfilename", "quotedid", "autotranslate", "description"),
    *("clientcertificate", "clientkey", "failover partner spn", "replication", "regional", "ansinpw", "packet size"),
    *("mars_connection", "application name", "application_name", "language", "sslrootcert", "failover_partner"),
)
_KNOWN = {plain(keyword): keyword for keyword in _KEYWORDS}
# Without PWD= before the example, which the redactor would take for a password.
_BRACES = "a value with ; { or } in it stands in braces, and } is doubled there: a;b}c is written {a;b}}c}"


def connection_string_slips(text: str) -> list[str]:
    """Return a sentence for each mistake in an ODBC connection string; some drivers tolerate some of them."""
    if not text or is_embedded(text):
        return []
    sentences = structural_slips(text)
    keywords = {plain(keyword) for keyword, _ in pairs(text)}
    if not _is_quoted(text) and not keywords & {"driver", "dsn", "filedsn"}:
        sentences.append(f"{_NAME} names no driver; begin it with Driver={{ODBC Driver 18 for SQL Server}};.")
    return sentences


def structural_slips(text: str) -> list[str]:
    """Return a sentence for each mistake in how the string is written: quotes, keywords, semicolons and braces."""
    if _is_quoted(text):
        return [f"{_NAME} begins or ends with a quote; write it without quotes around it."]
    found = list(pairs(text))
    sentences = [
        f"{_NAME} has the keyword {keyword.strip()}, which drivers do not know; {alike} is one."
        for keyword, _ in found
        if (alike := _keyword_alike(keyword))
    ]
    if any(not keyword for keyword, _ in found):
        after = next((before for (before, _), (keyword, _) in pairwise(found) if not keyword), "")
        # A keyword that no driver knows may itself be part of a password.
        behind = f" behind {after}" if plain(after) in _KNOWN else ""
        sentences.append(f"{_NAME} has a part without KEYWORD={behind}; {_BRACES}.")
    return sentences + [f"{_NAME}: {problem}" for problem in _brace_slips(text)]


def malformed(text: str) -> str:
    """Return the first slip that explains why a string opens no database, "" where it is put together well.

    A curly quotation mark is one as well: settings warn of it, since a password may hold one.
    """
    if not text or is_embedded(text):
        return ""
    if _CURLY & set(text):
        return f"{_NAME} has a curly quotation mark in it, as copied from Word or a mail; write it with plain signs."
    return next(iter(structural_slips(text)), "")


def _is_quoted(text: str) -> bool:
    return text[0] in "'\"" or text[-1] in "'\""


def _brace_slips(text: str) -> list[str]:
    """Return what is wrong with the braces of a connection string."""
    for match in re.finditer(r"=\s*\{", text):
        inner = text[match.end() :]
        closed = re.match(r"(?:[^}]|\}\})*\}(?!\})", inner)
        if closed is None:
            return [f"a brace is opened and not closed; {_BRACES}."]
        behind = inner[closed.end() :].partition(";")[0].strip()
        if behind:
            return [f"text stands between a closing brace and the next semicolon; {_BRACES}."]
    return []


def _keyword_alike(keyword: str) -> str | None:
    """Return the keyword that an unknown one resembles; None for a known one, and where it resembles none.

    An unknown keyword that resembles none is never named, because it may be part of a password that should stand in
    braces.
    """
    import difflib

    word = plain(keyword)
    if not word or word in _KNOWN:
        return None
    alike = difflib.get_close_matches(word, _KNOWN, n=1, cutoff=_ALIKE)
    return _KNOWN[alike[0]] if alike else None
