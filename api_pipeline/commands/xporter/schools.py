"""`xporter schools`: who authorised the council, the schools' secrets, and the way out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session
from api_pipeline.commands.given_secrets import asked_secret, text_of
from api_pipeline.commands.misplaced_secrets import TAKES_MORE, refuse_more
from api_pipeline.commands.xporter.common import checked_estab
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.run_summary import counted


@click.group("schools", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the schools (the default), keep a school's secret, or remove a school with its data."""
    if context.invoked_subcommand is None:
        context.invoke(list_schools, as_json=as_json)


@command.command("list")
@pass_common
@json_option
def list_schools(common: Common, as_json: bool) -> None:
    """List the schools: theirs (authorised, pending, revoked) beside ours (state, secret, scopes, last round)."""
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.checking import listed_schools
    from api_pipeline.xporter.opening import StoredSecrets, access_of, open_landing, session_of
    from api_pipeline.xporter.status import last_rounds

    with session(common, Purpose.XPORTER, has_testing_mode=False) as started, open_landing(started.settings) as store:
        store.check()
        secrets = StoredSecrets(started.settings, started.redactor.add)
        known = {row["estab"]: row for row in store.schools()}
        collected = last_rounds(store)
        with session_of(started.settings) as http:
            asked = listed_schools(access_of(started.settings, http, started.redactor.add))
    listed = asked or {}
    missing = "not asked" if asked is None else "not in the list"
    shown = []
    for estab in sorted({*known, *listed, *collected, *secrets.estabs(), *started.settings.xporter.schools}):
        row = known.get(estab, {})
        theirs = listed[estab].state.value if estab in listed else missing
        has_secret = bool(secrets.get(estab))
        secret = "secret here" if has_secret else "no secret"
        name = (listed[estab].name if estab in listed else row.get("school_name")) or ""
        if as_json:
            when_collected = collected.get(estab)
            shown.append(
                documents.school(estab, theirs, row, name or None, has_secret=has_secret, collected=when_collected)
            )
            continue
        click.echo(f"{estab}  {theirs:<15} {row.get('state') or 'new':<11} {secret:<11}  {name}".rstrip())
        if row or estab in collected:
            when = f"{collected[estab]:%Y-%m-%d %H:%M} UTC" if estab in collected else "never"
            click.echo(f"  collected {when}; scopes: {row.get('scopes') or 'not known'}")
        if row.get("problem"):
            click.echo(f"  {row['problem']}")
    if as_json:
        print_json(documents.schools(shown))


@command.command("add", context_settings=TAKES_MORE)
@pass_common
@click.argument("estab", required=False)
@click.option("--file", "path", type=click.Path(path_type=Path), help="A CSV file with the columns estab and secret.")
@json_option
def add(common: Common, estab: str | None, path: Path | None, as_json: bool) -> None:
    """Keep the secret of school ESTAB (asked for without echo, or piped), or of every school in a file.

    The secrets go into the operating system's credential store, never into a file. Delete the CSV file afterwards.
    """
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.credential_store import CredentialStore, school_entry

    refuse_more()
    if (estab is None) == (path is None):
        raise click.UsageError("Give a school's seven digits, or --file with many.")
    given = _from_file(path) if path else {checked_estab(estab or ""): asked_secret(f"Secret of school {estab}")}
    store = CredentialStore()
    for school, secret in given.items():
        store.set(school_entry(school), secret)
    if as_json:
        print_json(documents.secrets_kept(given))
    elif not common.quiet:
        kept = counted(len(given), "{secret of a school is|secrets of schools are} kept")
        click.echo(f"{kept} in the credential store of this account.")


def _from_file(path: Path) -> dict[str, str]:
    try:
        file = io.StringIO(text_of(path.read_bytes(), f"The file {path}"), newline="")
        rows = [{(name or "").strip().lower(): value for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, csv.Error) as error:
        raise SettingsError(f"The file {path} cannot be read as CSV ({reason_of(error)}).") from None
    if not rows or not {"estab", "secret"} <= set(rows[0]):
        raise SettingsError(
            f"The file {path} needs a first line with the columns estab and secret, and a line a school."
        )
    found: dict[str, str] = {}
    # All of it is checked before the first secret is kept.
    for row in rows:
        estab, secret = checked_estab(str(row["estab"]).strip()), str(row["secret"] or "").strip()
        if not secret:
            raise SettingsError(f"The file {path} has no secret of school {estab}; nothing was stored.")
        if found.setdefault(estab, secret) != secret:
            raise SettingsError(f"The file {path} has two secrets of school {estab}; nothing was stored.")
    return found


@command.command("remove")
@pass_common
@click.argument("estab")
@json_option
def remove(common: Common, estab: str, as_json: bool) -> None:
    """Remove every landed row of school ESTAB, its state and its secret; the proof of it stays in xporter_school."""
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.landing.removal import remove_school
    from api_pipeline.xporter.opening import open_landing

    checked_estab(estab)
    with session(common, Purpose.DATABASE, has_testing_mode=False) as started, open_landing(started.settings) as store:
        in_settings = started.settings.xporter.school_secrets.get(estab)
        try:
            removed = remove_school(store, estab, in_settings)
        except SettingsError:
            # Never collected, it may have a secret all the same, as one that was added by mistake.
            if not _forget_secret(estab):
                raise
            removed = 0
        else:
            _forget_secret(estab)
    if as_json:
        print_json(documents.school_removed(estab, removed, is_in_settings=in_settings is not None))
    elif not common.quiet:
        click.echo(f"School {estab}: {counted(removed, '{row was|rows were} removed')}.")
        if in_settings is not None:
            click.echo(f"Take XPORTER_SECRET_{estab} out of the settings as well.")


def _forget_secret(estab: str) -> bool:
    """Take a school's secret out of the credential store; return whether it was there."""
    from api_pipeline.settings.credential_store import CredentialStore, school_entry

    try:
        return CredentialStore().delete(school_entry(estab))
    except SettingsError:
        click.echo(
            f"The credential store of this account cannot be used; if it holds a secret of school {estab}, it is still "
            "there.",
            err=True,
        )
        return False
