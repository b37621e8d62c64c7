"""The simulator of the receiver without a network: a clock, and a client that asks it directly."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from api_pipeline.sandbox.simulator import (
    BASE_PATH,
    CLIENT_ID,
    CLIENT_SECRET,
    LA_CODE,
    SCOPE,
    SUPPLIER_KEY,
    TOKEN_PATH,
    Answer,
    Options,
    Simulator,
)

PATH = f"{BASE_PATH}/children_social_care_data/{LA_CODE}/children"
FORM = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": SCOPE}
NOON = datetime(2026, 3, 1, 12, 0, 0, 430_000, tzinfo=timezone.utc)


class Clock:
    """A clock that stands still until it is moved; sleeping moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.seconds += seconds


class Client:
    """Asks a simulator as a well-behaved sender would."""

    def __init__(self, options: Options | None = None) -> None:
        self.clock = Clock()
        self.simulator = Simulator(options, clock=self.clock, now=lambda: NOON, sleep=self.clock.move)
        self.headers = {"SupplierKey": SUPPLIER_KEY, "Content-Type": "application/json; charset=utf-8"}
        self.renew()

    def renew(self) -> None:
        token = json.loads(self.ask_token().body)["access_token"]
        self.headers["Authorization"] = f"Bearer {token}"

    def ask_token(self, method: str = "POST", **changes: str) -> Answer:
        form = {name: value for name, value in {**FORM, **changes}.items() if value}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.simulator.handle(method, TOKEN_PATH, headers, urlencode(form).encode())

    def post(self, *records: Any, method: str = "POST", path: str = PATH, **headers: str) -> Answer:
        return self.post_text(json.dumps(records).encode(), method=method, path=path, **headers)

    def post_text(self, body: bytes, *, method: str = "POST", path: str = PATH, **headers: str) -> Answer:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.simulator.handle(method, path, sent, body)


def child(name: str = "A1", **members: Any) -> dict[str, Any]:
    """Return a record of a child."""
    return {"la_child_id": name, **members}
