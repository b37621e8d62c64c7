"""What is read: the tables, and the tuples that hold their rows."""

from __future__ import annotations

import pytest

from api_pipeline.staging.rows import ROW_TYPES, id_key
from api_pipeline.staging.tables import SSD_TABLES, SsdKind, SsdTable


@pytest.mark.parametrize("table", SSD_TABLES, ids=lambda table: table.name)
def test_a_row_has_the_columns_of_its_table_in_order_without_the_prefix(table: SsdTable) -> None:
    fields: tuple[str, ...] = getattr(ROW_TYPES[table.name][0], "_fields")  # noqa: B009 - typed as a plain tuple

    assert [table.prefix + field for field in fields] == list(table.column_names)


@pytest.mark.parametrize("table", SSD_TABLES, ids=lambda table: table.name)
def test_the_key_of_a_table_begins_with_its_first_column(table: SsdTable) -> None:
    assert table.key[0] == table.columns[0].name
    assert set(table.key) <= set(table.column_names)


def test_all_nineteen_tables_are_listed_once() -> None:
    assert len({table.name for table in SSD_TABLES}) == len(SSD_TABLES) == len(ROW_TYPES) == 19


def test_only_texts_have_a_length() -> None:
    columns = [column for table in SSD_TABLES for column in table.columns]

    assert all(column.length is None for column in columns if column.kind is not SsdKind.TEXT)
    assert [c.name for c in columns if c.kind is SsdKind.TEXT and c.length is None] == ["cinf_assessment_factors_json"]


def test_ids_are_compared_without_regard_to_case_and_outer_spaces() -> None:
    assert id_key("ab12 ") == id_key(" AB12") == "AB12"
