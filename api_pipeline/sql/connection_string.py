"""Connection strings: taken apart by ODBC's rules, built, and shown without their secrets.

ODBC's rules: `keyword=value` pairs with `;` between; a value in braces may hold anything, a `}` in it is doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

HIDDEN = "***"
SQLITE_PREFIX = "sqlite:///"

_SHOWN = frozenset(
    {
        *("driver", "dsn", "filedsn", "server", "servername", "address", "addr", "port", "network"),
        *("database", "dbq", "initialcatalog", "uid", "user", "userid", "username"),
        *("trustedconnection", "integratedsecurity", "authentication", "encrypt", "trustservercertificate"),
        *("hostnameincertificate", "sslmode", "connecttimeout", "timeout", "logintimeout"),
        *("app", "wsid", "applicationintent", "multisubnetfailover", "marsconnection"),
    }
)
_WHERE = frozenset(
    {"dsn", "filedsn", "server", "servername", "address", "addr", "port", "database", "dbq", "initialcatalog"}
)
_DRIVERS_OF_SQL_SERVER = ("sql server", "msodbcsql", "freetds", "tdsodbc")
NUMBERED_DRIVER = re.compile(r"ODBC Driver (\d+) for SQL Server")
_OLDER_DRIVERS = ("SQL Server Native Client 11.0", "SQL Server Native Client 10.0", "SQL Server")
_IN_PATH = re.compile(r"(?i)(?<=password=)[^&;]+|(?<=pwd=)[^&;]+|(?<=key=)[^&;]+|(?<=:)[^/\\:@]+(?=@)")
_URL_CREDENTIALS = re.compile(r"(?<=://)\S*@")


def is_embedded(text: str) -> bool:
    """Return whether `text` names the embedded database (sqlite:///PATH, the prefix in any case of letters)."""
    return text.lower().startswith(SQLITE_PREFIX)


def embedded_path(text: str) -> str:
    """Return the path of the file that holds the embedded database, of a text that names one."""
    return text[len(SQLITE_PREFIX) :]


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of an ODBC connection string: keyword as written, value with its braces taken off.

    A part without `=` comes as ("", part); a brace that is never closed takes the rest of the text.
    """
    position = 0
    while position < len(text):
        equals = text.find("=", position)
        semicolon = text.find(";", position)
        if equals < 0 or 0 <= semicolon < equals:
            end = semicolon if semicolon >= 0 else len(text)
            if text[position:end].strip():
                yield "", text[position:end].strip()
            position = end + 1
            continue
        keyword = text[position:equals].strip()
        value, position = _value_at(text, equals + 1)
        yield keyword, value


def plain(keyword: str) -> str:
    """Return a keyword as drivers compare it: in small letters, without blanks and underscores."""
    return keyword.replace(" ", "").replace("_", "").lower()


def _value_at(text: str, start: int) -> tuple[str, int]:
    begin = start
    while begin < len(text) and text[begin] == " ":
        begin += 1
    if begin < len(text) and text[begin] == "{":
        closing = begin + 1
        while (closing := text.find("}", closing)) >= 0:
            if text[closing + 1 : closing + 2] != "}":
                rest = text.find(";", closing)
                return text[begin + 1 : closing].replace("}}", "}"), (len(text) if rest < 0 else rest + 1)
            closing += 2
        return text[begin + 1 :], len(text)
    end = text.find(";", begin)
    end = len(text) if end < 0 else end
    return text[begin:end].rstrip(), end + 1


def with_program(text: str, program: str) -> str:
    """Return an ODBC connection string that names the program to SQL Server, unless it names one already.

    Another database's driver need not know the keyword, and behind a data source nobody sees which driver it is.
    """
    found = {plain(keyword): value for keyword, value in pairs(text)}
    is_sql_server = any(word in found.get("driver", "").lower() for word in _DRIVERS_OF_SQL_SERVER)
    if not is_sql_server or found.keys() & {"app", "applicationname"}:
        return text
    return with_options(text, f"APP={program}")


def with_options(text: str, options: str) -> str:
    """Return an ODBC connection string with further options; of two settings of one keyword drivers take the last."""
    return f"{text.rstrip().rstrip(';')};{options}"


def names_driver_of(text: str, word: str) -> bool:
    """Return whether a connection string names a driver with this word in its name; one behind a data source is not
    seen."""
    return any(plain(keyword) == "driver" and word in value.lower() for keyword, value in pairs(text))


def in_braces(value: str) -> str:
    """Return `value` as it may stand in a connection string: in braces where ODBC's rules ask for it."""
    if re.search(r"[;{}]|^\s|\s$", value):
        return "{" + value.replace("}", "}}") + "}"
    return value


def quotable(value: str) -> str:
    """Return a value as it may be shown: *** when it may hold what a brace that was never closed has swallowed."""
    return HIDDEN if re.search(r"[;={}]", value) else value


def database_named_by(text: str) -> str:
    """Return the part of a connection string that names server and database, without user and password."""
    if is_embedded(text):
        return f"{SQLITE_PREFIX}{embedded_path(text)}"
    named = ((plain(keyword), value.lower()) for keyword, value in pairs(text))
    return ";".join(sorted(f"{keyword}={value}" for keyword, value in named if keyword in _WHERE))


def redacted_connection_string(text: str) -> str:
    """Return a connection string fit to be shown: server, database and user stay, anything that may be a secret is ***.

    What is shown are the values of harmless keywords, unless a value holds signs from which a brace that was never
    closed is known; every other value, and any part that is not a pair, is hidden.
    """
    if is_embedded(text):
        return _IN_PATH.sub(HIDDEN, text)
    if "://" in text.split("=", 1)[0]:
        return HIDDEN
    shown = []
    for keyword, value in pairs(text):
        if not _is_keyword(keyword):
            shown.append(HIDDEN)
        elif plain(keyword) in _SHOWN:
            shown.append(f"{keyword}={quotable(value)}")
        else:
            shown.append(f"{keyword}={HIDDEN if value else ''}")
    return ";".join(shown)


def secrets_in_path(text: str) -> tuple[str, ...]:
    """Return the passwords that a path of an embedded database has no use for, and holds as other programs' URLs do."""
    return tuple(_IN_PATH.findall(text)) if is_embedded(text) else ()


def redacted_url(text: str) -> str:
    """Return a URL without the user and password that may stand before its host."""
    return _URL_CREDENTIALS.sub(f"{HIDDEN}@", text)


def trusted_connection_string(server: str, database: str, drivers: Sequence[str]) -> str | None:
    """Return a connection string for the current Windows user on the newest SQL Server driver.

    Return None where no such driver is installed.
    """
    numbered = [(int(match[1]), name) for name in drivers if (match := NUMBERED_DRIVER.fullmatch(name))]
    if numbered:
        driver = max(numbered)[1]
    else:
        known = [name for name in _OLDER_DRIVERS if name in drivers]
        if not known:
            return None
        driver = known[0]
    return f"Driver={{{driver}}};Server={in_braces(server)};Database={in_braces(database)};Trusted_Connection=yes"


def _is_keyword(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z _]{0,30}", text) is not None
