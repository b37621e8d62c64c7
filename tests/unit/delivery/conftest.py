"""What tests of a run are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.outbox.staging_table import StagingTable
from tests.support.nights import Night


@pytest.fixture
def night(store: StagingTable, tmp_path: Path) -> Night:
    """Return a run on the embedded table."""
    return Night(store, tmp_path)
