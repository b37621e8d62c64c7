"""The settings of the Single Data Return as one object, checked, and the texts that are made from their table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import combinations
from pathlib import Path

from api_pipeline.errors import SettingsError
from api_pipeline.sdr.nouns import Collection, OnNewToken
from api_pipeline.sdr.settings_table import BY_NAME, SECRETS, SETTINGS
from api_pipeline.settings.definition import CheckLevel, Group, Needed
from api_pipeline.settings.model import LogFormat, LogTarget, ProxyAuth
from api_pipeline.settings.notify import NotifySettings, notify_settings
from api_pipeline.settings.reading import settings_of
from api_pipeline.settings.reference import as_comment, env_entry
from api_pipeline.settings.safety import endpoint_errors
from api_pipeline.settings.shared import all_errors, all_warnings, connection_string, outputs
from api_pipeline.settings.sources import Sources, gather, with_stored_secrets
from api_pipeline.settings.values import Values
from api_pipeline.sql.native import drivers_to_name

_PATH = re.compile(r"[A-Za-z0-9{}._~/-]+")
_MAKES_ONE = "see all settings with: tec-sdr config --example"


class Purpose(Enum):
    """What a command is about to do, which decides which settings it needs."""

    SUBMIT = "submit"
    LOOK = "look"
    TABLES = "tables"
    NOTHING = "nothing"

    @property
    def needs_database(self) -> bool:
        """Return whether the database must be known."""
        return self in (Purpose.SUBMIT, Purpose.TABLES)

    @property
    def needs_receiver(self) -> bool:
        """Return whether TEC's address and the login must be known when live."""
        return self in (Purpose.SUBMIT, Purpose.LOOK)


@dataclass(frozen=True, slots=True, repr=False)
class SdrSettings:
    """Everything a command of the Single Data Return may know of its settings, checked."""

    connection_string: str
    table_name: str
    api_endpoint: str
    eid: str
    token_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    org_id: str
    client_auth: str
    auth_header: str
    paths: Mapping[Collection, str]
    results_path: str
    testing_mode: bool
    on_new_token: OnNewToken
    max_deleted_share: float
    check: CheckLevel
    schema: Path | None
    batch_size: int
    wait_blocked_s: float
    poll_s: float
    validation_timeout_s: float
    gzip: bool
    min_post_gap_ms: int
    max_attempts: int
    retry_max_wait_s: float
    connect_timeout_s: float
    read_timeout_s: float
    proxy_url: str
    proxy_auth: ProxyAuth
    ca_bundle: Path | None
    user_agent: str
    log_file: Path | None
    log_format: LogFormat
    log_to: LogTarget
    debug: bool
    warnings: tuple[str, ...] = ()
    notify: NotifySettings = field(default_factory=NotifySettings)
    metrics_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SdrExamined:
    """The settings as far as they can be used, their file, and the error that says what is wrong with them."""

    settings: SdrSettings
    file: Path | None
    error: SettingsError | None


def examine_sdr_settings(sources: Sources, purpose: Purpose) -> SdrExamined:
    """Return the settings for `purpose`, checked, and the error that says all that is wrong; raise nothing for it."""
    only_logging = purpose is Purpose.NOTHING
    gathered = gather(sources, only_logging=only_logging, settings=SETTINGS)
    if not only_logging:
        gathered = with_stored_secrets(gathered, sources.secret_store, SECRETS)
    values = Values(gathered.found, list(gathered.errors), table=BY_NAME)
    connection = connection_string(values, drivers_to_name, sources.cwd, is_needed=purpose.needs_database)
    settings = _settings(values, connection, gathered.file)
    for name in ("SDR_API_ENDPOINT", "SDR_TOKEN_ENDPOINT"):
        values.errors.extend(endpoint_errors(name, values.text(name)))
    _check(values, settings, purpose)
    if sources.environ.get("MAX_IN_FLIGHT", "1").strip() not in ("", "1") and purpose is Purpose.SUBMIT:
        values.errors.append("MAX_IN_FLIGHT: expected 1, because TEC takes one request at a time; leave it out.")
    warnings = all_warnings(values, gathered, connection)
    settings = replace(settings, warnings=tuple(map(values.without_secrets, warnings)))
    errors = list(dict.fromkeys(map(values.without_secrets, values.errors)))
    return SdrExamined(
        settings, gathered.file, all_errors(errors, (), gathered.file, sources.cwd, _MAKES_ONE) if errors else None
    )


def _check(values: Values, settings: SdrSettings, purpose: Purpose) -> None:
    if settings.eid and not (settings.eid.isascii() and settings.eid.isdigit()):
        values.refuse("SDR_EID", "digits alone")
    for name in (*(f"SDR_PATH_{one.name}" for one in Collection), "SDR_PATH_RESULTS"):
        text = values.text(name)
        if not _PATH.fullmatch(text.strip("/")) or ".." in text:
            values.refuse(name, "a path of letters, digits, - _ . and /, without a query")
    for one, other in combinations(Collection, 2):
        if settings.paths[one] == settings.paths[other]:
            values.refuse(f"SDR_PATH_{one.name}", f"another path than that of {other.value} (SDR_PATH_{other.name})")
    if "{token}" not in settings.results_path:
        values.refuse("SDR_PATH_RESULTS", "a path with {token} in it")
    if purpose.needs_receiver and not settings.testing_mode:
        for setting in SETTINGS:
            if setting.needed is Needed.LIVE and not values.given(setting.name):
                values.missing(setting.name)


def _settings(values: Values, connection: str, file: Path | None) -> SdrSettings:
    """Return the settings object; a field that is not named here holds the setting of its own name."""
    return settings_of(
        SdrSettings,
        values,
        "SDR_",
        connection_string=connection,
        org_id=values.text("SDR_ORG_ID") or values.text("SDR_EID"),
        auth_header=values.choice("SDR_AUTH_HEADER").capitalize(),
        paths={one: values.text(f"SDR_PATH_{one.name}").strip("/") for one in Collection},
        results_path=values.text("SDR_PATH_RESULTS").strip("/"),
        on_new_token=OnNewToken(values.choice("SDR_ON_NEW_TOKEN")),
        notify=notify_settings(values, "SDR_PING_URL", ()),
        **outputs(values, connection, file),
    )


_HEAD = """\
Settings of d2i-csc-api sdr (TEC's Single Data Return). Save this as `.env` in the folder where the command is run, and
fill in what you need. A setting left blank, or with a # before it, has its default.

An option on the command line beats an environment variable, which beats the operating system's credential store
(d2i-csc-api secrets set SDR_CLIENT_SECRET), which beats this file.
Let nobody but the account that runs the command read the file.
"""


def env_example() -> str:
    """Return the text that `sdr config --example` prints."""
    parts = [as_comment(_HEAD)]
    for group in Group:
        entries = [env_entry(setting) for setting in SETTINGS if setting.group is group]
        if entries:
            parts += [f"# ---- {group.value} ----\n", *entries]
    return "\n".join(parts)
