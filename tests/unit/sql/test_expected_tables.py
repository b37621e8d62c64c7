"""What is expected of the tables is read from the packaged scripts, whole."""

from __future__ import annotations

import pytest

from api_pipeline.sql.expected_tables import expected_staging_table, expected_tables
from api_pipeline.sql.identifiers import Dialect

TABLE = "ssd_api_data_staging"


@pytest.mark.parametrize("dialect", Dialect)
def test_expectation_covers_every_column_of_every_table(dialect: Dialect) -> None:
    counts = [len(table.columns) for table in expected_tables(dialect, TABLE)]

    assert counts == [13, 6, 13, 6, 2, 5, 17]


@pytest.mark.parametrize("dialect", Dialect)
def test_staging_table_alone_is_expected_as_it_is_among_all(dialect: Dialect) -> None:
    assert expected_staging_table(dialect, TABLE) == expected_tables(dialect, TABLE)[0]
