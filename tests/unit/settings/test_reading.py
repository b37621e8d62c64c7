"""A field of a settings object is filled from the setting of its own name."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from api_pipeline.sdr.settings import SdrSettings
from api_pipeline.sdr.settings_table import BY_NAME as SDR_SETTINGS
from api_pipeline.settings.definition import Setting, SettingKind
from api_pipeline.settings.definitions import BY_NAME
from api_pipeline.settings.model import Settings, StagingSettings
from api_pipeline.settings.reading import setting_of, settings_of
from api_pipeline.settings.values import Found, Origin, Shard, Values
from api_pipeline.settings.xporter import XporterSettings

_TYPES: Mapping[SettingKind, object] = {
    SettingKind.BOOLEAN: bool,
    SettingKind.INTEGER: int,
    SettingKind.NUMBER: float,
    SettingKind.SHARD: Shard,
    SettingKind.LIST: tuple[str, ...],
    SettingKind.DATE: date,
    SettingKind.FILE: Path,
    SettingKind.PATH: Path,
}
# These are made of several settings, or from a word of one: another type than the setting's is right.
_MADE = frozenset({"paths", "results_path", "on_new_token", "schools", "write_back"})
_SERVICES = [
    (Settings, "", BY_NAME),
    (StagingSettings, "", BY_NAME),
    (XporterSettings, "XPORTER_", BY_NAME),
    (SdrSettings, "SDR_", SDR_SETTINGS),
]


@dataclass(frozen=True, slots=True)
class Pace:
    """Two settings, and a field that is none."""

    batch_size: int
    debug: bool
    warnings: tuple[str, ...] = ("kept",)


def _values(**texts: str) -> Values:
    return Values({name: Found(text, Origin.ENVIRONMENT, Path()) for name, text in texts.items()})


def _plain(hint: Any) -> object:
    """Return a type without its `| None`, and that of its words for a choice."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (one for one in get_args(hint) if one is not types.NoneType)
    return str if get_origin(hint) is Literal else hint


def test_fields_hold_the_settings_of_their_names_and_the_given_values() -> None:
    assert settings_of(Pace, _values(BATCH_SIZE="7", DEBUG="yes")) == Pace(7, True)
    assert settings_of(Pace, _values(BATCH_SIZE="7"), batch_size=9).batch_size == 9


def test_what_cannot_be_used_is_collected_and_the_default_stands() -> None:
    values = _values(BATCH_SIZE="500", DEBUG="perhaps")

    assert settings_of(Pace, values) == Pace(100, False)
    assert [error.split(":")[0] for error in values.errors] == ["BATCH_SIZE", "DEBUG"]


def test_field_without_setting_and_default_is_an_error() -> None:
    with pytest.raises(KeyError, match="BATCH_SIZE"):
        settings_of(Pace, Values({}, table={}))


@pytest.mark.parametrize(("service", "prefix", "table"), _SERVICES, ids=lambda one: getattr(one, "__name__", ""))
def test_field_has_the_type_that_its_setting_is_read_in(
    service: type[Any], prefix: str, table: Mapping[str, Setting]
) -> None:
    values, hints = Values({}, table=table), get_type_hints(service)
    settings = {name: setting_of(name, values, prefix) for name in get_type_hints(service)}
    read = {field: table[name] for field, name in settings.items() if name in table and field not in _MADE}

    assert len(read) > 10
    assert {field: _plain(hints[field]) for field in read} == {
        field: _TYPES.get(setting.kind, str) for field, setting in read.items()
    }
