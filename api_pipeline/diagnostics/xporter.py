"""The way to the School Data API before a school is asked: settings, DNS, TCP, proxy, TLS."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from api_pipeline.diagnostics.network_path import walk_to_all
from api_pipeline.diagnostics.steps import Report, StepFailed, StepWalk
from api_pipeline.transport.proxy import check_proxy
from api_pipeline.transport.session import TransportOptions


def check_way(options: TransportOptions, addresses: Sequence[tuple[str, str]], timeout_s: float) -> Report:
    """Walk to each server of `addresses`, which have what it is called here and its URL; stop at the first failure."""
    walk = StepWalk("check")
    with suppress(StepFailed):
        with walk.step("settings") as finding:
            for _, url in addresses:
                check_proxy(options.proxy_url, url)
            finding.detail = ", ".join(f"{label or 'data'} from {url}" for label, url in addresses)
        walk_to_all(walk, options, addresses, timeout_s)
    return walk.report()
