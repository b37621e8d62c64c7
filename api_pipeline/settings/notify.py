"""The settings of notifications as one object: who is notified of a run, when, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, cast
from urllib.parse import urlsplit

from api_pipeline.settings.safety import endpoint_errors, is_loopback, is_loopback_host
from api_pipeline.settings.values import Values

When: TypeAlias = Literal["failure", "always", "recovery"]
WebhookKind: TypeAlias = Literal["teams", "slack", "json"]
Security: TypeAlias = Literal["starttls", "tls", "none"]
# The checks of the school data collector, beside PING_URL of the nightly run.
OTHER_PINGS = ("XPORTER_PING_URL", "XPORTER_WRITE_BACK_PING_URL")
_PORTS: dict[str, int] = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
# A shorter path holds no token, and would take much out of every line.
_SHORTEST_PATH = 8
_SLACK = ("hooks.slack.com", "hooks.slack-gov.com")
_TEAMS = (".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com")


class EmailSettings(NamedTuple):
    """Where mails go: `server` is a host's name, `password` is "" where the server asks for no login."""

    to: tuple[str, ...]
    sender: str
    server: str
    port: int
    security: Security
    user: str
    password: str

    def __repr__(self) -> str:
        return "EmailSettings(***)"


class NotifySettings(NamedTuple):
    """Who is notified. "" and None mean nobody; the addresses of webhook and ping hold a token, so they are secrets."""

    when: When = "failure"
    webhook: str = ""
    webhook_kind: WebhookKind = "json"
    ping_url: str = ""
    email: EmailSettings | None = None
    other_pings: Mapping[str, str] = MappingProxyType({})

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secret values, for redaction."""
        password = self.email.password if self.email else ""
        pings = [text for url in self.other_pings.values() for text in _tellable(url)]
        found = (*_tellable(self.webhook), *_tellable(self.ping_url), *pings, password)
        return tuple(value for value in found if value)

    def for_testing(self) -> NotifySettings:
        """Return the addresses on this machine alone, because in testing mode nothing leaves it."""
        return self._replace(
            webhook=self.webhook if is_loopback(self.webhook) else "",
            ping_url=self.ping_url if is_loopback(self.ping_url) else "",
            email=self.email if self.email and is_loopback_host(self.email.server) else None,
            other_pings={name: url for name, url in self.other_pings.items() if is_loopback(url)},
        )

    def pinging(self, setting: str) -> NotifySettings:
        """Return the same with the check of another setting, where that is one of `other_pings`."""
        if setting in OTHER_PINGS:
            return self._replace(ping_url=self.other_pings.get(setting, ""), other_pings={})
        return self

    def __repr__(self) -> str:
        names = [("webhook", self.webhook), ("ping_url", self.ping_url), ("email", self.email)]
        told = ", ".join(f"{name}={'***' if value else None}" for name, value in names)
        return f"NotifySettings(when={self.when!r}, {told})"


def notify_settings(values: Values, ping: str = "PING_URL", other_pings: Sequence[str] = OTHER_PINGS) -> NotifySettings:
    """Return the settings of notifications; `values` gathers what is wrong with them, and then nobody is notified.

    `ping` is the setting of the service's own check, `other_pings` are those of other commands.
    """
    errors_before = len(values.errors)
    webhook, ping_url = values.text("NOTIFY_WEBHOOK"), values.text(ping)
    others = {name: values.text(name) for name in other_pings if values.given(name)}
    for name, url in (("NOTIFY_WEBHOOK", webhook), (ping, ping_url), *others.items()):
        values.errors.extend(endpoint_errors(name, url))
    kind = values.choice("NOTIFY_WEBHOOK_KIND") or kind_of(webhook)
    when = values.choice("NOTIFY_WHEN")
    found = NotifySettings(cast(When, when), webhook, cast(WebhookKind, kind), ping_url, _email(values), others)
    return found if len(values.errors) == errors_before else NotifySettings()


def kind_of(webhook: str) -> WebhookKind:
    """Return the kind of a webhook by its host: what is neither Slack's nor Teams' gets plain JSON."""
    host = (urlsplit(webhook).hostname or "").lower()
    if host in _SLACK:
        return "slack"
    return "teams" if host.endswith(_TEAMS) else "json"


def _tellable(url: str) -> tuple[str, ...]:
    """Return an address, and what stands behind its host: the HTTP library logs that by itself when verbose."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    behind = (f"{path}?{parts.query}" if parts.query else "", path)
    return (url, *(text for text in behind if len(text) > _SHORTEST_PATH))


def _email(values: Values) -> EmailSettings | None:
    names = ("NOTIFY_EMAIL_TO", "NOTIFY_EMAIL_FROM", "NOTIFY_EMAIL_SERVER")
    # A value that cannot be is an error also where nobody gets a mail.
    security = cast(Security, values.choice("NOTIFY_EMAIL_SECURITY"))
    port = values.integer("NOTIFY_EMAIL_PORT") if values.given("NOTIFY_EMAIL_PORT") else None
    given = [name for name in names if values.given(name)]
    if not given:
        return None
    for name in names:
        if name not in given:
            values.missing(name)
    to, sender = values.words("NOTIFY_EMAIL_TO"), values.text("NOTIFY_EMAIL_FROM")
    for name, addresses in (("NOTIFY_EMAIL_TO", to), ("NOTIFY_EMAIL_FROM", (sender,))):
        if name in given and not all(map(_ADDRESS.fullmatch, addresses)):
            values.refuse(name, "mail addresses with commas between, for example data.team@council.example")
    server, password = values.text("NOTIFY_EMAIL_SERVER"), values.text("NOTIFY_EMAIL_PASSWORD")
    if password and security == "none" and not is_loopback_host(server):
        values.errors.append(
            "NOTIFY_EMAIL_SECURITY: expected starttls or tls, because a password is never sent without encryption, "
            f"got none (from {values.origin('NOTIFY_EMAIL_SECURITY')})."
        )
    port = _PORTS[security] if port is None else port
    return EmailSettings(to, sender, server, port, security, values.text("NOTIFY_EMAIL_USER"), password)
