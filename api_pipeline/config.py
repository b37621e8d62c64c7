"""Settings: read from option, environment, credential store and `.env` file, checked, all errors reported at once.

Contract 2. Nothing is opened here, and the environment of the process is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from api_pipeline._version import __version__
from api_pipeline.errors import SettingsError
from api_pipeline.settings.definition import CheckLevel, Needed
from api_pipeline.settings.definitions import BY_NAME, SETTINGS
from api_pipeline.settings.env_file import read_env_file
from api_pipeline.settings.model import LogFormat, LogTarget, ProxyAuth, Purpose, Settings, StagingSettings
from api_pipeline.settings.near_misses import (
    misspelt_names,
    misspelt_variables,
    unread_files,
)
from api_pipeline.settings.notify import notify_settings
from api_pipeline.settings.ownership import foreign_hands, is_private
from api_pipeline.settings.safety import endpoint_errors, is_loopback, is_test_endpoint, path_errors, table_errors
from api_pipeline.settings.sources import Gathered, SecretReader, gather, with_stored_secrets
from api_pipeline.settings.values import Shard, Values
from api_pipeline.settings.xporter import xporter_settings
from api_pipeline.sql.connection_slips import connection_string_slips
from api_pipeline.sql.connection_string import redacted_connection_string, trusted_connection_string
from api_pipeline.sql.identifiers import is_anonymised
from api_pipeline.sql.native import drivers_to_name, installed_drivers

__all__ = [
    "Purpose",
    "SecretReader",
    "Settings",
    "Shard",
    "StagingSettings",
    "installed_drivers",
    "is_anonymised",
    "is_loopback",
    "is_test_endpoint",
    "load_settings",
    "redacted_connection_string",
    "working_folder",
]

_LIVE_TABLE = "ssd_api_data_staging"
_TESTING_TABLE = "ssd_api_data_staging_anon"
_ENDPOINTS = ("API_ENDPOINT", "TOKEN_ENDPOINT")


def working_folder() -> Path:
    """Return the folder in which the command was started. Errors: SettingsError when it is gone."""
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingsError(
            f"The working folder cannot be used ({type(error).__name__}): it was removed or may not be entered; start "
            "the command in another folder."
        ) from None


@dataclass(frozen=True, slots=True)
class Examined:
    """The settings as far as they can be used, the values as found, and every sentence about what is wrong.

    `file` is the settings file, None where there is none. With `errors` the settings hold defaults in place of what
    cannot be used, so only their sources may be shown.
    """

    settings: Settings
    values: Values
    file: Path | None
    errors: tuple[str, ...]


def load_settings(
    options: Mapping[str, str | None],
    environ: Mapping[str, str],
    cwd: Path,
    executable_folder: Path | None = None,
    secret_store: SecretReader | None = None,
    env_file: Path | None = None,
    purpose: Purpose = Purpose.RUN,
    drivers: Callable[[], Sequence[str]] = drivers_to_name,
) -> Settings:
    """Return the settings for `purpose`, every one of them checked.

    The arguments are those of `examine`. Errors: SettingsError with one sentence for each error.
    """
    found = examine(options, environ, cwd, executable_folder, secret_store, env_file, purpose, drivers)
    if found.errors:
        misses = near_misses(found, environ, cwd, executable_folder) if found.values.missed else []
        raise SettingsError(_message(found.errors, misses, found.file or env_file, cwd))
    return found.settings


def examine(
    options: Mapping[str, str | None],
    environ: Mapping[str, str],
    cwd: Path,
    executable_folder: Path | None = None,
    secret_store: SecretReader | None = None,
    env_file: Path | None = None,
    purpose: Purpose = Purpose.RUN,
    drivers: Callable[[], Sequence[str]] = drivers_to_name,
    *,
    secrets: Sequence[str] | None = None,
) -> Examined:
    """Return the settings for `purpose` and all that is wrong with them; raise nothing for it.

    `options` are settings by name as given on the command line (None: not given). `env_file` is the one named by
    option, which must exist; without it the file is looked for as in contract 2. The secrets that the purpose needs, or
    `secrets`, and that neither option nor environment gives are looked for in `secret_store`; None: there is no store.
    """
    only_logging = purpose is Purpose.NOTHING
    gathered = gather(options, environ, cwd, executable_folder, env_file, only_logging=only_logging)
    testing = Values(gathered.found).boolean("TESTING_MODE")
    names = purpose.secrets_needed(testing=testing) if secrets is None else secrets
    gathered = with_stored_secrets(gathered, secret_store, names)
    values = Values(gathered.found, list(gathered.errors))
    connection = _connection(values, purpose, drivers)
    _require(values, purpose, testing=testing)
    for name in _ENDPOINTS:
        values.errors.extend(endpoint_errors(name, values.text(name)))
    settings = _settings(values, connection, gathered, cwd, purpose)
    errors, warnings = _judged(settings, purpose)
    hide = values.without_secrets
    settings = replace(settings, warnings=tuple(map(hide, (*settings.warnings, *warnings))))
    return Examined(settings, values, gathered.file, tuple(dict.fromkeys(map(hide, [*values.errors, *errors]))))


def near_misses(found: Examined, environ: Mapping[str, str], cwd: Path, executable_folder: Path | None) -> list[str]:
    """Return sentences that may say why a setting is missing: a misspelt name, a file that is not read."""
    names = read_env_file(found.file).values if found.file else {}
    return [
        *unread_files(found.file, cwd, executable_folder),
        *misspelt_names(names, found.file.name if found.file else ""),
        *misspelt_variables(environ),
    ]


def _judged(settings: Settings, purpose: Purpose) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings of settings that are right by themselves and wrong together."""
    errors = path_errors(settings.api_endpoint, settings.la_code)
    warnings: list[str] = []
    distrusted = _distrusted(settings)
    if purpose.needs_receiver(testing=settings.testing_mode) and not settings.testing_mode:
        errors.extend(f"{sentence}; it is not used in live mode." for sentence in distrusted)
    elif purpose is not Purpose.NOTHING:
        warnings.extend(f"{sentence}." for sentence in distrusted)
    if purpose.stages and is_anonymised(settings.table_name):
        errors.append(
            f"TABLE_NAME: expected the table of the real children, which stage fills, got {settings.table_name}, the "
            "anonymised copy (made by: d2i-csc-api anonymise)."
        )
    interlocks = _interlocks(settings)
    if purpose.runs:
        errors.extend(interlocks)
    elif purpose in (Purpose.ENDPOINT, Purpose.SMOKE):
        warnings.extend(f"run will refuse: {sentence}" for sentence in interlocks)
    return errors, warnings


