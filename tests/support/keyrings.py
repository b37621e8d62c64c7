"""A credential store in a file, for programs that a test starts: keyring finds it by PYTHON_KEYRING_BACKEND."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

FILE = "TEST_KEYRING_FILE"


def store_settings(path: Path) -> dict[str, str]:
    """Return the environment in which the program's credential store is this file."""
    return {"PYTHON_KEYRING_BACKEND": f"{__name__}.FileKeyring", FILE: str(path)}


class FileKeyring(KeyringBackend):
    """Keep secrets, in plain sight, in the file that the environment names; know which were asked for."""

    priority = 1
    asked: ClassVar[list[str]] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(username)
        return self._kept().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._keep({**self._kept(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._kept()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError
        self._keep(kept)

    def _kept(self) -> dict[str, str]:
        path = Path(os.environ[FILE])
        if not path.exists():
            return {}
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return kept

    def _keep(self, kept: dict[str, str]) -> None:
        Path(os.environ[FILE]).write_text(json.dumps(kept), encoding="utf-8")
