"""`config show` and `config check`: every setting, its value, where it comes from, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from api_pipeline.errors import SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.settings.definition import Group, Setting
from api_pipeline.settings.definitions import SETTINGS
from api_pipeline.settings.loading import Examined
from api_pipeline.settings.values import Origin, Values
from api_pipeline.sql.connection_string import redacted_connection_string, redacted_url

_SOURCES = {
    Origin.OPTION: "option",
    Origin.ENVIRONMENT: "environment",
    Origin.STORE: "store",
    Origin.FILE: "file",
    Origin.DEFAULT: "default",
}
_SECRET_SHOWN_REDACTED = {"DB_CONNECTION_STRING": redacted_connection_string, "PROXY_URL": redacted_url}


@dataclass(frozen=True, slots=True)
class SettingState:
    """One setting as it counts now.

    `value` is safe to show: of a secret only whether it is set. `source` is option, environment, store, file or
    default. `problem` says what is wrong with it, "" where nothing is.
    """

    name: str
    group: str
    value: str
    is_set: bool
    is_secret: bool
    source: str
    problem: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every setting, and all that is wrong: `errors` stop a command, `warnings` do not.

    `file` is the settings file, None where none was found.
    """

    file: Path | None
    settings: tuple[SettingState, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Return 2 where a setting cannot be used, else 0."""
        return SettingsError.exit_code if self.errors else 0


def configuration(found: Examined, near_misses: Iterable[str]) -> Configuration:
    """Return the state of every setting; `near_misses` are sentences that join the warnings."""
    warnings = dict.fromkeys([*found.settings.warnings, *near_misses])
    states = tuple(_state(setting, found) for setting in SETTINGS)
    return Configuration(found.file, states, found.errors, tuple(warnings))


def configuration_lines(found: Configuration, *, every_setting: bool) -> list[str]:
    """Return the configuration as plain lines: the settings by group, then what is wrong.

    Without `every_setting` those that have their default are left out.
    """
    lines = [f"Settings file: {found.file or 'none was found'}"]
    shown = [state for state in found.settings if every_setting or state.is_set or state.problem]
    width = max((len(state.name) for state in shown), default=0)
    for group in Group:
        states = [state for state in shown if state.group == group.value]
        if states:
            lines += ["", group.value, *(_line(state, width) for state in states)]
    hidden = len(found.settings) - len(shown)
    if hidden:
        lines += ["", f"{hidden} settings have their default; --all shows them."]
    lines += _list("What is wrong", found.errors) + _list("Worth a look", found.warnings)
    return [*lines, "", result_line(found)]


def result_line(found: Configuration) -> str:
    """Return one sentence: whether the settings can be used."""
    if not found.errors:
        return "Result: the settings can be used (exit code 0)"
    return f"Result: {counted(len(found.errors), '{setting|settings}')} cannot be used (exit code {found.exit_code})"


def _state(setting: Setting, found: Examined) -> SettingState:
    origin = found.values.found[setting.name].origin if found.values.given(setting.name) else Origin.DEFAULT
    return SettingState(
        name=setting.name,
        group=setting.group.value,
        value=_value(setting, found.values),
        is_set=found.values.given(setting.name),
        is_secret=setting.secret,
        source=_SOURCES[origin],
        problem=_problem(setting.name, found.errors),
    )


def _value(setting: Setting, values: Values) -> str:
    is_set = values.given(setting.name)
    if not setting.secret:
        return values.shown(setting.name)[1:-1] if is_set else setting.default or setting.default_note
    if not is_set:
        return "not set"
    redacted = _SECRET_SHOWN_REDACTED.get(setting.name)
    return f"set: {redacted(values.without_secrets(values.found[setting.name].text))}" if redacted else "set"


def _problem(name: str, errors: Sequence[str]) -> str:
    return next((error for error in errors if error.startswith((f"{name}:", f"{name} "))), "")


def _line(state: SettingState, width: int) -> str:
    mark = "!" if state.problem else " "
    return f"{mark} {state.name:<{width}}  {state.source:<11}  {state.value or '-'}".rstrip()


def _list(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", title, *(f"  - {sentence}" for sentence in sentences)] if sentences else []
