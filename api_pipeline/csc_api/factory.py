"""Make the receiver of a live run from the settings.

The factory of another receiver belongs here as well. The run itself knows only the protocol `access_probe.Receiver`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import requests

from api_pipeline.auth.token_provider import Credentials, TokenProvider
from api_pipeline.csc_api.client import CscReceiver, Endpoint
from api_pipeline.logs.redaction import Redactor
from api_pipeline.settings.model import Settings
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.proxy import check_proxy
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.transport.single_request import RawAnswer, Reach


class RequestObservers(NamedTuple):
    """What is called while a receiver works: for each request that starts, new token (to redact it), and answer."""

    on_request: Callable[[], None] = lambda: None
    on_token: Callable[[str], None] = lambda _token: None
    on_answer: Callable[[RawAnswer], None] = lambda _answer: None


def make_receiver(settings: Settings, limiter: RateLimiter, observers: RequestObservers) -> CscReceiver:
    """Return the receiver that the settings name. Errors: SettingsError (CA_BUNDLE, PROXY_AUTH, proxy)."""
    session = make_session(transport_options(settings))
    for url in (settings.children_url, settings.token_endpoint):
        session.proxies_to(url)
    return assemble(settings, session, endpoint_of(settings), credentials_of(settings), limiter, observers)


def endpoint_of(settings: Settings) -> Endpoint:
    """Return where records are sent, with the supplier key that goes with them."""
    return Endpoint(
        url=settings.children_url,
        supplier_key=settings.supplier_key,
        reach=reach_of(settings),
    )


def reach_of(settings: Settings) -> Reach:
    """Return how the receiver is reached."""
    return Reach(
        timeouts=(settings.connect_timeout_s, settings.read_timeout_s),
        user_agent=settings.user_agent,
    )


def token_reach(endpoint: Endpoint) -> Reach:
    """Return how the token service is reached: as the receiver is, but under its own name in sentences."""
    return endpoint.reach._replace(peer="the token service")


def credentials_of(settings: Settings) -> Credentials:
    """Return the address of the token service and the credentials for it."""
    return Credentials(settings.token_endpoint, settings.client_id, settings.client_secret, settings.scope)


def transport_options(settings: Settings) -> TransportOptions:
    """Return how the settings say the outside is reached."""
    return TransportOptions(
        ca_bundle=str(settings.ca_bundle) if settings.ca_bundle else None,
        proxy_url=settings.proxy_url or None,
        proxy_auth=settings.proxy_auth,
        connections=settings.max_in_flight,
    )


def check_transport(settings: Settings) -> None:
    """Check certificates and proxy settings before anything is opened. Errors: SettingsError."""
    if settings.testing_mode:
        return
    with make_session(transport_options(settings)):
        for url in (settings.children_url, settings.token_endpoint):
            check_proxy(settings.proxy_url or None, url)


def assemble(
    settings: Settings,
    session: requests.Session,
    endpoint: Endpoint,
    credentials: Credentials,
    limiter: RateLimiter,
    observers: RequestObservers,
) -> CscReceiver:
    """Return the receiver that uses this session."""
    endpoint = replace(endpoint, reach=endpoint.reach._replace(is_abandoned=limiter.is_past_grace))
    policy = RetryPolicy(settings.max_attempts, settings.retry_max_wait_s)
    redactor = Redactor.for_settings(settings)

    def on_token(token: str) -> None:
        redactor.add(token)
        observers.on_token(token)

    tokens = TokenProvider(
        session,
        credentials,
        token_reach(endpoint),
        policy=policy,
        limiter=limiter,
        clock=time.monotonic,
        on_token=on_token,
    )
    return CscReceiver(
        session,
        endpoint,
        tokens,
        policy=policy,
        limiter=limiter,
        on_request=observers.on_request,
        on_answer=observers.on_answer,
        hide=redactor.hide_known,
    )
