"""The pages of troubles, one a topic: what is written by hand, and below it the messages of the code that belong there.

The page of the database also gets a table of the SQLSTATEs that the program knows, with what it says of each. Its
sentences are asked of the code, not written here.
"""

from __future__ import annotations

import re
from pathlib import Path

from api_pipeline.sql.driver_errors import as_database_error
from api_pipeline.sql.odbc_errors import (
    ConnectionFacts,
    _driver_sentence,
    _refused_by_driver,
    _server_sentence,
    _unopened,
)
from scripts.reference_messages import ROOT, Message, Unreadable, messages, shown

FOLDER = ROOT / "docs" / "troubleshoot"
MARK = "<!-- From here on made by scripts/make-docs from the code. -->"

# Each page with its headings, and the modules whose messages stand below each. The first that fits counts.
TOPICS: dict[str, tuple[tuple[str, str], ...]] = {
    "settings": (
        ("Settings", "^settings.(?!credential)|sql.identifiers|transport.session|^interface|commands.common"),
        ("The guided set-up", "^setup|commands.(init|given_secrets)"),
        ("Options of a command", "commands.(run|schema_options)"),
    ),
    "database": (
        ("The connection string", "connection_slips"),
        (
            "Database",
            "odbc_errors|driver_errors|native|^db(?!.journal)|staging_table|outbox.statements|diagnostics.database|sql.binding",
        ),
        (
            "Tables, columns and rights",
            "table_comparison|ddl|^deploy$|deploy_schema|diagnostics.(columns|rights)|^outbox.(survey|write_back|overtaken|status)",
        ),
    ),
    "receiver": (
        ("The way to the receiver", "diagnostics.route|diagnostics.tls"),
        (
            "Token and receiver",
            "auth|access_probe|diagnostics.(endpoint|receiver_answer)|batch_delivery|csc_api|transport",
        ),
    ),
    "records": (
        ("Payloads refused before sending", "^payload|delivery.planner|^api_response"),
        (
            "A run",
            "delivery.(run|sender_pool|stop_token)|assembly|spool|reliable_write_back|recovery|journal|retry|^cli",
        ),
        ("One child's story", "explain"),
    ),
    "files": (
        ("Logs and secrets", "^logs|credential_store|commands.(secrets|misplaced_secrets)"),
        ("Reports and files", "run_report|html_page|^reports|diagnostics.payloads|demo|sample_table"),
    ),
    "staging": (("Filling the staging table", "staging"), ("The anonymised copy", "anonymise")),
    "services": (
        ("The scheduled task", "schedule"),
        ("Notifications and metrics", "^notify"),
        ("The embedded receiver", "simulator"),
    ),
}

# What the standards and the databases mean by a state; what the program says of it is asked of the code.
WHEN_OPENING = (
    ("IM002", "no such data source, or no driver named"),
    ("IM003", "the driver cannot be loaded"),
    ("IM004", "the driver could not begin"),
    ("IM005", "the driver could not begin a connection"),
    ("IM012", "a mistake in the word DRIVER"),
    ("IM014", "a driver for another architecture"),
    ("FA001", "Authentication= beside a trusted connection (Microsoft's driver)"),
    ("FA002", "an access token beside a login (Microsoft's driver)"),
    ("FA003", "Authentication= without user or password (Microsoft's driver)"),
    ("28000", "the login was refused"),
    ("28P01", "the password was refused (PostgreSQL)"),
    ("3D000", "no such database"),
    ("HYT00", "no answer in time"),
    ("HYT01", "no connection in time"),
    ("08001", "no connection could be made"),
    ("08004", "the server rejected the connection"),
    ("08S01", "the connection broke while it was made"),
    ("HY000", "any other error"),
)
IN_A_STATEMENT = (
    ("01002", "the server ended the connection"),
    ("08003", "the connection is not open"),
    ("08006", "the connection failed"),
    ("08007", "the connection failed during a commit"),
    ("08S01", "the connection broke"),
    ("57P01", "the server is shut down, or this login was ended (PostgreSQL)"),
    ("57P02", "the server crashed (PostgreSQL)"),
    ("57P03", "the server is starting (PostgreSQL)"),
    ("HYT00", "no answer in time"),
    ("HYT01", "no connection in time"),
    ("IMC01", "the driver could not restore the connection"),
    ("40001", "deadlock, or a conflict of two transactions"),
    ("40P01", "deadlock (PostgreSQL)"),
    ("55P03", "a lock is held by somebody else (PostgreSQL)"),
    ("22P05", "a letter that the code page lacks (PostgreSQL)"),
    ("42S02", "no such table"),
    ("42P01", "no such table (PostgreSQL)"),
    ("42S22", "no such column"),
    ("42703", "no such column (PostgreSQL)"),
    ("42501", "permission denied (PostgreSQL)"),
    ("25006", "a read-only transaction (PostgreSQL)"),
    ("53100", "the disk is full (PostgreSQL)"),
    ("53200", "out of memory (PostgreSQL)"),
    ("57014", "the statement was cancelled (PostgreSQL)"),
    ("XX001", "damaged data (PostgreSQL)"),
    ("XX002", "a damaged index (PostgreSQL)"),
    ("HY008", "the statement was cancelled"),
    ("HY001", "the driver has no memory left"),
    ("23000", "a key is there already, or a constraint was broken"),
    ("HY000", "any other error"),
)
# What SQL Server's driver puts in round brackets behind its text.
NATIVE = (
    ("1205", "a deadlock's victim"),
    ("1222", "a lock was waited for too long"),
    ("1204", "no more locks are available"),
    ("701", "no memory is left for the statement"),
    ("8628", "a plan of the statement was waited for too long"),
    ("8645", "memory was waited for too long"),
    ("8651", "no memory was free"),
    ("3960", "a conflict under snapshot isolation"),
    ("3961", "a conflict under snapshot isolation"),
    ("3966", "a conflict under snapshot isolation"),
    ("921", "the database is not recovered yet"),
    ("922", "the database is being recovered"),
    ("10928", "Azure: the limit of requests or sessions"),
    ("10929", "Azure: the server is too busy for more requests"),
    ("10936", "Azure: the limit of requests of an elastic pool"),
    ("40501", "Azure: the service is busy"),
    ("49918", "Azure: not enough resources for the request"),
    ("49919", "Azure: too many changes under way"),
    ("49920", "Azure: too many operations under way"),
    ("1101", "no page is left in the database"),
    ("1105", "the file group is full"),
    ("9002", "the transaction log is full"),
    ("40544", "Azure: the quota of the database is used up"),
    ("3906", "the database is read-only"),
    ("3908", "the database cannot be changed"),
    ("978", "a secondary of an availability group, which may only be read"),
)
_FACTS = ConnectionFacts("...", "", "...", None, "...", "...")
_WITHOUT_DRIVER = ConnectionFacts("", "...", "", None, "", "")


