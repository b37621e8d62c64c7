"""Makes the receiver of a live run from the settings.

Another receiver is added here, beside the Children's Social Care API; the run knows only `submission.Receiver`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from api_pipeline.auth import Credentials, TokenProvider
from api_pipeline.config import Settings
from api_pipeline.csc_api.client import CscReceiver, Endpoint
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.retry import RetryPolicy
from api_pipeline.transport.session import TransportOptions, make_session


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a receiver tells: each request that starts, and each new token (for redaction)."""

    on_request: Callable[[], None] = lambda: None
    on_token: Callable[[str], None] = lambda _token: None


def make_receiver(settings: Settings, gate: RateLimiter, hooks: Hooks) -> CscReceiver:
    """Gives the receiver that the settings name. Errors: SettingsError (CA_BUNDLE, PROXY_AUTH)."""
    session = make_session(transport_options(settings))
    return assemble(settings, session, endpoint_of(settings), credentials_of(settings), gate, hooks)


def endpoint_of(settings: Settings) -> Endpoint:
    """Gives where records go and what travels with them."""
    return Endpoint(
        url=settings.children_url,
        supplier_key=settings.supplier_key,
        user_agent=settings.user_agent,
        timeouts=(settings.connect_timeout_s, settings.read_timeout_s),
        proxy_url=settings.proxy_url or None,
    )


def credentials_of(settings: Settings) -> Credentials:
    """Gives where and as whom a token is asked for."""
    return Credentials(settings.token_endpoint, settings.client_id, settings.client_secret, settings.scope)


def transport_options(settings: Settings) -> TransportOptions:
    """Gives how the settings say the outside is reached."""
    return TransportOptions(
        ca_bundle=str(settings.ca_bundle) if settings.ca_bundle else None,
        proxy_url=settings.proxy_url or None,
        proxy_auth=settings.proxy_auth,
        connections=settings.max_in_flight,
    )


def check_transport(settings: Settings) -> None:
    """Sees, before anything is opened, that certificates and proxy login can be used as set. Errors: SettingsError."""
    if not settings.testing_mode:
        make_session(transport_options(settings)).close()


def assemble(
    settings: Settings,
    session: requests.Session,
    endpoint: Endpoint,
    credentials: Credentials,
    gate: RateLimiter,
    hooks: Hooks,
) -> CscReceiver:
    """Gives the receiver over a session that is made already."""
    policy = RetryPolicy(settings.max_attempts, settings.retry_max_wait_s)
    tokens = TokenProvider(
        session,
        credentials,
        timeouts=endpoint.timeouts,
        policy=policy,
        gate=gate,
        clock=time.monotonic,
        proxy_url=endpoint.proxy_url,
        on_token=hooks.on_token,
    )
    return CscReceiver(session, endpoint, tokens, policy=policy, gate=gate, on_request=hooks.on_request)
