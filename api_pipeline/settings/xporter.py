"""The settings of the school data collector as one object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from api_pipeline.settings.definitions.xporter import DEFAULT_ENDPOINTS, is_estab
from api_pipeline.settings.reading import settings_of
from api_pipeline.settings.safety import endpoint_errors
from api_pipeline.settings.values import Values

_KINDS = ("attendance", "lesson", "conduct", "detention")
# Writing calls name the school by their token alone.
_WITHOUT_ESTAB = ("attendance", "attendanceasync", "conduct", "conductasync", "detention")
_SECRETS = ("management_secret", "school_secrets")
_TOKEN_PATH = "/api/oauth/GetToken"  # noqa: S105 - a path


class XporterSettings(NamedTuple):
    """What the collector may know of its settings. Times are in the unit that a name ends in.

    `school_secrets` are those of environment and `.env` file, by estab; the credential store comes first.
    """

    base_url: str
    token_url: str
    relying_party: str
    management_secret: str
    schools: tuple[str, ...]
    endpoints: tuple[str, ...]
    schema: str
    options_style: str
    paths: Mapping[str, str]
    schools_at_once: int
    min_gap_ms: int
    read_timeout_s: float
    ready_wait_s: float
    ready_poll_s: float
    page_size: int
    change_sets: tuple[str, ...]
    full_every_days: int
    attendance_weeks_back: int
    attendance_from: date | None
    stale_after_hours: float
    purges_revoked: bool
    revoked_grace_days: int
    keeps_unknown: bool
    adds_columns: bool
    keep_unmatched: bool
    write_back: tuple[str, ...]
    callback_url: str
    write_back_settle_min: int
    write_back_confirm_h: int
    school_secrets: Mapping[str, str]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secret values, for redaction."""
        return tuple(value for value in (self.management_secret, *self.school_secrets.values()) if value)

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name not in _SECRETS)
        return f"XporterSettings({', '.join(shown)})"


def xporter_settings(values: Values, secrets: Mapping[str, str], *, is_needed: bool) -> XporterSettings:
    """Return the collector's settings; `values` gathers what is wrong with them."""
    base_url = values.text("XPORTER_BASE_URL").rstrip("/")
    token_url = values.text("XPORTER_TOKEN_URL") or base_url + _TOKEN_PATH
    for name, url in (("XPORTER_BASE_URL", base_url), ("XPORTER_TOKEN_URL", token_url)):
        values.errors.extend(endpoint_errors(name, url))
    if is_needed and not values.given("XPORTER_RELYING_PARTY"):
        values.missing("XPORTER_RELYING_PARTY")
    return settings_of(
        XporterSettings,
        values,
        "XPORTER_",
        base_url=base_url,
        token_url=token_url,
        schools=_schools(values),
        endpoints=values.words("XPORTER_ENDPOINTS") or DEFAULT_ENDPOINTS,
        paths=_paths(values),
        purges_revoked=values.choice("XPORTER_ON_REVOKED") == "purge",
        keeps_unknown=values.choice("XPORTER_NEW_COLUMNS") != "ignore",
        adds_columns=values.choice("XPORTER_NEW_COLUMNS") == "add",
        write_back=_kinds(values),
        school_secrets=dict(secrets),
    )


def _schools(values: Values) -> tuple[str, ...]:
    words = values.words("XPORTER_SCHOOLS")
    if not all(is_estab(word) for word in words):
        values.refuse("XPORTER_SCHOOLS", "schools of seven digits each, with commas between")
        return ()
    return words


def _kinds(values: Values) -> tuple[str, ...]:
    words = tuple(word.lower() for word in values.words("XPORTER_WRITE_BACK"))
    if not set(words) <= set(_KINDS):
        values.refuse("XPORTER_WRITE_BACK", f"some of {', '.join(_KINDS)}, with commas between")
        return ()
    return words


def _paths(values: Values) -> dict[str, str]:
    paths: dict[str, str] = {}
    for word in values.words("XPORTER_PATHS"):
        name, _, path = word.partition("=")
        lowered = name.strip().lower()
        lacks_estab = "{estab}" not in path and lowered not in _WITHOUT_ESTAB
        if not re.fullmatch(r"/[\w{}/.-]+(\?[\w=.&-]+)?", path) or lacks_estab or ".." in path:
            values.refuse("XPORTER_PATHS", "NAME=/PATH with {estab} in the path, with commas between")
            return {}
        paths[lowered] = path
    return paths
