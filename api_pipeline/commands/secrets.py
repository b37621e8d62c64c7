"""`secrets`: the secret settings in the operating system's credential store."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.given_secrets import asked_secret
from api_pipeline.commands.misplaced_secrets import TAKES_MORE, refuse_more


@click.group("secrets")
def command() -> None:
    """Keep secret settings in the operating system's credential store, for the account that runs this command."""


@command.command("set", context_settings=TAKES_MORE)
@pass_common
@click.argument("name")
@json_option
def set_secret(common: Common, name: str, as_json: bool) -> None:
    """Keep the secret setting NAME. It is typed without echo, or read from standard input."""
    from api_pipeline.settings.credential_store import CredentialStore, secret_setting

    refuse_more()
    setting = secret_setting(name)
    CredentialStore().set(setting, asked_secret(setting, is_confirmed=True))
    if as_json:
        print_json({"name": setting, "action": "set", "was_changed": True})
    elif not common.quiet:
        click.echo(f"{setting} is kept in the credential store of this account; other accounts do not see it.")


@command.command("list", context_settings=TAKES_MORE)
@pass_common
@json_option
def list_secrets(common: Common, as_json: bool) -> None:
    """List the secret settings that are in the store. Their values are never shown."""
    from api_pipeline.settings.credential_store import CredentialStore

    refuse_more()
    names = CredentialStore().names()
    if as_json:
        print_json({"names": names})
        return
    for name in names:
        click.echo(name)
    if not names and not common.quiet:
        click.echo("No secret setting is in the credential store of this account.", err=True)


@command.command("delete", context_settings=TAKES_MORE)
@pass_common
@click.argument("name")
@json_option
def delete_secret(common: Common, name: str, as_json: bool) -> None:
    """Remove the secret setting NAME from the store."""
    from api_pipeline.settings.credential_store import CredentialStore, secret_setting

    refuse_more()
    setting = secret_setting(name)
    was_there = CredentialStore().delete(setting)
    if as_json:
        print_json({"name": setting, "action": "delete", "was_changed": was_there})
    elif not common.quiet:
        click.echo(f"{setting} {'is gone from' if was_there else 'was not in'} the credential store of this account.")
