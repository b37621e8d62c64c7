"""The reference of the Single Data Return: its settings, tables, statements and messages, from the code."""

from __future__ import annotations

from pathlib import Path

from api_pipeline.sdr import schema
from scripts import reference_messages
from scripts.reference_commands import MADE
from scripts.reference_data import statements_of, table_scripts
from scripts.reference_settings import sdr_settings_page

_TABLE = "sdr_staging"
_TABLES_OF = (
    ("sdr_staging", "the records, filled by you", "yes"),
    ("sdr_held", "which records TEC holds for each return, as hashes", "ids alone"),
    ("sdr_submission", "the submission token and how each submission stands", "no"),
    ("sdr_validation", "the results of validations; `record_text` is the record itself", "yes"),
    ("sdr_submission_log", "each outcome of a record that was sent, no payload", "ids alone"),
    ("sdr_runs", "the journal: one row a run", "no"),
)


def pages(docs: Path) -> dict[Path, str]:
    """Return the text of every page by its path."""
    return {
        docs / "sdr/settings.md": sdr_settings_page(),
        docs / "sdr/dba.md": dba_page(),
        docs / "sdr/messages.md": messages_page(),
    }


def dba_page() -> str:
    """Return the page for database administrators."""
    rows = "\n".join(f"| `{name}` | {what} | {personal} |" for name, what, personal in _TABLES_OF)
    parts = [
        f"{MADE}# Single Data Return: for database administrators\n",
        "Six tables stand beside each other in one schema. The program opens one connection, and no transaction is\n"
        "open while it waits for TEC.\n",
        f"| table | what it holds | personal data |\n|---|---|---|\n{rows}\n",
        "A reset of a return deletes its rows of `sdr_held`; rows of the other tables are yours to delete when your\n"
        "retention rules say so.\n",
        "## Table scripts\n",
    ]
    parts += table_scripts("###", lambda dialect: schema.render(dialect, _TABLE))
    parts.append("## Statements\n\n`?` is a parameter: values always travel as parameters, never in the text.\n")
    names = {name.removeprefix("sdr_"): name for name, *_ in _TABLES_OF}
    parts += statements_of("sdr_queries.sql", {**names, "log": "sdr_submission_log"})
    return "\n".join(parts)


def messages_page() -> str:
    """Return every message of the commands, with its exit code."""
    rows = sorted(reference_messages.sdr_messages(), key=lambda message: message.text)
    lines = "\n".join(
        f"| {reference_messages.shown(' '.join(one.text.split()))} | {'' if one.code is None else one.code} |"
        for one in rows
        if one.text.strip(". ()")
    )
    return (
        f"{MADE}# Single Data Return: messages\n\n"
        "`...` stands for what differs. Messages about the database, the network and the settings that both services\n"
        "share are on the pages of [when something is wrong](../troubleshoot/index.md).\n\n"
        f"| message | exit code |\n|---|---|\n{lines}\n"
    )
