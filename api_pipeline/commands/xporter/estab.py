"""The number of a school on the command line."""

from __future__ import annotations

from api_pipeline.errors import SettingsError


def checked_estab(estab: str) -> str:
    """Return the number of a school. Errors: SettingsError where it is not one."""
    from api_pipeline.settings.definitions.xporter import is_estab

    if not is_estab(estab):
        raise SettingsError(f'ESTAB: expected seven digits (LA code and school number), got "{estab[:20]}".')
    return estab
