"""Secrets in the operating system's credential store (Windows Credential Manager and its kin), through keyring."""

from __future__ import annotations

import logging
from types import ModuleType

from api_pipeline.errors import SettingsError
from api_pipeline.settings.definitions import SECRET_NAMES, canonical_name

SERVICE = "d2i-csc-api"

_log = logging.getLogger(__name__)


def secret_setting(name: str) -> str:
    """Return the secret setting that `name` (any case of letters, or an alias) means. Errors: SettingsError."""
    canonical = canonical_name(name.strip().upper())
    if canonical not in SECRET_NAMES:
        raise SettingsError(f"{name} is not a secret setting; expected one of {', '.join(SECRET_NAMES)}.")
    return canonical


def school_entry(estab: str) -> str:
    """Return the name under which a school's secret is kept (xporter)."""
    return f"xporter:{estab}"


class CredentialStore:
    """The credential store of whoever runs the command, under the service name `d2i-csc-api`.

    keyring is imported when the store is first asked, because finding its back end is slow.
    """

    def get(self, name: str) -> str | None:
        """Return the secret or None; None also when the store cannot be used, so that no run depends on it."""
        try:
            secret = _keyring().get_password(SERVICE, name)
        except Exception as error:  # a back end may raise what it likes, and none of it may stop a run
            _log.debug("The credential store cannot be asked for %s (%s).", name, type(error).__name__)
            return None
        return str(secret) if secret else None

    def set(self, name: str, secret: str) -> str:
        """Keep a secret and return the setting's name. Errors: SettingsError when it is blank or cannot be kept."""
        return self._set(secret_setting(name), secret)

    def set_school(self, estab: str, secret: str) -> None:
        """Keep the secret of a school. Errors: SettingsError when it is blank or cannot be kept."""
        self._set(school_entry(estab), secret)

    def delete_school(self, estab: str) -> bool:
        """Delete the secret of a school and return whether it was there. Errors: SettingsError."""
        return self._delete(school_entry(estab))

    def _set(self, setting: str, secret: str) -> str:
        value = secret.strip()
        if not value:
            raise SettingsError(f"Nothing was given for {setting}; nothing was stored.")
        try:
            keyring = _keyring()
            keyring.set_password(SERVICE, setting, value)
            is_kept = keyring.get_password(SERVICE, setting) == value
        except Exception as error:
            raise _unusable(f"keep {setting}", error) from None
        if not is_kept:
            raise SettingsError(f"The credential store did not keep {setting}; put it into the .env file instead.")
        return setting

    def delete(self, name: str) -> bool:
        """Delete a secret and return whether it was there. Errors: SettingsError when the store cannot be used."""
        return self._delete(secret_setting(name))

    def _delete(self, setting: str) -> bool:
        try:
            keyring = _keyring()
            if not keyring.get_password(SERVICE, setting):
                return False
            keyring.delete_password(SERVICE, setting)
        except Exception as error:
            raise _unusable(f"delete {setting}", error) from None
        return True

    def names(self) -> tuple[str, ...]:
        """Return the names of the secrets in the store, never their values. Errors: SettingsError."""
        try:
            keyring = _keyring()
            return tuple(name for name in SECRET_NAMES if keyring.get_password(SERVICE, name))
        except Exception as error:
            raise _unusable("list its secrets", error) from None


def _keyring() -> ModuleType:
    import keyring  # slow to import, and only commands that need a secret ask for it

    return keyring


def _unusable(action: str, error: Exception) -> SettingsError:
    if type(error).__name__ in ("NoKeyringError", "ModuleNotFoundError"):
        reason = "this machine or account has none that can be used"
    else:
        reason = type(error).__name__
    return SettingsError(
        f"The credential store could not {action} ({reason}); put the secret into the .env file instead."
    )
