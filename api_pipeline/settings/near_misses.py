"""Near misses: a name, a file or a connection string that is nearly right and has no effect, or another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from api_pipeline.settings.definitions import SETTINGS, canonical_name
from api_pipeline.settings.env_file import FILE_NAMES, MISNAMED
from api_pipeline.settings.xporter_definitions import school_secret_of
from api_pipeline.sql.connection_string import is_embedded, pairs
from api_pipeline.sql.paths import is_there

_ENVIRONMENT_ONLY = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
_ALIKE_IN_FILE = 0.8
# The environment holds names of many programs: only one that differs by a slip of the finger is named.
_ALIKE_IN_ENVIRONMENT = 0.9
_SHORTEST = 7
_KEYWORDS = (
    *("driver", "dsn", "filedsn", "server", "servername", "address", "addr", "port", "network", "database", "dbq"),
    *("initial catalog", "uid", "user", "user id", "username", "pwd", "password", "trusted_connection", "app", "wsid"),
    *("integrated security", "authentication", "encrypt", "trustservercertificate", "hostnameincertificate"),
    *("sslmode", "connect timeout", "timeout", "login timeout", "applicationintent", "multisubnetfailover"),
    *("mars_connection", "application name", "application_name", "language", "sslrootcert", "failover_partner"),
)
_BRACES = "a value with ; { or } in it stands in braces, and } is doubled there: PWD={a;b}}c}"


def misspelt_names(names: Iterable[str], where: str) -> list[str]:
    """Return a sentence for each name of a settings file that is not a setting and looks like one."""
    sentences = []
    for name in names:
        if canonical_name(name) or school_secret_of(name):
            continue
        if name.upper() in _ENVIRONMENT_ONLY:
            sentences.append(f"{name} in {where} has no effect; set it in the environment, or use PROXY_URL.")
        elif alike := _alike(name, _ALIKE_IN_FILE):
            sentences.append(_misspelt(name, where, alike))
    return sentences


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each environment variable whose name is nearly that of a setting which is not set."""
    sentences = []
    for name in environ:
        if canonical_name(name) or school_secret_of(name) or len(name) < _SHORTEST:
            continue
        alike = canonical_name(name.upper()) or ("_" in name and _alike(name, _ALIKE_IN_ENVIRONMENT))
        if alike and not environ.get(alike):
            sentences.append(_misspelt(name, "the environment", alike))
    return sentences


def unread_files(read: Path | None, cwd: Path, executable_folder: Path | None) -> list[str]:
    """Return a sentence for each settings file that is there and is not read; `read` is the one that is."""
    folders = dict.fromkeys([cwd, *([executable_folder] if executable_folder else [])])
    candidates = [folder / name for folder in folders for name in (*FILE_NAMES, MISNAMED)]
    sentences = []
    for path in candidates:
        if path == read or not is_there(path):
            continue
        if read is None:
            sentences.append(f"The file {path} is not read; rename it to .env, with nothing behind it.")
        else:
            sentences.append(f"The file {path} is not read, because {read} is; keep one of the two.")
    return sentences


def connection_string_slips(text: str) -> list[str]:
    """Return a sentence for each slip in an ODBC connection string; no sentence quotes a value."""
    if not text or is_embedded(text):
        return []
    name = "DB_CONNECTION_STRING"
    if text[0] in "'\"" or text[-1] in "'\"":
        return [f"{name} begins or ends with a quote; write it without quotes around it."]
    found = list(pairs(text))
    sentences = [
        f"{name} has the keyword {keyword.strip()}, which drivers do not know; {alike} is one."
        for keyword, _ in found
        if (alike := _keyword_alike(keyword))
    ]
    if any(not keyword for keyword, _ in found):
        after = next((before for (before, _), (keyword, _) in pairwise(found) if not keyword), "")
        # A keyword that no driver knows may itself be part of a password.
        behind = f" behind {after}" if _plain(after) in {_plain(word) for word in _KEYWORDS} else ""
        sentences.append(f"{name} has a part without KEYWORD={behind}; {_BRACES}.")
    sentences.extend(f"{name}: {problem}" for problem in _brace_slips(text))
    keywords = {_plain(keyword) for keyword, _ in found}
    if not keywords & {"driver", "dsn", "filedsn"}:
        sentences.append(f"{name} names no driver; begin it with Driver={{ODBC Driver 18 for SQL Server}};.")
    return sentences


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


def _misspelt(name: str, where: str, alike: str) -> str:
    return f"{name} in {where} is not a setting and has no effect; {alike} is one."


def _alike(name: str, cutoff: float) -> str | None:
    import difflib  # seldom used, and slow to import

    names = [name for setting in SETTINGS for name in (setting.name, *setting.aliases)]
    return next(iter(difflib.get_close_matches(name.upper(), names, n=1, cutoff=cutoff)), None)


def _keyword_alike(keyword: str) -> str | None:
    """Return the keyword that an unknown one resembles; None for a known one, and for one that resembles none.

    An unknown keyword that resembles none may be part of a password that should stand in braces: it is not named.
    """
    import difflib

    plain = _plain(keyword)
    known = {_plain(word): word for word in _KEYWORDS}
    if not plain or plain in known:
        return None
    alike = difflib.get_close_matches(plain, known, n=1, cutoff=_ALIKE_IN_FILE)
    return known[alike[0]] if alike else None


def _plain(keyword: str) -> str:
    return re.sub(r"[ _]", "", keyword).lower()
