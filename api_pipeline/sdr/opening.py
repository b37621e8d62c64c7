"""Make what a command of the Single Data Return needs: store, receiver and lock."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from api_pipeline.auth.token_provider import Credentials, TokenProvider
from api_pipeline.db import Connection, run_lock
from api_pipeline.sdr.receiver import BASE, TecReceiver
from api_pipeline.sdr.schema import tables
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store
from api_pipeline.sdr.wire import Address, RequestOptions, Wire, refused_token
from api_pipeline.settings.safety import plain_address
from api_pipeline.transport.exchange import Exchange, RetryPolicy
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.single_request import Reach

_LONGEST_RECEIVER = 100


@dataclass(frozen=True, slots=True)
class Access:
    """How TEC is reached: login, address, network options and retries. Holds a secret: never logged."""

    credentials: Credentials
    address: Address
    reach: Reach
    policy: RetryPolicy
    request_options: RequestOptions
    min_gap_s: float = 0.0

    def __repr__(self) -> str:
        return f"Access(base={self.address.base!r})"


def base_url(endpoint: str) -> str:
    """Return the base address for SDR_API_ENDPOINT, which may or may not end in /submissions/v1.0."""
    plain = endpoint.rstrip("/")
    return plain if plain.endswith(BASE) else plain + BASE


def receiver_key(base: str, eid: str) -> str:
    """Return the key of a receiver and an organisation in the tables, however its host and its port are written."""
    key = f"{plain_address(base).partition('://')[2]} {eid}"
    if len(key) <= _LONGEST_RECEIVER:
        return key
    return f"{key[:60]} {hashlib.sha256(key.encode()).hexdigest()[:32]}"


def make_receiver(
    session: requests.Session,
    access: Access,
    *,
    is_asked_to_stop: Callable[[], bool] = lambda: False,
    on_secret: Callable[[str], None] = lambda _secret: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] | None = None,
) -> TecReceiver:
    """Return a receiver whose requests go one at a time; `sleep` waits in the place of the real clock."""
    limiter = RateLimiter(1, access.min_gap_s, clock, is_asked_to_stop)
    reach = access.reach._replace(is_abandoned=limiter.is_past_grace)
    tokens = TokenProvider(
        session,
        access.credentials,
        reach._replace(peer="the token service"),
        policy=access.policy,
        limiter=limiter,
        clock=clock,
        on_token=on_secret,
    )
    exchange = Exchange(
        session,
        reach,
        tokens,
        policy=access.policy,
        limiter=limiter,
        refused=refused_token,
        header=access.address.auth_header,
    )
    wire = Wire(exchange, access.address, access.request_options, clock, sleep or limiter.sleep)
    return TecReceiver(wire, on_secret)


def make_store(connection: Connection, table_name: str) -> Store:
    """Return the store on a connection. Errors: SettingsError, DatabaseError where the tables are missing."""
    store = Store(connection, tables(table_name, connection.dialect))
    store.check()
    return store


@contextmanager
def locked(store: Store, scope: Scope) -> Iterator[None]:
    """Hold the lock of one period at one receiver: two runs never work on it at once. Errors: AlreadyRunning."""
    part = hashlib.sha256(f"{scope.receiver} {scope.return_id}".encode()).hexdigest()[:16]
    what = f"the return {scope.return_id}"
    lock = run_lock.take_part(store.connection, store.tables.staging, f"sdr-{part}", what)
    try:
        yield
    finally:
        lock.release()
