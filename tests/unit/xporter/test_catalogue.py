"""The packaged catalogue against the counts of the published reference."""

from __future__ import annotations

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.catalogue import Field, load_catalogue


def test_catalogue_has_every_operation_of_the_reference() -> None:
    assert sum(len(entry.categories) for entry in load_catalogue().operations) == 125


def test_catalogue_has_every_field_table_of_the_reference() -> None:
    tables = sum(
        len(entry.categories) * sum(table.is_published for table in entry.tables)
        for entry in load_catalogue().operations
    )
    assert tables == 184


def test_catalogue_accounts_for_every_field_row_of_the_reference() -> None:
    catalogue = load_catalogue()
    fields = sum(
        len(entry.categories) * sum(len(table.fields) for table in entry.tables if table.is_published)
        for entry in catalogue.operations
    )
    assert fields + catalogue.merged_doubles + catalogue.unreadable_rows == 1597


def test_catalogue_has_every_write_back_table_of_the_reference() -> None:
    operations = load_catalogue().operations
    assert sum(len(entry.categories) * len(entry.bodies) for entry in operations) == 31
    assert sum(len(entry.categories) * sum(entry.bodies) for entry in operations) == 145


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
