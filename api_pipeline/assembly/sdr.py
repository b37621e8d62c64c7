"""Put together what a command of the Single Data Return needs, and choose the real TEC or the simulated one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import requests

from api_pipeline.auth.token_answer import SettingNames
from api_pipeline.auth.token_provider import Credentials
from api_pipeline.db import connect
from api_pipeline.diagnostics.steps import Report
from api_pipeline.diagnostics.tec import check_tec
from api_pipeline.sdr import opening
from api_pipeline.sdr.flows import Context, stopped
from api_pipeline.sdr.nouns import Rules
from api_pipeline.sdr.openapi import schema_check
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.settings import SdrSettings
from api_pipeline.sdr.store import TABLE_MAKER, Store
from api_pipeline.sdr.validation import PollTiming
from api_pipeline.sdr.wire import Address, RequestOptions
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.transport.single_request import Reach

# A name under `.invalid` never resolves: should it ever reach a real network, nothing is there.
SIMULATED = "https://simulator.invalid"
_NAMES = SettingNames("SDR_TOKEN_ENDPOINT", "SDR_CLIENT_ID", "SDR_CLIENT_SECRET", "SDR_SCOPE", "sdr test-endpoint")


@dataclass(frozen=True, slots=True)
class SdrObservers:
    """What a command is given: the function that gets new secrets, the event that asks it to stop, and the run's id."""

    on_secret: Callable[[str], None]
    stop: threading.Event
    run_id: str


@contextmanager
def open_context(settings: SdrSettings, observers: SdrObservers) -> Iterator[Context]:
    """Open the tables and the receiver. Errors: SettingsError, DatabaseError; Interrupted where a signal stops it."""
    connection = connect(settings.connection_string, maker=TABLE_MAKER)
    try:
        store = opening.make_store(connection, settings.table_name)
        access, session = _access(settings)
        with session, _interruptible():
            receiver = _receiver(session, access, observers)
            yield Context(
                store,
                receiver,
                opening.receiver_key(access.address.base, access.address.eid),
                Rules(settings.on_new_token, settings.batch_size, settings.wait_blocked_s, settings.poll_s),
                PollTiming(settings.poll_s, settings.validation_timeout_s),
                settings.testing_mode,
                settings.check,
                schema_check(settings.schema, settings.paths) if settings.schema else None,
                run_id=observers.run_id,
            )
    finally:
        connection.close()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise Interrupted where a signal stops the work before a request: also one before a run has begun."""
    try:
        yield
    except Stopped:
        raise stopped() from None


@contextmanager
def receiver_alone(settings: SdrSettings, observers: SdrObservers) -> Iterator[TecReceiver]:
    """Open the receiver without a database. Errors: SettingsError."""
    access, session = _access(settings)
    with session, _interruptible():
        yield _receiver(session, access, observers)


def endpoint_report(settings: SdrSettings, observers: SdrObservers) -> Report:
    """Test every step on the way to TEC; each request is made once. Errors: SettingsError."""
    access, session = _access(settings)
    addresses = (("", access.address.base), ("ESL", settings.token_endpoint))
    with session, _interruptible():
        receiver = _receiver(session, replace(access, policy=RetryPolicy(1, 0.0)), observers)
        return check_tec(receiver, _transport(settings), addresses, settings.connect_timeout_s)


@contextmanager
def store_alone(settings: SdrSettings) -> Iterator[tuple[Store, str]]:
    """Open the tables alone, with the key by which they know TEC. Errors: SettingsError, DatabaseError."""
    connection = connect(settings.connection_string, maker=TABLE_MAKER)
    try:
        base, eid = _base_and_eid(settings)
        yield opening.make_store(connection, settings.table_name), opening.receiver_key(base, eid)
    finally:
        connection.close()


def _receiver(session: requests.Session, access: opening.Access, observers: SdrObservers) -> TecReceiver:
    return opening.make_receiver(session, access, is_asked_to_stop=observers.stop.is_set, on_secret=observers.on_secret)


def _base_and_eid(settings: SdrSettings) -> tuple[str, str]:
    if settings.testing_mode:
        return opening.base_url(SIMULATED), settings.eid or "0"
    return opening.base_url(settings.api_endpoint), settings.eid


def _access(settings: SdrSettings) -> tuple[opening.Access, requests.Session]:
    base, eid = _base_and_eid(settings)
    credentials = Credentials(
        settings.token_endpoint,
        settings.client_id,
        settings.client_secret,
        settings.scope,
        client_auth=settings.client_auth,
        extra={"org_id": settings.org_id},
        names=_NAMES,
    )
    address = Address(base, eid, settings.paths, settings.results_path, settings.auth_header)
    if settings.testing_mode:
        session = requests.Session()
        credentials, address = _simulated(session, base)
    else:
        session = make_session(_transport(settings))
    access = opening.Access(
        credentials,
        address,
        Reach(
            (settings.connect_timeout_s, settings.read_timeout_s),
            settings.user_agent,
            "TEC",
        ),
        RetryPolicy(settings.max_attempts, settings.retry_max_wait_s),
        RequestOptions(settings.wait_blocked_s, settings.read_timeout_s, settings.gzip),
        settings.min_post_gap_ms / 1000,
    )
    return access, session


def _transport(settings: SdrSettings) -> TransportOptions:
    bundle = str(settings.ca_bundle) if settings.ca_bundle else None
    return TransportOptions(bundle, settings.proxy_url or None, settings.proxy_auth)


def _simulated(session: requests.Session, base: str) -> tuple[Credentials, Address]:
    """Let a session reach a simulated TEC of this process alone; return its login and address.

    The paths and the header that are set are those of the real one, which the simulated one does not know.
    """
    from api_pipeline.sandbox.simulator.adapter import InProcessAdapter
    from api_pipeline.sandbox.simulator.tec import TecOptions, TecSimulator
    from api_pipeline.sandbox.simulator.tec.options import TOKEN_PATH

    options = TecOptions()
    session.trust_env = False
    session.mount("https://", InProcessAdapter(TecSimulator(options)))
    login = Credentials(
        SIMULATED + TOKEN_PATH,
        options.client_id,
        options.client_secret,
        options.scope,
        client_auth="basic",
        extra={"org_id": options.eid},
    )
    return login, Address(base, options.eid)
