"""The credential store, over real back ends of keyring's own interface."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as ForgetfulKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError

from api_pipeline.config import Purpose, load_settings
from api_pipeline.errors import SettingsError
from api_pipeline.settings.credential_store import SERVICE, CredentialStore, secret_setting


class MemoryKeyring(KeyringBackend):
    """Keeps secrets for as long as a test lasts."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring does not type it
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError
        del self.kept[service, username]


class LockedKeyring(MemoryKeyring):
    """Refuses everything, quoting what it was given."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"locked {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"locked {password}")


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def use(kind: type[KeyringBackend]) -> CredentialStore:
    keyring.set_keyring(kind())
    return CredentialStore()


def test_secret_is_kept_listed_and_deleted(memory: MemoryKeyring) -> None:
    store = CredentialStore()

    assert store.names() == ()
    assert store.set("client_secret", " hush-hush\r\n") == "CLIENT_SECRET"
    assert store.set("SQL_CONN_STR", "Driver=x;PWD=y") == "DB_CONNECTION_STRING"
    assert memory.kept[SERVICE, "CLIENT_SECRET"] == "hush-hush"
    assert store.get("CLIENT_SECRET") == "hush-hush"
    assert store.names() == ("DB_CONNECTION_STRING", "CLIENT_SECRET")
    assert store.delete("CLIENT_SECRET") is True
    assert store.delete("CLIENT_SECRET") is False
    assert store.get("CLIENT_SECRET") is None


def test_only_secret_settings_are_kept() -> None:
    for name in ("LA_CODE", "NONSENSE", ""):
        with pytest.raises(SettingsError, match="is not a secret setting; expected one of DB_CONNECTION_STRING"):
            secret_setting(name)


def test_blank_secret_is_refused(memory: MemoryKeyring) -> None:
    with pytest.raises(SettingsError, match="Nothing was given for CLIENT_SECRET"):
        CredentialStore().set("CLIENT_SECRET", "  \n")

    assert memory.kept == {}


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("backend", [NoKeyring, LockedKeyring])
def test_unusable_store_is_a_settings_error_when_required(
    backend: type[KeyringBackend],
) -> None:
    store = use(backend)
    for action in (lambda: store.set("CLIENT_SECRET", "hush"), lambda: store.delete("CLIENT_SECRET"), store.names):
        with pytest.raises(SettingsError, match="The credential store could not") as caught:
            action()
        assert caught.value.exit_code == 2
        assert "hush" not in str(caught.value)
        assert caught.value.__suppress_context__


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("backend", [NoKeyring, LockedKeyring])
def test_unusable_store_counts_as_empty_for_a_run(
    backend: type[KeyringBackend], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("DB_CONNECTION_STRING=sqlite:///of-file.db\n")
    with caplog.at_level(logging.DEBUG, "api_pipeline"):
        settings = load_settings({}, {}, tmp_path, None, use(backend), purpose=Purpose.DATABASE)

    assert settings.connection_string == "sqlite:///of-file.db"
    assert "cannot be asked for DB_CONNECTION_STRING" in caplog.text


@pytest.mark.usefixtures("memory")
def test_store_that_loses_a_secret_is_detected() -> None:
    with pytest.raises(SettingsError, match="did not keep CLIENT_SECRET"):
        use(ForgetfulKeyring).set("CLIENT_SECRET", "hush-hush")


def test_stored_secret_reaches_the_settings(memory: MemoryKeyring, tmp_path: Path) -> None:
    store = CredentialStore()
    store.set("DB_CONNECTION_STRING", "sqlite:///of-store.db")

    assert load_settings({}, {}, tmp_path, None, store).connection_string == "sqlite:///of-store.db"
