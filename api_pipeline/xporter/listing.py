"""Ask once which schools authorised the council."""

from __future__ import annotations

import time
from collections.abc import Callable

from api_pipeline.errors import ServiceUnavailable
from api_pipeline.settings.model import Settings
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.xporter.consent import Listed, read_list
from api_pipeline.xporter.opening import access_of, session_of
from api_pipeline.xporter.wire.access import Caller, Failed, WireObservers
from api_pipeline.xporter.wire.client import IdaasClient


def listed_schools(settings: Settings, on_token: Callable[[str], None]) -> dict[str, Listed] | None:
    """Return the list of schools, None without a management secret. Errors: ServiceUnavailable, SettingsError."""
    if not settings.xporter.management_secret:
        return None
    limiter = RateLimiter(1, 0.0, time.monotonic)
    with session_of(settings) as http:
        client = IdaasClient(
            Caller(
                *(http, access_of(settings), "", settings.xporter.management_secret, limiter, time.monotonic),
                WireObservers(on_token=on_token),
            )
        )
        try:
            return read_list(client.schools())
        except Failed as failure:
            raise ServiceUnavailable(f"The list of schools could not be read: {failure.text}.") from None
