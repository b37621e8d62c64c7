"""Settings read from a file of a few lines."""

from __future__ import annotations

from pathlib import Path

from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Settings
from api_pipeline.settings.sources import Sources

DATABASE = "DB_CONNECTION_STRING=sqlite:///council.db\n"


def load(folder: Path, text: str) -> Settings:
    """Return the settings of a file with this text."""
    (folder / ".env").write_bytes(text.encode("utf-8"))
    (folder / ".env").chmod(0o600)
    return load_settings(Sources({}, {}, folder))
