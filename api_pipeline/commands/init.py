"""`init`: the guided set-up."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from api_pipeline.commands.common import Common, not_empty, pass_common, say, session
from api_pipeline.commands.given_secrets import secret_in
from api_pipeline.commands.stopping import stop_on_signals
from api_pipeline.common.terminal import is_terminal
from api_pipeline.setup.dialogue import Dialogue

_KINDS = ("sqlserver", "sqlserver-login", "postgresql", "sqlite", "string", "sample")
_FROM_FILES = {"password_file": "password", "client_secret_file": "CLIENT_SECRET", "supplier_key_file": "SUPPLIER_KEY"}
_LOGIN = ("server", "database", "user", "password_file")
_OPTIONS_OF_KIND = {
    "sqlserver": ("server", "database"),
    "sqlserver-login": _LOGIN,
    "postgresql": _LOGIN,
    "sqlite": ("file",),
    "string": ("connection_string",),
    "sample": (),
}
_OTHER_DATABASE = (
    "The environment variable DB_CONNECTION_STRING counts before the settings file: take it away first, or other "
    "commands open its database."
)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class AtTerminal(Dialogue):
    """Ask a person at a terminal what no option has answered; a question that comes again is asked."""

    is_attended = True

    def text(self, name: str, question: str, default: str = "", *, is_secret: bool = False) -> str:
        """Return the option's value, or what is typed."""
        if name in self.answers:
            return str(self.answers.pop(name))
        return str(click.prompt(f"   {question}", default=default, show_default=bool(default), hide_input=is_secret))

    def choice(self, name: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        """Return the option's value, or the key that belongs to the number typed."""
        if name in self.answers:
            return str(self.answers.pop(name))
        for number, (_, meaning) in enumerate(options, 1):
            self.say(f"   {number}  {meaning}")
        keys = [key for key, _ in options]
        number = click.prompt(f"   {question}", default=keys.index(default) + 1, type=click.IntRange(1, len(keys)))
        return keys[number - 1]

    def confirm(self, name: str, question: str, *, default: bool) -> bool:
        """Return the option's value, or the answer typed."""
        if name in self.answers:
            return bool(self.answers[name])
        return click.confirm(f"   {question}", default=default)


@click.command("init")
@pass_common
@click.option("--kind", type=click.Choice(_KINDS), help="Use this kind of database.")
@click.option(
    "--server", metavar="NAME", callback=not_empty, help="Open the database on this server: NAME, or NAME:PORT."
)
@click.option("--database", metavar="NAME", callback=not_empty, help="Open the database of this name.")
@click.option("--user", metavar="NAME", callback=not_empty, help="Log in to the database as this user.")
@click.option("--password-file", type=_FILE, help="Read the password of the database from this file.")
@click.option("--file", metavar="PATH", callback=not_empty, help="Use this SQLite file.")
@click.option(
    "--connection-string", metavar="TEXT", callback=not_empty, help="Use this connection string, without a password."
)
@click.option("--table", metavar="NAME", callback=not_empty, help="Use this staging table.")
@click.option("--make-tables/--no-make-tables", default=None, help="Make the tables that are missing.")
@click.option("--la-code", metavar="CODE", help="Set LA_CODE.")
@click.option("--api-endpoint", metavar="URL", help="Set API_ENDPOINT.")
@click.option("--token-endpoint", metavar="URL", help="Set TOKEN_ENDPOINT.")
@click.option("--client-id", metavar="ID", help="Set CLIENT_ID.")
@click.option("--scope", metavar="SCOPE", help="Set SCOPE.")
@click.option("--client-secret-file", type=_FILE, help="Read CLIENT_SECRET from this file.")
@click.option("--supplier-key-file", type=_FILE, help="Read SUPPLIER_KEY from this file.")
@click.option("--store/--no-store", default=None, help="Keep secrets in the credential store, or in the file.")
@click.option("--try-endpoint/--no-try-endpoint", default=None, help="Try the way to the receiver.")
@click.option("--rehearse/--no-rehearse", default=None, help="End with a rehearsal of at most 10 rows.")
@click.option("--replace/--no-replace", default=None, help="Replace a settings file that is there; a copy stays.")
@click.option("--unattended", is_flag=True, help="Ask nothing: take the options, and the defaults for the rest.")
def command(common: Common, unattended: bool, **given: Any) -> None:
    """Set the program up: database, table, the portal's values; write the settings file and rehearse.

    Each answer is tried at once. Every question has an option, so that it also runs unattended; then a
    secret is read from a file or from the environment variable of its name, never from the command line.
    """
    from api_pipeline.settings.credential_store import CredentialStore
    from api_pipeline.settings.loading import working_folder
    from api_pipeline.settings.model import Purpose
    from api_pipeline.setup.guide import Tools, set_up

    answers = _answers(given)
    path = working_folder() / (common.env_file or ".env")
    # The file that is to be written need not be there yet, so the session must not look for it.
    with session(Common(None, common.verbose, common.quiet, common.log_file), Purpose.NOTHING) as started:
        stop = stop_on_signals(prompts=True)
        tools = Tools(path, CredentialStore().set, started.redactor.add, stop)
        asks = is_terminal(sys.stdin) and not unattended
        kept_back: list[str] = []
        show = kept_back.append if common.quiet else (lambda text: say(started.redactor(text)))
        code = set_up((AtTerminal if asks else Dialogue)(answers, show), tools)
        of_environment = os.environ.get("DB_CONNECTION_STRING", "").strip()
        if of_environment and of_environment != str(answers.get("connection_string", "")).strip():
            show(_OTHER_DATABASE)
        if code and kept_back:
            say(started.redactor("\n".join(kept_back)))
    raise SystemExit(code)


def _answers(given: dict[str, Any]) -> dict[str, str | bool]:
    """Return the answers that options and environment give, by the names of the questions."""
    from api_pipeline.setup.guide import PORTAL

    answers: dict[str, str | bool] = {name: os.environ[name] for name in PORTAL if os.environ.get(name, "").strip()}
    of_database = [name for name in (*_LOGIN, "file", "connection_string") if given.get(name) is not None]
    if os.environ.get("DB_CONNECTION_STRING", "").strip() and not of_database:
        answers |= {"kind": "string", "connection_string": os.environ["DB_CONNECTION_STRING"]}
    for option, value in given.items():
        if value is None:
            continue
        if option in _FROM_FILES:
            answers[_FROM_FILES[option]] = secret_in(value, f"--{option.replace('_', '-')}")
        else:
            answers[option.upper() if option.upper() in PORTAL else option] = value
    if given.get("connection_string"):
        _refuse_password(given["connection_string"])
    for kind, option in (("string", "connection_string"), ("sqlite", "file")):
        if given.get(option):
            answers.setdefault("kind", kind)
    _refuse_options_of_another_kind(str(answers.get("kind", "")), of_database)
    return answers


def _refuse_options_of_another_kind(kind: str, given: Sequence[str]) -> None:
    """Refuse an option that the kind of database has no use for: it would have no effect, and nobody would see it."""
    foreign = [option for option in given if kind and option not in _OPTIONS_OF_KIND[kind]]
    if foreign:
        fitting = ", ".join(name for name, options in _OPTIONS_OF_KIND.items() if foreign[0] in options)
        raise click.UsageError(
            f"--{foreign[0].replace('_', '-')} does not go with --kind {kind}; leave one of them out (it goes with "
            f"{fitting})."
        )


def _refuse_password(connection_string: str) -> None:
    """Refuse a password on the command line, which the list of processes and the shell's history show."""
    from api_pipeline.errors import SettingsError
    from api_pipeline.sql.connection_string import HIDDEN, redacted_connection_string

    shown = redacted_connection_string(connection_string)
    # Of what is no connection string nothing may be shown at all; it is refused as such later.
    if HIDDEN in shown and shown != HIDDEN:
        raise SettingsError(
            "--connection-string holds a password, which other accounts can see on the command line; set the "
            "environment variable DB_CONNECTION_STRING instead."
        )
