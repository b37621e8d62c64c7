"""Try the way to a server step by step: DNS, TCP, proxy, TLS. Nothing is sent but the request for a tunnel."""

from __future__ import annotations

from collections.abc import Sequence

from api_pipeline.diagnostics.route import Target, connect, open_tunnel, resolve
from api_pipeline.diagnostics.steps import Status, StepWalk
from api_pipeline.diagnostics.tls import shake_hands
from api_pipeline.sql.connection_string import redacted_url
from api_pipeline.transport.proxy import proxy_for
from api_pipeline.transport.session import TransportOptions


def walk_to_all(
    walk: StepWalk,
    options: TransportOptions,
    addresses: Sequence[tuple[str, str]],
    timeout_s: float,
) -> None:
    """Try the way to each server once; `addresses` pairs a server's name here with its URL. Errors: StepFailed."""
    seen: set[tuple[str, int]] = set()
    for label, url in addresses:
        target = Target(label, url, proxy_for(options.proxy_url, url))
        if (target.host, target.port) not in seen:
            _walk_to(walk, target, options, timeout_s)
        seen.add((target.host, target.port))


def _walk_to(walk: StepWalk, target: Target, options: TransportOptions, timeout_s: float) -> None:
    """Try the way to one server. Errors: StepFailed."""
    with walk.step(_named("DNS", target)) as finding:
        finding.detail = resolve(target)
    with walk.step(_named("TCP", target)) as finding:
        socket_ = connect(target, timeout_s)
        finding.detail = f"connected to {target.first_label}"
    try:
        if target.has_secured_proxy:
            said = "TLS to the proxy itself: the token step goes through it"
            walk.add(_named("proxy", target), Status.SKIPPED, said)
            walk.add(_named("TLS", target), Status.SKIPPED, said)
            return
        if target.proxy is None:
            walk.add(_named("proxy", target), Status.SKIPPED, f"none is used for {target.host}")
        else:
            with walk.step(_named("proxy", target)) as finding:
                socket_.close()
                socket_ = open_tunnel(target, target.proxy, options, timeout_s)
                finding.detail = f"{redacted_url(target.proxy)} opens the way to {target.host}:{target.port}"
        if not target.is_tls:
            walk.add(_named("TLS", target), Status.SKIPPED, f"plain http to this machine ({target.host})")
            return
        with walk.step(_named("TLS", target)) as finding:
            shake_hands(socket_, target, options, timeout_s, finding)
    finally:
        socket_.close()


def _named(step: str, target: Target) -> str:
    return f"{step} ({target.label})" if target.label else step
