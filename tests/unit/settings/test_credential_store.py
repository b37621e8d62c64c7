"""The credential store, over real back ends of keyring's own interface."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as ForgetfulKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError

from api_pipeline.errors import SettingsError
from api_pipeline.settings.credential_store import SERVICE, CredentialStore, secret_setting
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.sources import Sources
from tests.support.commands import run_cli


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


class HangingKeyring(MemoryKeyring):
    """Waits for a person who is not there."""

    def get_password(self, service: str, username: str) -> str | None:
        time.sleep(30)
        return "too late"


@pytest.fixture
def memory() -> MemoryKeyring:
    return MemoryKeyring()


def use(kind: type[KeyringBackend]) -> CredentialStore:
    return CredentialStore(kind)


def test_secret_is_kept_listed_and_deleted(memory: MemoryKeyring) -> None:
    store = CredentialStore(lambda: memory)

    assert store.names() == ()
    store.set(secret_setting("client_secret"), " hush-hush\r\n")
    store.set(secret_setting("SQL_CONN_STR"), "Driver=x;PWD=y")
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
        CredentialStore(lambda: memory).set("CLIENT_SECRET", "  \n")

    assert memory.kept == {}


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


@pytest.mark.parametrize("backend", [NoKeyring, LockedKeyring])
def test_unusable_store_counts_as_empty_for_a_run(
    backend: type[KeyringBackend], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("DB_CONNECTION_STRING=sqlite:///of-file.db\n")
    with caplog.at_level(logging.DEBUG, "api_pipeline"):
        settings = load_settings(Sources({}, {}, tmp_path, None, use(backend)), Purpose.DATABASE)

    assert settings.connection_string == "sqlite:///of-file.db"
    assert "cannot be asked for DB_CONNECTION_STRING" in caplog.text


def test_what_the_system_says_of_its_store_is_passed_on() -> None:
    class ErrorOfWindows(Exception):
        """What the back end of Windows raises: a number, a function and the system's words."""

        strerror = "A specified logon session does not exist. It may already have been terminated."

    class WithoutLogon(MemoryKeyring):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise ErrorOfWindows(1312, "CredWrite", self)

    with pytest.raises(SettingsError, match=r"could not keep CLIENT_SECRET \(A specified logon session does not exist"):
        CredentialStore(WithoutLogon).set("CLIENT_SECRET", "hush")


def test_store_that_loses_a_secret_is_detected() -> None:
    with pytest.raises(SettingsError, match="did not keep CLIENT_SECRET"):
        use(ForgetfulKeyring).set("CLIENT_SECRET", "hush-hush")


def test_stored_secret_reaches_the_settings(memory: MemoryKeyring, tmp_path: Path) -> None:
    store = CredentialStore(lambda: memory)
    store.set("DB_CONNECTION_STRING", "sqlite:///of-store.db")

    assert load_settings(Sources({}, {}, tmp_path, None, store)).connection_string == "sqlite:///of-store.db"


def test_store_that_waits_for_a_person_is_given_up_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_CONNECTION_STRING=sqlite:///of-file.db\n")
    started = time.monotonic()
    settings = load_settings(Sources({}, {}, tmp_path, None, CredentialStore(HangingKeyring, wait_s=0.1)))

    assert settings.connection_string == "sqlite:///of-file.db"
    assert "The credential store did not answer within 0.1 s" in settings.warnings[0]
    assert time.monotonic() - started < 5


_SPY = """
import pathlib, keyring.backend
pathlib.Path(__file__).with_suffix(".loaded").touch()
class Spy(keyring.backend.KeyringBackend):
    priority = 99
    def get_password(self, service, username): return None
    def set_password(self, service, username, password): pass
    def delete_password(self, service, username): pass
"""


def test_store_that_a_variable_names_is_used_and_named(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(_SPY.replace("return None", 'return "sqlite:///of-spy.db"'), encoding="utf-8")
    environment = {"PYTHON_KEYRING_BACKEND": "spy.Spy", "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}

    done = run_cli(["status"], environment, tmp_path)

    assert "of-spy.db" in done.err
    assert "Secrets are read from the store spy.Spy, because PYTHON_KEYRING_BACKEND names it." in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' stores have no bus")
def test_store_without_a_session_bus_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHON_KEYRING_BACKEND", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)

    assert CredentialStore().get("CLIENT_SECRET") is None
    with pytest.raises(SettingsError, match="this machine or account has none that can be used"):
        CredentialStore().set("CLIENT_SECRET", "invented")


@pytest.mark.skipif(sys.platform != "linux", reason="these programs are looked for on Linux")
def test_live_run_starts_no_compiler_and_heeds_no_keyring_settings(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gcc", "cc", "ld", "ldconfig", "objdump"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/$(basename $0).started\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    for folder in (tmp_path / ".config/python_keyring", tmp_path / ".local/share/python_keyring"):
        folder.mkdir(parents=True)
        (folder / "keyringrc.cfg").write_text("[backend]\ndefault-keyring=spy.Spy\n", encoding="utf-8")
    (tmp_path / "spy.py").write_text(_SPY, encoding="utf-8")
    environment = {
        **dict.fromkeys(("CLIENT_ID", "SCOPE", "CLIENT_SECRET", "SUPPLIER_KEY"), "x"),
        **{"API_ENDPOINT": "http://127.0.0.1:9/1", "TOKEN_ENDPOINT": "http://127.0.0.1:9/t", "LA_CODE": "845"},
        **{"DB_CONNECTION_STRING": "sqlite:///none.db", "TESTING_MODE": "false", "PYTHON_KEYRING_BACKEND": ""},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}",
    }

    # PROXY_URL may stand in the store, so that the store is looked into.
    done = run_cli(["run"], environment, tmp_path)

    assert done.code == 3, done.text
    assert sorted(path.name for path in tmp_path.glob("*.started")) == []
    assert not (tmp_path / "spy.loaded").exists()
