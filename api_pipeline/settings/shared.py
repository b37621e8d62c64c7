"""What the settings of all services share: the connection string, the warnings, and one text of all errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from api_pipeline.common.paths import is_same_file
from api_pipeline.errors import SettingsError
from api_pipeline.settings.sources import Gathered
from api_pipeline.settings.values import Values
from api_pipeline.sql.connection_slips import connection_string_slips
from api_pipeline.sql.connection_string import SQLITE_PREFIX, embedded_path, is_embedded, trusted_connection_string


def connection_string(values: Values, drivers: Callable[[], Sequence[str]], cwd: Path, *, is_needed: bool) -> str:
    """Return DB_CONNECTION_STRING, or the one that USER_SERVER and USER_DATABASE mean; "" where there is none.

    What is missing is an error only where the command needs the database. `drivers` returns the installed ODBC drivers.
    """
    given = _from_its_folder(values, cwd)
    server, database = values.text("USER_SERVER"), values.text("USER_DATABASE")
    if values.given("DB_CONNECTION_STRING") or not is_needed:
        return given
    if not server and not database:
        expected = f"{values.table['DB_CONNECTION_STRING'].expected}; or USER_SERVER and USER_DATABASE"
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


def outputs(values: Values, connection: str, env_file: Path | None) -> dict[str, Any]:
    """Return the files that every service may write, by field; one that would destroy another file is an error."""
    found = {}
    for name in ("LOG_FILE", "METRICS_FILE"):
        path = values.path(name)
        destroyed = _destroyed_by(path, connection, env_file)
        if destroyed:
            values.refuse(name, f"another file than {destroyed}")
        found[name.lower()] = None if destroyed else path
    return found


def check_output(option: str, path: Path | None, connection: str, env_file: Path | None) -> None:
    """Check the file that an option names for a command to write. Errors: SettingsError where it destroys another."""
    destroyed = _destroyed_by(path, connection, env_file)
    if destroyed:
        raise SettingsError(f"{option}: expected another file than {destroyed}, got {path}.")


def _destroyed_by(path: Path | None, connection: str, env_file: Path | None) -> str:
    """Return what would be lost if a file were written at `path`: the embedded database or the settings; "" for none.

    `connection` is the connection string.
    """
    if path and env_file and is_same_file(path, env_file):
        return "the settings file"
    database = embedded_path(connection) if is_embedded(connection) else ""
    return "the database file" if path and database and is_same_file(path, Path(database)) else ""


def all_warnings(values: Values, gathered: Gathered, connection: str) -> tuple[str, ...]:
    """Return every sentence for the operator that stops nothing: about sources, values and the connection string."""
    return (
        *gathered.warnings,
        *_ignored(values),
        *dict.fromkeys(values.warnings),
        *connection_string_slips(connection),
    )


def all_errors(
    errors: Sequence[str], misses: Sequence[str], file: Path | None, cwd: Path, makes_one: str
) -> SettingsError:
    """Return all errors as one.

    `misses` are sentences that may say why a setting is missing, `makes_one` says what makes a settings file.
    """
    source = f"the settings file is {file}" if file else f"no .env or env.txt was found in {cwd}; {makes_one}"
    if len(errors) == 1:
        return SettingsError(" ".join([f"{errors[0]} ({source})", *misses]))
    lines = [f"{len(errors)} settings cannot be used ({source}):", *(f"  - {error}" for error in errors)]
    if misses:
        lines += ["This may be why:", *(f"  - {miss}" for miss in misses)]
    return SettingsError("\n".join(lines))


def _from_its_folder(values: Values, cwd: Path) -> str:
    """Return DB_CONNECTION_STRING; a relative path of an embedded database counts from the folder of its source."""
    given = values.text("DB_CONNECTION_STRING")
    found = values.found.get("DB_CONNECTION_STRING")
    if found is None or found.base == cwd or not is_embedded(given) or not embedded_path(given):
        return given
    return f"{SQLITE_PREFIX}{found.base / embedded_path(given)}"


def _ignored(values: Values) -> tuple[str, ...]:
    if values.given("DB_CONNECTION_STRING") and (values.given("USER_SERVER") or values.given("USER_DATABASE")):
        return ("USER_SERVER and USER_DATABASE have no effect, because DB_CONNECTION_STRING is set.",)
    return ()
