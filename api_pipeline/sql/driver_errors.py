"""Turn a database driver's error into ours: its kind by SQLSTATE and native number, no value of a row in its sentence.

DatabaseError
├── ConnectionLost     the database went away; a new connection may still reach it
├── DatabaseBusy       somebody else holds what was needed; the same may work a moment later
│   └── TransactionLost    the database undid the transaction behind our back; nothing of it was kept
├── KeyTaken           a row of this key is there already
├── TableMissing       a table does not exist
├── StatementFailed    the database does such statements, but could not end this one: cancelled, no room, damage
├── UnreadableText     a row holds text that the driver cannot decode
├── UnstorableText     a text has a letter that the database's code page lacks
└── RowsMissed         a statement touched other rows than it was meant to
"""

from __future__ import annotations

import re
import sqlite3

from api_pipeline.errors import DatabaseError

# Python compiles these, and keeps them, when an error comes: a run without one is spared 2 ms.
_SQLSTATE = r"^\w{5}$"
# IMC are those of a driver that could not restore a connection by itself.
_LOST_STATES = ("08", "57P", "HYT", "IMC", "01002")
# SQL Server: 596 is a session that somebody ended, 983 a replica that changes its role; 40197 and 40613 are Azure's,
# where it moves a database.
_LOST_NATIVE = (
    r"(?i)server closed the connection|connection .*(lost|broken|closed|reset)|closed connection|Communication link|"
    r"\((596|983|40197|40613)\) \(SQL"
)
LOST = "The connection to the database was lost (SQLSTATE {told}); check that the server is up, then run again."
_BUSY_SENTENCE = "The database is busy (SQLSTATE {told}); try again when other work on it has ended."
_CODE_PAGE = "A text has a letter that the code page of the database lacks (SQLSTATE {told})."
# 1222 is SQL Server's wait for a lock, 1204 its want of locks, 701, 8628, 8645 and 8651 of memory; 3960, 3961 and 3966
# are its conflicts under SNAPSHOT isolation; 921 and 922 are a database that comes up; 10928, 10929, 10936, 40501 and
# 49918 to 49920 are Azure's limits. Not every driver has a state or a number for a wait for a lock.
_BUSY = (
    r"(?i)database is locked|Lock request time ?out|due to lock timeout|"
    r"\((701|921|922|1204|1205|1222|3960|3961|3966|8628|8645|8651|10928|10929|10936|40501|49918|49919|49920)\) \(SQL"
)
_TAKEN = r"(?i)UNIQUE constraint failed"
_UNDECODABLE = r"(?i)could not decode to UTF-8"
_READ_ONLY = r"(?i)read-only transaction|read-only (database|because)|\((3906|3908|978)\)"
_MISSING_TABLE = r'(?i)no such table|relation "[^"]*" does not exist|Invalid object name'
_NO_COLUMN = ("42S22", "42703")
_MISSING_COLUMN = r"(?i)no such column|column .* does not exist|Invalid column name"
_DENIED = r"(?i)permission denied|permission was denied|is not able to access the database"
# The number that SQL Server's driver puts behind its text, before the name of the ODBC function.
_NATIVE = r"\((\d+)\) \(SQL\w+\)"
_TABLE = r"(?i)\b(?:FROM|INTO|UPDATE|JOIN)\s+([\w.\[\]\"]+)"
# SQL Server: 1105 the file group is full, 9002 the log, 1101 no page is left, 40544 Azure's quota is used up. SQLite
# says "database or disk is full".
_FULL = r"(?i)(?:database or )?disk is full|No space left|\((?:1105|9002|1101|40544)\)"
# 8649 is SQL Server's limit of what a statement may cost.
_CANCELLED = r"(?i)\binterrupted\b|Operation cancell?ed|cancell?ing statement|\(8649\) \(SQL"
# Want of resources, an operator or a time limit, an error of the system or of the server itself, of memory; cancelled.
_FAILED_STATES = ("53", "57", "58", "XX", "HY001", "HY008")
# PostgreSQL: damaged data, a damaged index. SQL Server: 823 to 825 are errors in reading a page.
_DAMAGED_STATES = ("XX001", "XX002")
_DAMAGED = r"(?i)disk image is malformed|file is (?:encrypted or is )?not a database|\((?:823|824|825)\) \(SQL"
_DRIVER = r"\[[^\]]*\]\s*"
_QUOTED = r"'([^']*)'|\"([^\"]*)\""
_LONGEST_TEXT = 300


