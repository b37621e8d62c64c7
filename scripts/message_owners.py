"""Who in a council can fix what a message is about: a table, read from its top."""

from __future__ import annotations

import re

_NETWORK, _DATABASE, _PORTAL = "network team", "database administrator", "holder of the account at the DfE portal"
_OPERATOR, _DATA, _SERVERS = "operator", "data team", "server team"
_PASSING, _MAKERS = "nobody: it usually passes", "makers of this program"
# The first that fits: a part of the module's name, words of the message or its advice, and who can fix it.
_WHO: tuple[tuple[str, str, str], ...] = (
    (
        "",
        r"(fault|error) of (its own|the program)|program error|failed unexpectedly|holds no receipt|"
        r"receipts? came|differ in number|this program's makers|newer version|please report (this|it)",
        _MAKERS,
    ),
    (
        "",
        r"certificate of \.\.\. (has expired|is not valid yet)|certificate expires",
        f"{_SERVERS}, or who runs the server",
    ),
    (
        "",
        r"web page|login page|earlier answer came again|redirected|proxy on the way to|"
        r"network team (knows|to allow the host)|a firewall that looks|a firewall or proxy on the way|"
        r"the proxy (closed|could not|did not|forbids|requires)|"
        r"TLS was not accepted|ask the network team|whether the records were accepted",
        _NETWORK,
    ),
    ("diagnostics.route|diagnostics.tls", "", _NETWORK),
    ("^outbox.(survey|write_back|overtaken)|diagnostics.rights", "", _DATABASE),
    (
        "",
        r"[Aa]sk the database administrator|table \.\.\. cannot be written to|LOG_KEEP_DAYS|journal entry of|"
        r"the index \.\.\. of|an earlier run had saved; the file|make it with: d2i-csc-api deploy-schema",
        _DATABASE,
    ),
    (
        "",
        r"which is a folder|a SQLite database; correct|put together well|"
        r"database file \.\.\. does not exist|names no ODBC|set-up was ended|has no row with person_id|"
        r"are not in shard",
        _OPERATOR,
    ),
    ("", r"cannot be passed to the database", _DATA),
    ("", r"ODBC driver|ODBC library|data source|no SQL Server ODBC", _SERVERS),
    (
        "",
        r"credential store|log file|LOG_|lock file|be written|be opened|cannot be read \(|may be read by others",
        _SERVERS,
    ),
    (
        "",
        r"refused the credentials|refused access|forbids access|fresh token|"
        r"subscription key|no token service at|no receiver at this address",
        _PORTAL,
    ),
    (
        "",
        r"[Aa]nother run|is working on shard|is busy|[Ss]topped by a signal|stopping:|failed for .* in a row",
        _PASSING,
    ),
    (
        "",
        r"asks to wait|access token|not available for a while|could not be reached|"
        r"connection (to the database )?was lost|no connection",
        _PASSING,
    ),
    (
        "",
        r"no answer within|service answered|the answer\b.* (is|larger)|did not answer as it should|it does no harm",
        _PASSING,
    ),
    ("^payload|delivery.planner|^api_response", "", _DATA),
    ("staging", r"SSD", f"{_DATA}, {_DATABASE}"),
    (
        "odbc_errors|driver_errors|^db|staging_table|outbox.statements|table_comparison|diagnostics.(database|columns)|assembly|journal",
        "",
        _DATABASE,
    ),
    ("", "", _OPERATOR),
)


def who_can_fix(module: str, said: str) -> str:
    """Return who can fix what a module says in a message and its advice."""
    return next(who for part, words, who in _WHO if re.search(part, module) and re.search(words, said))
