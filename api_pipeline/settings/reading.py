"""Fill an object of settings: each field from the setting of its own name.

The field `batch_size` holds the setting BATCH_SIZE; where a service puts a prefix before its names, `page_size` holds
XPORTER_PAGE_SIZE. So a new setting is an entry in the table and a field, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from api_pipeline.settings.values import Values

_Made = TypeVar("_Made")


def settings_of(kind: type[_Made], values: Values, prefix: str = "", **given: object) -> _Made:
    """Return an object of `kind`, a dataclass or a named tuple.

    A field in `given` is as given, any other from the setting of its name; one with a default that is the name of no
    setting keeps its default. `values` collects what cannot be used.
    """
    filled: dict[str, Any] = dict(given)
    for field, has_default in _fields(kind):
        name = setting_of(field, values, prefix)
        if field not in filled and (name in values.table or not has_default):
            filled[field] = values.value(name)
    return kind(**filled)


def _fields(kind: Any) -> Iterator[tuple[str, bool]]:
    """Yield the name of each field, and whether it has a default."""
    if not is_dataclass(kind):
        yield from ((name, name in kind._field_defaults) for name in kind._fields)
        return
    for field in fields(kind):
        yield field.name, field.default is not MISSING or field.default_factory is not MISSING


def setting_of(field: str, values: Values, prefix: str = "") -> str:
    """Return the setting whose value a field holds: the one with the service's prefix, else the shared one."""
    own = prefix + field.upper()
    return own if own in values.table else field.upper()
