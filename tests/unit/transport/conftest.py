"""A server that answers as it is told, and the product's session to ask it with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver


@pytest.fixture
def server() -> Iterator[HostileReceiver]:
    with HostileReceiver() as made:
        yield made


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with scripted.session() as made:
        yield made