class ConnectionLost(DatabaseError):
    """The database went away; a new connection may still reach it."""


class DatabaseBusy(DatabaseError):
    """Somebody else holds what was needed (a lock, a deadlock's victim); the same may work a moment later."""


class TransactionLost(DatabaseBusy):
    """The database undid the transaction by itself; nothing of it was kept, and the same may work a moment later."""


class KeyTaken(DatabaseError):
    """A row of this key is there already."""


class TableMissing(DatabaseError):
    """A table does not exist, or not under this name."""


class StatementFailed(DatabaseError):
    """The database could not end a statement that it does not refuse: it says nothing about tables and rights."""


class UnreadableText(DatabaseError):
    """A row holds text that the driver cannot decode; other rows of the same statement may well be readable."""


class UnstorableText(DatabaseError):
    """A text has a letter that the code page of the database lacks."""


class RowsMissed(DatabaseError):
    """A statement changed other rows than it was meant to, or another number of them."""


def is_driver_error(error: BaseException) -> bool:
    """Return whether an exception comes from a database driver."""
    return isinstance(error, (sqlite3.Error, UnicodeError)) or type(error).__module__ == "pyodbc"


def as_database_error(error: BaseException, sql: str = "", *, has_values: bool = True) -> DatabaseError:
    """Return the error of ours for a driver's error on the statement `sql`.

    The driver's text may quote a row's values. It is repeated only where the statement carried none (`has_values`
    false), and then without what it quotes, unless that stands in the statement itself.
    """
    if isinstance(error, UnicodeEncodeError):
        return UnstorableText("A text cannot be passed to the database: it holds half of a character.")
    if isinstance(error, UnicodeError) or re.search(_UNDECODABLE, str(error)):
        return UnreadableText("A row holds text in another encoding than the database says, or half of a character.")
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error, sql)
    state, text = _said_by(error)
    if re.search(_BUSY, text) or state in ("40001", "40P01", "55P03"):
        return DatabaseBusy(_BUSY_SENTENCE.format(told=_told(state, text, sql)))
    if state.startswith(_LOST_STATES) or re.search(_LOST_NATIVE, text):
        return connection_lost(error, sql)
    if state == "22P05":
        return UnstorableText(_CODE_PAGE.format(told=_told(state, text, sql)))
    shown = "" if has_values or state.startswith("22") else _redacted(text, sql)
    if state.startswith("23") or re.search(_TAKEN, text):
        return KeyTaken(_sentence(state, text, sql, shown))
    return _refusal(state, text, sql, shown)


def connection_lost(error: BaseException, sql: str) -> ConnectionLost:
    """Return the error for a connection that went away, by the driver's error on the statement `sql`."""
    told = _told(*_said_by(error), sql)
    return ConnectionLost(LOST.format(told=told))


def _said_by(error: BaseException) -> tuple[str, str]:
    """Return the SQLSTATE of a driver's error, HY000 where it has none, and the driver's text."""
    state = str(error.args[0]) if error.args else ""
    return state if re.match(_SQLSTATE, state) else "HY000", str(error.args[-1]) if error.args else ""


def _told(state: str, text: str, sql: str) -> str:
    """Return what stands behind the word SQLSTATE: the state, the server's number, and the statement's name."""
    told = _numbered(state, text)
    return f"{told}, {_name_of(sql)}" if getattr(sql, "name", "") else told


def _numbered(state: str, text: str) -> str:
    native = re.search(_NATIVE, text)
    return f"{state}, native error {native[1]}" if native and native[1] != "0" else state


def _refusal(state: str, text: str, sql: str, shown: str) -> DatabaseError:
    kind = TableMissing if _is_table_missing(state, text) else DatabaseError
    kind = StatementFailed if _is_no_refusal(state, text) else kind
    return kind(_sentence(state, text, sql, shown))


