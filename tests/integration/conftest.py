"""What several integration tests are given."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.simulator_client import Client
from tests.support.sinks import HttpSink, http_sink
from tests.support.tls import Authority, authority


@pytest.fixture
def council(tmp_path: Path) -> Authority:
    """Return the certificate authority of the council itself."""
    return authority(tmp_path)


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    """Yield a server that keeps every request."""
    with http_sink() as sink:
        yield sink


@pytest.fixture
def client(server: SimulatorServer) -> Iterator[Client]:
    """Yield a client of the embedded receiver, with a token."""
    made = Client(server)
    yield made
    made.session.close()
