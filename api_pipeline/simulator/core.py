"""The embedded receiver without any transport: it checks what the real one checks and keeps what it accepted."""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import jsonschema_rs
import orjson

from api_pipeline.simulator.faults import Fault, FaultPlan, RateLimit, Refusal
from api_pipeline.simulator.merging import Json, merge, replace

CLIENT_ID = "simulated-client"
CLIENT_SECRET = "simulated-secret-not-a-real-one"  # noqa: S105 - it opens nothing but the simulator
SCOPE = "api://simulated-receiver/.default"
SUPPLIER_KEY = "simulated-supplier-key"
LA_CODE = "999"
BASE_PATH = "/children-in-social-care-data-receiver/1"
TOKEN_PATH = "/oauth2/v2.0/token"  # noqa: S105 - a path
MOST_RECORDS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `is_dropped` says that the connection is closed instead of answering."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_dropped: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came: when (monotonic seconds), to which service, the answer's status, how many records."""

    at: float
    service: str
    status: int
    records: int


@dataclass(frozen=True, slots=True)
class Options:
    """How the simulator behaves. `reading` is "merge" or "replace"; times are seconds.

    `keeps` says whether accepted payloads are kept; without it memory does not grow, and nothing can be asked.
    """

    reading: str = "merge"
    checks_schema: bool = True
    keeps: bool = True
    latency_s: float = 0.0
    token_lifetime_s: float = 3600.0
    rate_limit: float | None = None
    names_records: bool = True
    most_bytes: int | None = None


