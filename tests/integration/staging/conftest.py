"""A council's SSD on every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.council_ssd import CouncilSsd, council
from tests.support.databases import TestDatabase


@pytest.fixture
def ssd(deployed: TestDatabase, tmp_path: Path) -> CouncilSsd:
    return council(deployed, tmp_path)
