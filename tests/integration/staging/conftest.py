"""A council's SSD on every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.council_ssd import CouncilSsd, council
from tests.support.databases import TestDatabase
from tests.support.prepared import Made


@pytest.fixture
def ssd(deployed: TestDatabase, tmp_path: Path) -> CouncilSsd:
    return CouncilSsd(deployed, tmp_path) if deployed.made is Made.SSD else council(deployed, tmp_path)
