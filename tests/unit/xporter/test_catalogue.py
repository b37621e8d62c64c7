"""The packaged catalogue against the counts of the published reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import orjson
import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.catalogue import Field, load_catalogue

_READ: dict[str, Any] = orjson.loads((files("api_pipeline") / "data" / "xporter" / "catalogue.json").read_bytes())


def _in_reference(parts: Callable[[Mapping[str, Any]], int]) -> int:
    """Count parts of every operation, as often as the reference names it: once for each of its categories."""
    return sum(len(entry["categories"]) * parts(entry) for entry in _READ["operations"])


def _published(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [table for table in entry.get("tables", ()) if not table.get("is_unpublished")]


def test_catalogue_has_every_operation_of_the_reference() -> None:
    assert _in_reference(lambda _entry: 1) == 125


def test_catalogue_has_every_field_table_of_the_reference() -> None:
    assert _in_reference(lambda entry: len(_published(entry))) == 184


def test_catalogue_accounts_for_every_field_row_of_the_reference() -> None:
    fields = _in_reference(lambda entry: sum(len(table["fields"]) for table in _published(entry)))
    assert fields + _READ["merged_doubles"] + _READ["unreadable_rows"] == 1597


def test_catalogue_has_every_write_back_table_of_the_reference() -> None:
    assert _in_reference(lambda entry: len(entry.get("bodies", ()))) == 31
    assert _in_reference(lambda entry: sum(entry.get("bodies", ()))) == 145


def test_catalogue_has_87_endpoints_that_can_be_collected_each_with_a_path() -> None:
    endpoints = load_catalogue().endpoints
    assert len(endpoints) == 87
    assert all(entry.path and "{estab}" in entry.path for entry in endpoints)


def test_every_owner_names_a_column_and_a_table_that_are_there() -> None:
    catalogue = load_catalogue()
    for endpoint in catalogue.endpoints:
        for table in endpoint.tables:
            if table.owner is None or not table.owner.table:
                continue
            source = catalogue.endpoint(table.owner.endpoint) if table.owner.endpoint else endpoint
            there = source.table_named(table.owner.table)
            assert there is not None
            assert table.owner.there in [field.name for field in there.fields]
            assert table.owner.column in [field.name for field in table.fields]


def test_every_key_is_a_column_of_its_published_table() -> None:
    for endpoint in load_catalogue().endpoints:
        for table in endpoint.tables:
            if table.is_published:
                assert set(table.key) <= {field.name for field in table.fields}


def test_endpoint_is_found_in_any_case_and_with_the_vendors_prefix() -> None:
    assert load_catalogue().endpoint("school.students").name == "Students"


def test_unknown_endpoint_is_a_settings_error_that_says_where_the_list_is() -> None:
    with pytest.raises(SettingsError, match="xporter catalogue"):
        load_catalogue().endpoint("Pupils")


@pytest.mark.parametrize(
    ("needed", "given", "allowed"),
    [
        ("", (), True),
        ("Student|StudentLite", ("StudentLite",), True),
        ("Student|StudentLite", ("Contact",), False),
        ("Student|StudentLite&Contact", ("StudentLite",), False),
        ("Student|StudentLite&Contact", ("StudentLite", "Contact"), True),
    ],
)
def test_column_is_let_out_by_any_of_its_scopes_in_every_group(
    needed: str, given: tuple[str, ...], allowed: bool
) -> None:
    assert Field("Name", "text", needed).is_allowed(frozenset(given)) is allowed


def test_endpoint_is_withheld_when_no_published_column_is_let_out() -> None:
    sen = load_catalogue().endpoint("SEN")
    assert sen.is_withheld(frozenset({"Attendance"}))
    assert not sen.is_withheld(frozenset({"SENTypes"}))
    assert not sen.is_withheld(None)
