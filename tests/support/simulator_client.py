"""A client of the embedded receiver over real HTTP, and waiting for its threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from api_pipeline.sandbox.simulator import LA_CODE, SUPPLIER_KEY, SimulatorServer
from tests.support.simulated import FORM


class Client:
    """One session to a server, with a token."""

    def __init__(self, server: SimulatorServer, verify: str | bool = True) -> None:
        self.origin = server.origin
        self.url = f"{server.base_url}/children_social_care_data/{LA_CODE}/children"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = verify
        token = self.session.post(server.token_url, data=FORM).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}", "SupplierKey": SUPPLIER_KEY}

    def post(self, *records: Any, timeout: float = 5.0) -> requests.Response:
        return self.session.post(self.url, json=records, headers=self.headers, timeout=timeout, allow_redirects=False)

    def control(self, method: str, what: str, value: Any = None, **headers: str) -> requests.Response:
        return self.session.request(method, f"{self.origin}/_control/{what}", json=value, headers=headers, timeout=5)

    def ask(self, what: str) -> Any:
        return self.control("GET", what).json()


def simulator_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("simulator")]


def wait_for_simulator_threads(count: int) -> None:
    """See that so many threads are left; one that ends takes a moment for it."""
    wait_until(lambda: len(simulator_threads()) == count)
    assert len(simulator_threads()) == count


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait up to five seconds for what the test then asserts."""
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)
