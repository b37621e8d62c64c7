"""Settings for these tests: a live set, a store of secrets, and loading from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose, Settings
from api_pipeline.settings.sources import Sources

SQLITE = "sqlite:///council.db"
RECEIVER = "https://receiver.example/receiver-test/1"
LIVE = {
    "DB_CONNECTION_STRING": SQLITE,
    "API_ENDPOINT": RECEIVER,
    "TOKEN_ENDPOINT": "https://login.example/tenant/oauth2/v2.0/token",
    "CLIENT_ID": "client-one",
    "CLIENT_SECRET": "hush-hush-secret",
    "SCOPE": "api://receiver/.default",
    "SUPPLIER_KEY": "key-of-the-supplier",
    "LA_CODE": "845",
    "TABLE_NAME": "ssd_api_data_staging_anon",
    "TESTING_MODE": "false",
}


class Store:
    """A credential store that keeps what it was made with."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = secrets
        self.asked: list[str] = []

    def get(self, name: str) -> str | None:
        self.asked.append(name)
        return self.secrets.get(name)


def load(folder: Path, env: Mapping[str, str] | None = None, purpose: Purpose = Purpose.RUN) -> Settings:
    return load_settings(Sources({}, {"DB_CONNECTION_STRING": SQLITE} if env is None else env, folder), purpose)


def error_of(folder: Path, env: Mapping[str, str], purpose: Purpose = Purpose.RUN) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, env, purpose)
    assert caught.value.exit_code == 2
    return str(caught.value)