class Simulator:
    """The receiver and its token service. Safe between threads."""

    def __init__(
        self,
        options: Options | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.options = options or Options()
        self.faults = FaultPlan()
        self.refusals: list[Refusal] = []
        self.requests: list[Seen] = []
        self.accepted: list[Json] = []
        self.receipts: dict[str, list[str]] = {}
        self.accepted_count = 0
        self.most_at_once = 0
        self.refuses_supplier_key = False
        self._clock = clock
        self._sleep = sleep
        self._tokens: dict[str, float] = {}
        self._held: dict[str, Json] = {}
        self._at_once = 0
        self._lock = threading.RLock()
        self._limit = RateLimit(self.options.rate_limit, clock) if self.options.rate_limit else None

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Gives the answer to one request; `headers` has lower-case names."""
        service = "token" if path.endswith("/token") else "children"
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        began = self._clock()
        try:
            answer, records = self._treat(service, method, path, headers, body)
        finally:
            with self._lock:
                self._at_once -= 1
        with self._lock:
            self.requests.append(Seen(began, service, answer.status, records))
        return answer

    def held(self, la_child_id: str) -> Json | None:
        """Gives what is held of a child, None for nothing."""
        with self._lock:
            return self._held.get(la_child_id)

    def all_held(self) -> dict[str, Json]:
        """Gives what is held of every child by `la_child_id`."""
        with self._lock:
            return dict(self._held)

    @property
    def tokens_issued(self) -> int:
        """How many tokens were given out."""
        return sum(seen.service == "token" and seen.status == 200 for seen in self.requests)

    def expire_tokens(self) -> None:
        """Lets every token lapse now."""
        with self._lock:
            self._tokens.clear()

    def _treat(
        self, service: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Answer, int]:
        if self.options.latency_s and service == "children":
            self._sleep(self.options.latency_s)
        fault = self.faults.next(service)
        if fault is not None and fault.hang_s:
            self._sleep(fault.hang_s)
        if fault is not None and fault.drop == "before":
            return Answer(0, is_dropped=True), 0
        if fault is not None and fault.status is not None:
            return Answer(fault.status, fault.body.encode(), fault.headers), 0
        if service == "token":
            return self._token(method, body), 0
        answer, records = self._children(method, path, headers, body, fault)
        if fault is not None and fault.drop == "after":
            return Answer(0, is_dropped=True), records
        return answer, records

    def _token(self, method: str, body: bytes) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if method != "POST" or form.get("grant_type") != "client_credentials":
            return _json(400, {"error": "unsupported_grant_type"})
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return _json(401, {"error": "invalid_client"})
        if form.get("scope") != SCOPE:
            return _json(400, {"error": "invalid_scope"})
        token = secrets.token_urlsafe(24)
        lifetime = self.options.token_lifetime_s
        with self._lock:
            self._tokens[token] = self._clock() + lifetime
        return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": math.ceil(lifetime)})

    def _children(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, fault: Fault | None
    ) -> tuple[Answer, int]:
        refusal = self._refuse_request(method, path, headers, body)
        if refusal is not None:
            return refusal, 0
        try:
            records = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _problem(400, "the body is not valid JSON"), 0
        if not isinstance(records, list) or not records:
            return _problem(400, "wanted is an array of 1 to 100 records"), 0
        if len(records) > MOST_RECORDS:
            return _problem(413, "wanted is an array of 1 to 100 records"), len(records)
        refusal = self._refuse_records(records)
        if refusal is not None:
            return refusal, len(records)
        return self._accept(records, fault), len(records)

    def _refuse_request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        if path.split("?")[0] != f"{BASE_PATH}/children_social_care_data/{LA_CODE}/children":
            return _problem(404, "no such resource")
        if method != "POST":
            return _problem(405, "only POST is allowed")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        with self._lock:
            expires = self._tokens.get(token, float("-inf"))
        if scheme.lower() != "bearer" or expires <= self._clock():
            return _problem(401, "the token is missing, expired or not valid")
        if headers.get("supplierkey") != SUPPLIER_KEY or self.refuses_supplier_key:
            return _problem(403, "the supplier key is not known")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return _problem(415, "wanted is application/json")
        wait = self._limit.wait_s() if self._limit else 0.0
        if wait:
            return Answer(429, b"too many requests", {"Retry-After": str(max(1, math.ceil(wait)))})
        if self.options.most_bytes is not None and len(body) > self.options.most_bytes:
            return _problem(413, "the body is too large")
        return None

    def _refuse_records(self, records: list[Any]) -> Answer | None:
        for refusal in self.refusals:
            bad = [
                position
                for position, record in enumerate(records)
                if refusal.containing in json.dumps(record, ensure_ascii=False)
            ]
            if bad:
                return _refusal(refusal, bad)
        if not self.options.checks_schema:
            return None
        faults = {}
        for position, record in enumerate(records):
            if not _validator().is_valid(record):
                faults[position] = [
                    f"[{position}]{_path(error.instance_path)}: {error.message}"
                    for error in _validator().iter_errors(record)
                ]
        if not faults:
            return None
        if not self.options.names_records:
            return _problem(400, "malformed payload")
        return _json(400, {"errors": [text for texts in faults.values() for text in texts]})

    def _accept(self, records: list[Json], fault: Fault | None) -> Answer:
        now = datetime.now(timezone.utc)
        stamp = f"{now:%Y-%m-%d_%H:%M:%S}.{now.microsecond // 10000:02d}"
        tokens = [f"{stamp}_{uuid.uuid4()}.json" for _ in records]
        with self._lock:
            self.accepted_count += len(records)
            if self.options.keeps:
                for record, token in zip(records, tokens, strict=True):
                    self._keep(record, token)
        return _receipts(tokens, fault)

    def _keep(self, record: Json, token: str) -> None:
        child = str(record["la_child_id"])
        self.accepted.append(record)
        self.receipts.setdefault(child, []).append(token)
        if self.options.reading == "merge":
            after = merge(self._held.get(child), record, schema())
        else:
            after = replace(record, schema())
        if after is None:
            self._held.pop(child, None)
        else:
            self._held[child] = after


@cache
def schema() -> dict[str, Any]:
    """Gives the receiver's schema of one record."""
    text = (files("api_pipeline") / "data" / "csc_payload.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _validator() -> Any:
    return jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)


def _path(steps: list[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _json(status: int, value: object) -> Answer:
    return Answer(status, orjson.dumps(value), {"Content-Type": "application/json"})


def _problem(status: int, detail: str) -> Answer:
    return _json(status, {"statusCode": status, "message": detail})


def _refusal(refusal: Refusal, positions: list[int]) -> Answer:
    if refusal.status == 403:
        return Answer(403, b"<html><body>Request blocked.</body></html>", {"Content-Type": "text/html"})
    if refusal.named:
        return _json(refusal.status, {"errors": [f"[{position}]: {refusal.message}" for position in positions]})
    return _problem(refusal.status, refusal.message)


def _receipts(tokens: list[str], fault: Fault | None) -> Answer:
    status = fault.accept_status if fault else 200
    match fault.receipts if fault else "":
        case "text":
            return Answer(status, "\n".join(tokens).encode(), {"Content-Type": "text/plain"})
        case "batch":
            return _json(status, str(uuid.uuid4()))
        case "missing_one":
            return _json(status, tokens[:-1])
        case "empty":
            return Answer(status)
        case "html":
            return Answer(status, b"<html><body>Please log in.</body></html>", {"Content-Type": "text/html"})
        case "malformed":
            return _json(status, ["accepted"] * len(tokens))
        case _:
            return _json(status, tokens)