def pages() -> dict[Path, str]:
    """Return the text of each page of a topic by its path: the hand's part down to the mark, the code's below it."""
    found = {FOLDER / f"{topic}.md": _page(FOLDER / f"{topic}.md", topic) for topic in TOPICS}
    homeless = [message for message in messages() if place(message) is None]
    if homeless:
        raise Unreadable(f"no page of troubles takes {homeless[0].module}: {homeless[0].text}")
    return found


def place(message: Message) -> tuple[str, str] | None:
    """Return the page and the heading under which a message is listed."""
    places = ((topic, heading, part) for topic, headings in TOPICS.items() for heading, part in headings)
    return next(((topic, heading) for topic, heading, part in places if re.search(part, message.module)), None)


def said_when_opening(state: str) -> str:
    """Return what the program says where a connection could not be opened, with `...` for names."""
    if state == "IM002":
        return _driver_sentence(state, _WITHOUT_DRIVER, ["..."])
    if state.startswith("IM"):
        return _driver_sentence(state, _FACTS, ["..."])
    if slip := _refused_by_driver(state, ""):
        return _unopened(slip)
    return _server_sentence(state, "", _FACTS)


def said_in_a_statement(state: str, native: str = "") -> str:
    """Return what the program says where a statement failed, without the state and the statement's name."""
    error = type("Error", (Exception,), {"__module__": "pyodbc"})(state, f"({native}) (SQLExecDirectW)")
    said = re.sub(r" \(SQLSTATE [^)]*\)", "", str(as_database_error(error)))
    return said.replace("the statement of the program", "the statement ...")


def _page(path: Path, topic: str) -> str:
    head, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise Unreadable(f"{path.name} has no line {MARK}")
    parts = [f"{head}{MARK}\n"]
    if topic == "database":
        parts.append(_states())
    parts.append(
        "\n## Every message of this page\n\nThree dots stand for what differs. A message without an exit code is a "
        "warning or part of another.\n"
    )
    for heading, _ in TOPICS[topic]:
        rows = sorted((one for one in messages() if place(one) == (topic, heading)), key=lambda one: one.text)
        if rows:
            parts.append(f"\n### {heading}\n\n| message | exit code | who can fix it |\n|---|---|---|\n")
            parts.extend(_row(message) for message in rows)
    return "".join(parts)


def _states() -> str:
    opening = [(state, means, said_when_opening(state)) for state, means in WHEN_OPENING]
    later = [(state, means, said_in_a_statement(state)) for state, means in IN_A_STATEMENT]
    native = [(number, means, said_in_a_statement("HY000", number)) for number, means in NATIVE]
    return (
        "\n## SQLSTATEs\n\nEvery sentence of the program about a database error ends with `(SQLSTATE ...)`, a code of "
        "five characters from the driver.\nThese are the codes that it knows. If the driver's own words say more, the "
        "program follows them.\n"
        f"\n### When the connection is opened\n{_sections('SQLSTATE', opening)}"
        f"\n### When a statement runs\n{_sections('SQLSTATE', later)}"
        f"\n### Error numbers of SQL Server\n{_sections('Native error', native)}"
    )


def _sections(first: str, rows: list[tuple[str, str, str]]) -> str:
    """Return a heading with all codes of a sentence, so that the search of the site finds each code by its heading."""
    by_sentence: dict[str, list[tuple[str, str]]] = {}
    for code, means, said in rows:
        by_sentence.setdefault(said.replace("....", "..."), []).append((code, means))
    parts = []
    for said, codes in by_sentence.items():
        meanings = "".join(f"- **{code}** {means}\n" for code, means in codes)
        heading = ", ".join(code for code, _ in codes)
        parts.append(f"\n#### {first} {heading}\n\n{meanings}\nThe program says: {shown(said)}\n")
    return "".join(parts)


def _row(message: Message) -> str:
    advice = f"<br>What to do: {shown(message.advice)}" if message.advice else ""
    code = "" if message.code is None else message.code
    return f"| {shown(message.text)}{advice} | {code} | {message.who} |\n"
