"""Where settings come from: option, environment, credential store, `.env` file; the first with a value wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from api_pipeline.common.paths import is_folder, is_there
from api_pipeline.settings.definition import Group, Setting
from api_pipeline.settings.definitions import SECRET_NAMES, SETTINGS, canonical_name
from api_pipeline.settings.definitions.xporter import school_secret_of, school_secrets
from api_pipeline.settings.env_file import MISNAMED, EnvFile, find_env_file, read_env_file
from api_pipeline.settings.near_misses import misspelt_names, not_read
from api_pipeline.settings.ownership import is_readable_by_others
from api_pipeline.settings.values import Found, Origin
from api_pipeline.sql.connection_string import HIDDEN, redacted_connection_string, redacted_url


class SecretReader(Protocol):
    """Anything that returns a secret for the name of its setting."""

    def get(self, name: str) -> str | None:
        """Return the secret, or None when it is not there or the store cannot be used."""


class Sources(NamedTuple):
    """Where a command looks for its settings, the source that wins first.

    `options` are settings by name as the command line gave them (None: not given). `env_file` is the one named by
    option, which must exist; without it the file is looked for as in contract 2, in `cwd` and then in
    `executable_folder`. `secret_store` is asked for secrets that neither option nor environment gives; None: there is
    no store.
    """

    options: Mapping[str, str | None]
    environ: Mapping[str, str]
    cwd: Path
    executable_folder: Path | None = None
    secret_store: SecretReader | None = None
    env_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """The values found, by the settings' own names, and what is wrong with the sources themselves."""

    found: Mapping[str, Found]
    file: Path | None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    school_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def gather(sources: Sources, *, only_logging: bool, settings: Sequence[Setting] = SETTINGS) -> Gathered:
    """Return what options, environment and `.env` file say; the credential store follows once the mode is known.

    With `only_logging` only log settings are taken from environment and file: the command needs nothing else, and
    an error elsewhere must not stop it. `settings` are those that are looked for.
    """
    errors: list[str] = []
    cwd, environ = sources.cwd, sources.environ
    if sources.env_file:
        path = _given_file(cwd / sources.env_file, errors)
    else:
        path = find_env_file(cwd, sources.executable_folder)
    file = read_env_file(path) if path else None
    found: dict[str, Found] = {}
    if file:
        found |= _one_source(file.values, Origin.FILE, file.path.parent, errors, settings)
    found |= _one_source(
        {name: _unquoted(name, text) for name, text in environ.items()}, Origin.ENVIRONMENT, cwd, errors, settings
    )
    if only_logging:
        logging = {one.name for one in settings if one.group is Group.LOGGING}
        found = {name: value for name, value in found.items() if name in logging}
        errors = [error for error in errors if "--env-file" in error]
    found |= _one_source(sources.options, Origin.OPTION, cwd, errors, settings)
    if file and not only_logging:
        errors.extend(file.errors)
    warnings = _file_warnings(file, {one.name for one in settings}) if file else _misnamed(cwd)
    secrets = {} if only_logging else school_secrets(file.values if file else {}, environ)
    return Gathered(found, file.path if file else None, tuple(errors), warnings, secrets)


def _misnamed(cwd: Path) -> tuple[str, ...]:
    return (not_read(cwd / MISNAMED),) if is_there(cwd / MISNAMED) else ()


def _given_file(path: Path, errors: list[str]) -> Path | None:
    if is_folder(path):
        errors.append(f"The settings file {path} given by --env-file is a folder; name a file in it.")
        return None
    if not is_there(path):
        errors.append(f"The settings file {path} given by --env-file does not exist.")
        return None
    return path


def with_stored_secrets(gathered: Gathered, store: SecretReader | None, names: Iterable[str]) -> Gathered:
    """Return `gathered` with the secrets of the store that neither option nor environment gives."""
    if store is None:
        return gathered
    found = dict(gathered.found)
    for name in names:
        if name in found and found[name].origin in (Origin.OPTION, Origin.ENVIRONMENT):
            continue
        secret = store.get(name)
        if secret and secret.strip():
            found[name] = Found(secret.strip(), Origin.STORE, Path())
    return replace(gathered, found=found, warnings=gathered.warnings + tuple(getattr(store, "warnings", ())))


def _one_source(
    given: Mapping[str, str | None], origin: Origin, base: Path, errors: list[str], settings: Sequence[Setting]
) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for setting in settings:
        names = [name for name in (setting.name, *setting.aliases) if (given.get(name) or "").strip()]
        texts = {(given[name] or "").strip() for name in names}
        if len(texts) > 1:
            errors.append(
                f"{' and '.join(names)} mean the same setting and have two values in {origin.value}; leave one of "
                "them out."
            )
        if names:
            found[setting.name] = Found((given[names[0]] or "").strip(), origin, base)
    return found


def _unquoted(name: str, text: str) -> str:
    """Return `text` without the quotes that `set NAME="value"` leaves in a Windows environment variable."""
    plain = text.strip()
    may_be_quoted = canonical_name(name) is not None and name not in ("CLIENT_SECRET", "SUPPLIER_KEY")
    if may_be_quoted and len(plain) > 1 and plain[0] == plain[-1] == '"':
        return plain[1:-1]
    return text


def _file_warnings(file: EnvFile, known: set[str]) -> tuple[str, ...]:
    unknown = [name for name in file.values if name not in known]
    warnings = [*file.warnings, *misspelt_names(unknown, file.path.name)]
    holds_secret = any(
        _is_secret(canonical_name(name), text.strip()) or (school_secret_of(name) and text.strip())
        for name, text in file.values.items()
    )
    if holds_secret and is_readable_by_others(file.path):
        warnings.append(
            f"The settings file {file.path} holds a secret and may be read by others; "
            "let only the account that runs the command read it."
        )
    return tuple(warnings)


def _is_secret(setting: str | None, text: str) -> bool:
    """Return whether a value must be kept from others; a connection or proxy without a password need not."""
    if setting == "DB_CONNECTION_STRING":
        return HIDDEN in redacted_connection_string(text)
    if setting == "PROXY_URL":
        return redacted_url(text) != text
    return bool(text) and setting in SECRET_NAMES
