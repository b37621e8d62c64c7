"""Secrets in the operating system's credential store (for example Windows Credential Manager), through keyring.

Only the platform's own back end is loaded. By itself keyring loads all of them, and some start programs from PATH to
find their library. A store that waits for a person who is not there is given up after some seconds.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.settings.definitions import STORED_SECRETS, canonical_name

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "d2i-csc-api"
OTHER_BACKEND = "PYTHON_KEYRING_BACKEND"
"""keyring's own variable: it names another back end, which is used and said; null and fail mean no store."""
_NO_STORE = frozenset({"keyring.backends.null.Keyring", "keyring.backends.fail.Keyring"})
_SESSION_BUS = "DBUS_SESSION_BUS_ADDRESS"
UNATTENDED_S = 5.0
"""How long a run waits for the store: an open one answers within a tenth of a second."""
ATTENDED_S = 120.0
"""How long `secrets` waits: a person may have to unlock the store."""


_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


def secret_setting(name: str) -> str:
    """Return the secret setting that `name` (any case of letters, or an alias) means. Errors: SettingsError."""
    given = name.strip().upper()
    canonical = canonical_name(given) or given
    if canonical not in STORED_SECRETS:
        # A secret in the name's place (NAME=secret, or the secret alone) must not be printed.
        shown = given if canonical_name(given) else "The name given (not shown, because it may be a secret)"
        raise SettingsError(f"{shown} is not a secret setting; expected one of {', '.join(STORED_SECRETS)}.")
    return canonical


def school_entry(estab: str) -> str:
    """Return the name under which a school's secret is kept (xporter)."""
    return f"xporter:{estab}"


class CredentialStore:
    """The credential store of whoever runs the command, under the service name `d2i-csc-api`.

    keyring is imported when the store is first used, because that is slow. `warnings` are sentences for the operator
    about what went wrong in `get`.
    """

    def __init__(self, open_backend: Callable[[], KeyringBackend] | None = None, wait_s: float = UNATTENDED_S) -> None:
        self._open_backend = open_backend or platform_backend
        self._wait_s = wait_s
        self._hangs = False
        self.warnings: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        """Return the secret or None; None also when the store cannot be used, so that no run depends on it."""
        if self._hangs or (self._open_backend is platform_backend and os.environ.get(OTHER_BACKEND) in _NO_STORE):
            # Where there is none, keyring is not imported: that takes a tenth of the time of a short run.
            return None
        try:
            secret = _within(self._wait_s, lambda: self._open_backend().get_password(SERVICE, name))
        except TimeoutError:
            self._hangs = True
            self.warnings += (
                f"The credential store did not answer within {self._wait_s:g} s (it may be locked, and wait for a "
                "person), so it is not used.",
            )
            return None
        except Exception as error:  # a back end may raise what it likes, and none of it may stop a run
            _log.debug("The credential store cannot be asked for %s (%s).", name, reason_of(error))
            return None
        other = os.environ.get(OTHER_BACKEND, "")
        if secret and other and not any(other in warning for warning in self.warnings):
            self.warnings += (f"Secrets are read from the store {other}, because {OTHER_BACKEND} names it.",)
        return str(secret) if secret else None

    def set(self, entry: str, secret: str) -> None:
        """Keep a secret. Errors: SettingsError when it is blank or cannot be kept.

        `entry` is the name of a secret setting (`secret_setting`), or that of a school's secret (`school_entry`).
        """
        value = secret.strip()
        if not value:
            raise SettingsError(f"Nothing was given for {entry}; nothing was stored.")

        def keep(backend: KeyringBackend) -> bool:
            backend.set_password(SERVICE, entry, value)
            return backend.get_password(SERVICE, entry) == value

        if not self._attended(f"keep {entry}", keep):
            raise SettingsError(f"The credential store did not keep {entry}; put it into the .env file instead.")

    def delete(self, entry: str) -> bool:
        """Delete a secret and return whether it was there; `entry` is as in `set`. Errors: SettingsError."""

        def remove(backend: KeyringBackend) -> bool:
            if not backend.get_password(SERVICE, entry):
                return False
            backend.delete_password(SERVICE, entry)
            return True

        return self._attended(f"delete {entry}", remove)

    def names(self) -> tuple[str, ...]:
        """Return the names of the secrets in the store, never their values. Errors: SettingsError."""

        def list_them(backend: KeyringBackend) -> tuple[str, ...]:
            return tuple(name for name in STORED_SECRETS if backend.get_password(SERVICE, name))

        return self._attended("list its secrets", list_them)

    def _attended(self, action: str, work: Callable[[KeyringBackend], _Result]) -> _Result:
        """Return what `work` does with the store, which a person may first have to unlock. Errors: SettingsError."""
        try:
            return _within(ATTENDED_S, lambda: work(self._open_backend()))
        except Exception as error:
            raise _unusable(action, error) from None


def platform_backend() -> KeyringBackend:
    """Return the back end of this platform, or the one that PYTHON_KEYRING_BACKEND names. Errors: whatever it raises.

    keyringrc, keyring's settings file, is not read.
    """
    other = os.environ.get(OTHER_BACKEND, "")
    if other:
        module, _, name = other.rpartition(".")
        named: KeyringBackend = getattr(importlib.import_module(module), name)()
        return named
    if sys.platform not in ("win32", "darwin") and not os.environ.get(_SESSION_BUS):
        # The back end would find this out itself, after its imports, which take a tenth of the time of a short run.
        raise RuntimeError("There is no session bus, by which alone the credential store is reached.")
    if sys.platform == "win32":
        from keyring.backends.Windows import WinVaultKeyring as Backend
    elif sys.platform == "darwin":
        from keyring.backends.macOS import Keyring as Backend
    else:
        from keyring.backends.SecretService import Keyring as Backend
    _ = Backend.priority  # a back end that cannot be used says so when this is read
    backend: KeyringBackend = Backend()  # type: ignore[no-untyped-call] # keyring does not type it
    return backend


def _within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Return the result of `work`, or raise its error. Errors: TimeoutError when it takes longer; it is not stopped."""
    done: queue.Queue[tuple[_Result | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, name="credential store", daemon=True).start()
    try:
        result, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # None only where that is the result


def _unusable(action: str, error: Exception) -> SettingsError:
    if isinstance(error, TimeoutError):
        reason = f"it did not answer within {ATTENDED_S:g} s"
    elif isinstance(error, RuntimeError) or type(error).__name__ in ("NoKeyringError", "ModuleNotFoundError"):
        reason = "this machine or account has none that can be used"
    else:
        # That of Windows is called "error"; what the system says tells a logon without a store from a secret too long.
        reason = reason_of(error)
    return SettingsError(
        f"The credential store could not {action} ({reason}); put the secret into the .env file instead."
    )