def _connection(values: Values, purpose: Purpose, drivers: Callable[[], Sequence[str]]) -> str:
    given = values.text("DB_CONNECTION_STRING")
    server, database = values.text("USER_SERVER"), values.text("USER_DATABASE")
    if values.given("DB_CONNECTION_STRING") or not purpose.needs_database:
        return given
    if not server and not database:
        expected = f"{BY_NAME['DB_CONNECTION_STRING'].expected}; or USER_SERVER and USER_DATABASE"
        values.missing("DB_CONNECTION_STRING", expected)
        return ""
    if not server or not database:
        lacking, other = ("USER_DATABASE", "USER_SERVER") if server else ("USER_SERVER", "USER_DATABASE")
        values.missing(lacking, f"it, because {other} is set; or DB_CONNECTION_STRING instead of both")
        return ""
    built = trusted_connection_string(server, database, drivers())
    if built is None:
        values.errors.append(
            "USER_SERVER is set, but no SQL Server ODBC driver is installed; install Microsoft's ODBC Driver 18 for "
            "SQL Server, or set DB_CONNECTION_STRING."
        )
    return built or ""


def _require(values: Values, purpose: Purpose, *, testing: bool) -> None:
    if not purpose.needs_receiver(testing=testing):
        return
    for setting in SETTINGS:
        if setting.needed is Needed.LIVE and not values.given(setting.name):
            values.missing(setting.name)


