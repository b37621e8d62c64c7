"""Every setting in one table: the checks, `.env.example` and the settings reference are all made from it.

Each group has a module here. The settings of the main job come first (contract 2), then those of `stage` and `xporter`.
"""

from __future__ import annotations

from api_pipeline.settings.definition import Setting
from api_pipeline.settings.definitions.database import DATABASE_SETTINGS
from api_pipeline.settings.definitions.logging import LOGGING_SETTINGS
from api_pipeline.settings.definitions.mode import MODE_SETTINGS
from api_pipeline.settings.definitions.network import NETWORK_SETTINGS
from api_pipeline.settings.definitions.notify import NOTIFY_SETTINGS
from api_pipeline.settings.definitions.pace import PACE_SETTINGS
from api_pipeline.settings.definitions.receiver import RECEIVER_SETTINGS
from api_pipeline.settings.definitions.staging import STAGING_SETTINGS
from api_pipeline.settings.definitions.xporter import XPORTER_SETTINGS

SETTINGS: tuple[Setting, ...] = (
    *DATABASE_SETTINGS,
    *RECEIVER_SETTINGS,
    *MODE_SETTINGS,
    *PACE_SETTINGS,
    *NETWORK_SETTINGS,
    *LOGGING_SETTINGS,
    *NOTIFY_SETTINGS,
    *STAGING_SETTINGS,
    *XPORTER_SETTINGS,
)

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}

SECRET_NAMES: tuple[str, ...] = tuple(setting.name for setting in SETTINGS if setting.secret)
# What the credential store keeps: also the secrets of the Single Data Return, whose settings have a table of their own.
STORED_SECRETS: tuple[str, ...] = (*SECRET_NAMES, "SDR_CLIENT_SECRET", "SDR_PING_URL")
# Every name of a setting, aliases too, with the setting's own name.
NAMES: dict[str, str] = {name: setting.name for setting in SETTINGS for name in (setting.name, *setting.aliases)}


def canonical_name(name: str) -> str | None:
    """Return the setting that `name` means, as its name or as an alias; None when there is none."""
    return NAMES.get(name)
