"""Load the settings: read them from option, environment, credential store and `.env` file, and check them all.

All errors are reported at once (contract 2). Nothing is opened here, and the environment of the process is never
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from api_pipeline.common.paths import is_folder, is_there
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.settings.definition import Needed
from api_pipeline.settings.definitions import SETTINGS
from api_pipeline.settings.env_file import read_env_file
from api_pipeline.settings.model import Purpose, Settings, StagingSettings
from api_pipeline.settings.near_misses import misspelt_names, misspelt_variables, unread_files
from api_pipeline.settings.notify import notify_settings
from api_pipeline.settings.ownership import foreign_hands, is_private
from api_pipeline.settings.reading import settings_of
from api_pipeline.settings.safety import control_table_errors, endpoint_errors, path_errors, table_errors
from api_pipeline.settings.shared import all_errors, all_warnings, connection_string, outputs
from api_pipeline.settings.sources import Gathered, Sources, gather, with_stored_secrets
from api_pipeline.settings.values import Values
from api_pipeline.settings.xporter import xporter_settings
from api_pipeline.sql.identifiers import ANONYMISED_ENDING, STAGING_TABLE, is_anonymised
from api_pipeline.sql.native import drivers_to_name

_ENDPOINTS = ("API_ENDPOINT", "TOKEN_ENDPOINT")


def working_folder() -> Path:
    """Return the folder in which the command was started. Errors: SettingsError when it is gone."""
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingsError(
            f"The working folder cannot be used ({reason_of(error)}): it was removed or may not be entered; start "
            "the command in another folder."
        ) from None


class Examined(NamedTuple):
    """The settings as far as they can be used, the values as found, and every sentence about what is wrong.

    `file` is the settings file, None where there is none. With `errors` the settings hold defaults in place of what
    cannot be used, so only their sources may be shown.
    """

    settings: Settings
    values: Values
    file: Path | None
    errors: tuple[str, ...]


def load_settings(
    sources: Sources, purpose: Purpose = Purpose.RUN, drivers: Callable[[], Sequence[str]] = drivers_to_name
) -> Settings:
    """Return the settings for `purpose`, every one of them checked.

    `drivers` returns the installed ODBC drivers. Errors: SettingsError with one sentence for each error.
    """
    found = examine(sources, purpose, drivers)
    if found.errors:
        raise unusable(found, sources)
    return found.settings


def unusable(found: Examined, sources: Sources) -> SettingsError:
    """Return the errors of settings as one, with what may be why a setting is missing."""
    misses = near_misses(found, sources) if found.values.missed else []
    file = found.file or sources.env_file
    return all_errors(found.errors, misses, file, sources.cwd, "make one with: d2i-csc-api init")


def examine(
    sources: Sources,
    purpose: Purpose = Purpose.RUN,
    drivers: Callable[[], Sequence[str]] = drivers_to_name,
    *,
    secrets: Sequence[str] | None = None,
) -> Examined:
    """Return the settings for `purpose` and all that is wrong with them; raise nothing for it.

    `secrets` are looked for in the credential store, where it is not given those that the purpose needs. `drivers`
    returns the installed ODBC drivers.
    """
    only_logging = purpose is Purpose.NOTHING
    gathered = gather(sources, only_logging=only_logging)
    testing = Values(gathered.found).boolean("TESTING_MODE")
    names = purpose.secrets_needed(testing=testing) if secrets is None else secrets
    gathered = with_stored_secrets(gathered, sources.secret_store, names)
    values = Values(gathered.found, list(gathered.errors))
    connection = connection_string(values, drivers, sources.cwd, is_needed=purpose.needs_database)
    _require(values, purpose, testing=testing)
    for name in _ENDPOINTS:
        values.errors.extend(endpoint_errors(name, values.text(name)))
    settings = _settings(values, connection, gathered, sources.cwd, purpose)
    errors, warnings = _judged(settings, purpose)
    hide = values.without_secrets
    settings = replace(settings, warnings=tuple(map(hide, (*settings.warnings, *warnings))))
    return Examined(settings, values, gathered.file, tuple(dict.fromkeys(map(hide, [*values.errors, *errors]))))


def near_misses(found: Examined, sources: Sources) -> list[str]:
    """Return sentences that may say why a setting is missing: a misspelt name, a file that is not read."""
    names = read_env_file(found.file).values if found.file else {}
    return [
        *unread_files(found.file, sources.cwd, sources.executable_folder),
        *misspelt_names(names, found.file.name if found.file else ""),
        *misspelt_variables(sources.environ),
    ]


def _judged(settings: Settings, purpose: Purpose) -> tuple[list[str], list[str]]:
    """Return the errors and warnings of settings that are right one by one and do not go together."""
    errors = [*path_errors(settings.api_endpoint, settings.la_code), *_log_file_errors(settings.log_file)]
    warnings: list[str] = []
    distrusted = _distrusted(settings)
    if purpose.needs_receiver(testing=settings.testing_mode) and not settings.testing_mode:
        errors.extend(f"{sentence}; it is not used in live mode." for sentence in distrusted)
    elif purpose is not Purpose.NOTHING:
        warnings.extend(f"{sentence}." for sentence in distrusted)
    if purpose.needs_database:
        errors.extend(control_table_errors(settings.table_name))
    if purpose.stages and is_anonymised(settings.table_name):
        errors.append(
            f"TABLE_NAME: expected the table of the real children, which stage fills, got {settings.table_name}, the "
            "anonymised copy (made by: d2i-csc-api anonymise)."
        )
    interlocks = _interlocks(settings)
    if purpose.runs:
        errors.extend(interlocks)
    elif purpose is Purpose.ENDPOINT:
        warnings.extend(f"run will refuse: {sentence}" for sentence in interlocks)
    return errors, warnings


def _log_file_errors(path: Path | None) -> list[str]:
    """Return what is wrong with LOG_FILE, as far as that shows before it is opened."""
    reason = "is a folder" if path and is_folder(path) else "its folder does not exist"
    if path is None or (is_there(path.parent) and not is_folder(path)):
        return []
    return [f"LOG_FILE: expected a file in an existing folder that may be written, got {path} ({reason})."]


def _require(values: Values, purpose: Purpose, *, testing: bool) -> None:
    if not purpose.needs_receiver(testing=testing):
        return
    for setting in SETTINGS:
        if setting.needed is Needed.LIVE and not values.given(setting.name):
            values.missing(setting.name)


def _settings(values: Values, connection: str, gathered: Gathered, cwd: Path, purpose: Purpose) -> Settings:
    """Return the settings object; a field that is not named here holds the setting of its own name."""
    is_testing_table = values.boolean("TESTING_MODE") and not purpose.stages
    settings = settings_of(
        Settings,
        values,
        connection_string=connection,
        table_name=values.text("TABLE_NAME") or STAGING_TABLE + (ANONYMISED_ENDING if is_testing_table else ""),
        spool_folder=values.path("SPOOL_FOLDER") or (gathered.file.parent if gathered.file else cwd),
        staging=settings_of(StagingSettings, values),
        xporter=xporter_settings(values, gathered.school_secrets, is_needed=purpose is Purpose.XPORTER),
        notify=notify_settings(values),
        env_file=gathered.file,
        **outputs(values, connection, gathered.file),
    )
    return replace(settings, warnings=all_warnings(values, gathered, connection))


def _distrusted(settings: Settings) -> list[str]:
    """Return a sentence for each file that decides where records go and that others may have written."""
    files = [("The settings file", settings.env_file), ("CA_BUNDLE", settings.ca_bundle)]
    found = [(f"{what} {path}", foreign_hands(path)) for what, path in files if path]
    if settings.env_file and not is_private(settings.env_file):
        # Nobody can put a private file of this account into a folder, however open that is.
        folder = settings.env_file.parent
        found.append((f"The folder {folder} of the settings file", foreign_hands(folder)))
    return [
        f"{what} {reason}; let it belong to the account that runs the command, and only that account change it"
        for what, reason in found
        if reason
    ]


def _interlocks(settings: Settings) -> list[str]:
    if settings.testing_mode:
        return []
    return table_errors(
        settings.table_name,
        settings.api_endpoint,
        allow_live_data_to_test=settings.allow_live_data_to_test,
    )