def _settings(values: Values, connection: str, gathered: Gathered, cwd: Path, purpose: Purpose) -> Settings:
    testing = values.boolean("TESTING_MODE")
    table = _TESTING_TABLE if testing and not purpose.stages else _LIVE_TABLE
    folder = gathered.file.parent if gathered.file else cwd
    return Settings(
        connection_string=connection,
        table_name=values.text("TABLE_NAME") or table,
        api_endpoint=values.text("API_ENDPOINT"),
        token_endpoint=values.text("TOKEN_ENDPOINT"),
        client_id=values.text("CLIENT_ID"),
        client_secret=values.text("CLIENT_SECRET"),
        scope=values.text("SCOPE"),
        supplier_key=values.text("SUPPLIER_KEY"),
        la_code=values.text("LA_CODE"),
        testing_mode=testing,
        allow_live_data_to_test=values.boolean("ALLOW_LIVE_DATA_TO_TEST"),
        use_partial_payload=values.boolean("USE_PARTIAL_PAYLOAD"),
        purge_vanished=values.boolean("PURGE_VANISHED"),
        schema_check=cast(CheckLevel, values.choice("SCHEMA_CHECK")),
        schema_codes=cast(CheckLevel, values.choice("SCHEMA_CODES")),
        shard=values.shard("SHARD"),
        batch_size=values.integer("BATCH_SIZE"),
        max_in_flight=values.integer("MAX_IN_FLIGHT"),
        min_post_gap_ms=values.integer("MIN_POST_GAP_MS"),
        max_attempts=values.integer("MAX_ATTEMPTS"),
        retry_max_wait_s=values.number("RETRY_MAX_WAIT_S"),
        connect_timeout_s=values.number("CONNECT_TIMEOUT_S"),
        read_timeout_s=values.number("READ_TIMEOUT_S"),
        give_up_after_failed_batches=values.integer("GIVE_UP_AFTER_FAILED_BATCHES"),
        db_retry_s=values.number("DB_RETRY_S"),
        stop_grace_s=values.number("STOP_GRACE_S"),
        proxy_url=values.text("PROXY_URL"),
        proxy_auth=cast(ProxyAuth, values.choice("PROXY_AUTH")),
        ca_bundle=values.path("CA_BUNDLE"),
        user_agent=values.text("USER_AGENT") or f"d2i-csc-api/{__version__}",
        log_file=values.path("LOG_FILE"),
        log_format=cast(LogFormat, values.choice("LOG_FORMAT")),
        log_to=cast(LogTarget, values.choice("LOG_TO")),
        debug=values.boolean("DEBUG"),
        spool_folder=values.path("SPOOL_FOLDER") or folder,
        staging=_staging(values),
        xporter=xporter_settings(values, gathered.school_secrets, is_needed=purpose is Purpose.XPORTER),
        notify=notify_settings(values),
        metrics_file=values.path("METRICS_FILE"),
        log_keep_days=values.integer("LOG_KEEP_DAYS"),
        env_file=gathered.file,
        warnings=(
            *gathered.warnings,
            *_ignored(values),
            *dict.fromkeys(values.warnings),
            *connection_string_slips(connection),
        ),
    )


def _staging(values: Values) -> StagingSettings:
    return StagingSettings(
        ssd_schema=values.text("SSD_SCHEMA"),
        cohort_months_back=values.integer("COHORT_MONTHS_BACK"),
        cohort_year_start_month=values.integer("COHORT_YEAR_START_MONTH"),
        cohort_person_ids=values.words("COHORT_PERSON_IDS"),
        cohort_filter_table=values.text("COHORT_FILTER_TABLE"),
        cohort_include_cp_plans=values.boolean("COHORT_INCLUDE_CP_PLANS"),
        cohort_include_disabled=values.boolean("COHORT_INCLUDE_DISABLED"),
        one_block_per_child=values.boolean("ONE_BLOCK_PER_CHILD"),
        purge_left_window=values.boolean("PURGE_LEFT_WINDOW"),
        delete_left_window=values.boolean("DELETE_LEFT_WINDOW"),
        max_deleted_share=values.number("MAX_DELETED_SHARE"),
        uasc_values=values.words("UASC_VALUES"),
    )


def _ignored(values: Values) -> tuple[str, ...]:
    if values.given("DB_CONNECTION_STRING") and (values.given("USER_SERVER") or values.given("USER_DATABASE")):
        return ("USER_SERVER and USER_DATABASE have no effect, because DB_CONNECTION_STRING is set.",)
    return ()


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


def _message(errors: Sequence[str], misses: Sequence[str], file: Path | None, cwd: Path) -> str:
    source = f"the settings file is {file}" if file else f"no .env or env.txt was found in {cwd}"
    if len(errors) == 1:
        return " ".join([f"{errors[0]} ({source})", *misses])
    lines = [f"{len(errors)} settings cannot be used ({source}):", *(f"  - {error}" for error in errors)]
    if misses:
        lines += ["This may be why:", *(f"  - {miss}" for miss in misses)]
    return "\n".join(lines)
