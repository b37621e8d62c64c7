"""The schemas of what commands print say of every member what it means, since the reference is made from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api_pipeline.documents import schemas


def members(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of each member of a document, however deep, and its schema."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from members(inner, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from members(schema[part], path)


@pytest.mark.parametrize("name", sorted({*schemas.SCHEMAS.values(), "notification"}))
def test_every_member_says_what_it_means(name: str) -> None:
    found = list(members(schemas.schema(name)))
    assert found
    assert [place for place, inner in found if not inner.get("description", "").endswith(".")] == []