def _is_no_refusal(state: str, text: str) -> bool:
    # A text that is of the wrong type may quote a value with such words.
    return state.startswith(_FAILED_STATES) or (
        not state.startswith("22") and any(re.search(what, text) for what in (_CANCELLED, _FULL, _DAMAGED))
    )


def _is_table_missing(state: str, text: str) -> bool:
    if state in _NO_COLUMN:
        # PostgreSQL names the table as well: column "x" of relation "y" does not exist.
        return False
    return state in ("42S02", "42P01") or re.search(_MISSING_TABLE, text) is not None


def _sentence(state: str, text: str, sql: str, shown: str) -> str:
    told = _told(state, text, sql)
    said = f': the server says "{shown}"' if shown else ""
    if _is_table_missing(state, text):
        return (
            f"A table does not exist in this database (SQLSTATE {told}); check TABLE_NAME, or make the tables with: "
            "d2i-csc-api deploy-schema --apply"
        )
    if state == "25006" or re.search(_READ_ONLY, text):
        return (
            f"The database is read-only (SQLSTATE {told}): a replica, or a copy after a failover; "
            "correct DB_CONNECTION_STRING so that it leads to the database that takes changes."
        )
    if state in _NO_COLUMN or re.search(_MISSING_COLUMN, text):
        return f"A column is missing from a table (SQLSTATE {told}){said}; see which with: d2i-csc-api test-schema"
    if state == "42501" or re.search(_DENIED, text):
        return (
            f"The login may not do this in the database (SQLSTATE {told}); "
            "ask the database administrator for the grants that deploy-schema prints."
        )
    if state in ("53100", "53200") or re.search(_FULL, text):
        return (
            f"The database has no room left (SQLSTATE {told}): its disk, its log or a quota is full; ask the database "
            "administrator for room, then run again."
        )
    if state in ("57014", "HY008") or re.search(_CANCELLED, text):
        return (
            f"A statement was cancelled (SQLSTATE {told}), by somebody or by a time limit of the server; ask the "
            "database administrator whether there is one, then run again."
        )
    if state in _DAMAGED_STATES or re.search(_DAMAGED, text):
        return (
            f"The database is damaged (SQLSTATE {told}); have the database administrator check it and restore a "
            "backup, then run again."
        )
    return (
        f"The database refused {_name_of(sql)} (SQLSTATE {_numbered(state, text)}){said}. Give this sentence to the "
        "database administrator; the page docs/reference/sql.md shows every statement by its name."
    )


def _name_of(sql: str) -> str:
    name = getattr(sql, "name", "")
    table = re.search(_TABLE, sql)
    return f"the statement {name or 'of the program'}{f' on {table[1]}' if table else ''}"


def _redacted(text: str, sql: str) -> str:
    """Return the server's words alone: no driver, no function, no quoted text that the statement does not hold."""
    plain = " ".join(re.sub(_DRIVER, "", re.sub(_NATIVE, "", text)).split())

    def kept(found: re.Match[str]) -> str:
        quoted = found[1] if found[1] is not None else found[2]
        return found[0] if quoted and quoted in sql else "'...'"

    shown = re.sub(_QUOTED, kept, plain).rstrip("; .")
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}..."


def _from_sqlite(error: sqlite3.Error, sql: str) -> DatabaseError:
    text = str(error)
    told = f" ({_name_of(sql)})" if getattr(sql, "name", "") else ""
    if "locked" in text or "busy" in text:
        return DatabaseBusy(f"The database file is busy{told}; try again when other work on it has ended.")
    if "unable to open" in text or "disk I/O" in text or "closed database" in text:
        return ConnectionLost(
            f"The database file cannot be opened{told}; check that its folder exists and may be written to."
        )
    if "readonly database" in text:
        return DatabaseError(
            f"The database file may not be written{told}; let the account that runs the command write the file and its "
            "folder."
        )
    if isinstance(error, sqlite3.IntegrityError):
        return KeyTaken(_sentence("HY000", text, sql, ""))
    if "not a database" in text:
        return StatementFailed(
            "The file that DB_CONNECTION_STRING names is not a SQLite database, or is damaged; correct the path, or "
            "restore a backup of the file."
        )
    return _refusal("HY000", text, sql, "")
