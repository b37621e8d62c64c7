"""What several integration tests are given."""

from pathlib import Path

import pytest

from tests.support.tls import Authority, authority


@pytest.fixture
def council(tmp_path: Path) -> Authority:
    """Return the certificate authority of the council itself."""
    return authority(tmp_path)
