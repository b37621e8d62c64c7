"""Reach a server: look its name up, connect, and open a tunnel through the proxy, all as a run does it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from api_pipeline.diagnostics.steps import StepFailed
from api_pipeline.errors import ServiceUnavailable
from api_pipeline.transport.connection import IN_FORCE, Deadline, PlainConnection
from api_pipeline.transport.proxy import PROXY_LOGIN, Refusal, RefusedTunnel, proxy_headers, refused_tunnel
from api_pipeline.transport.session import TransportOptions

NETWORK_TEAM = "the council's network team"


@dataclass(frozen=True, slots=True)
class Target:
    """A server to be reached: what it is called here, its URL, and the URL of the proxy on the way or None."""

    label: str
    url: str
    proxy: str | None

    @property
    def host(self) -> str:
        """Return the server's host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the server's port."""
        return _port(self.url)

    @property
    def is_tls(self) -> bool:
        """Return whether TLS is spoken to it."""
        return urlsplit(self.url).scheme == "https"

    @property
    def has_secured_proxy(self) -> bool:
        """Return whether TLS is spoken to the proxy, so that the server's own TLS would run inside it."""
        return self.proxy is not None and urlsplit(self.proxy).scheme == "https"

    @property
    def first(self) -> tuple[str, int]:
        """Host and port of whatever this machine itself connects to: the proxy, or the server."""
        return (urlsplit(self.proxy).hostname or "", _port(self.proxy)) if self.proxy else (self.host, self.port)

    @property
    def first_label(self) -> str:
        """Return what this machine connects to, in words."""
        host, port = self.first
        return f"{'the proxy ' if self.proxy else ''}{host}:{port}"


def failure(detail: str, advice: str) -> StepFailed:
    """Return the end of a step on the way: what happened, and what to do; exit code 5."""
    return StepFailed(detail, advice, ServiceUnavailable.exit_code)


def resolve(target: Target) -> str:
    """Return the addresses of what is connected to, in words. Errors: StepFailed."""
    host, port = target.first
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        setting = "PROXY_URL (or the system's proxy setting)" if target.proxy else "the endpoint's setting"
        raise failure(
            f"The name {host} was not found.",
            f"check its spelling in {setting}; if it is right, this server may not look up outside names: ask "
            f"{NETWORK_TEAM} about DNS, or whether a proxy must be used (PROXY_URL).",
        ) from None
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    return f"{host} is {', '.join(addresses[:4])}"


def connect(target: Target, timeout_s: float) -> socket.socket:
    """Return a connection to the proxy, or to the server where there is none. Errors: StepFailed."""
    try:
        return socket.create_connection(target.first, timeout=timeout_s)
    except ConnectionRefusedError:
        raise failure(
            f"The connection to {target.first_label} was refused.",
            f"nothing listens on that port, or a firewall turns it away: check the port, then ask {NETWORK_TEAM}.",
        ) from None
    except OSError as error:
        label = _capital(target.first_label)
        is_silent = isinstance(error, TimeoutError)
        raise failure(
            f"{label} did not answer within {timeout_s:g} s." if is_silent else f"{label} cannot be reached.",
            f"a firewall usually drops such connections: ask {NETWORK_TEAM} to let this server out to "
            f"{target.host}, port {target.port}, or to name the proxy to use (PROXY_URL).",
        ) from None


def open_tunnel(target: Target, proxy: str, options: TransportOptions, timeout_s: float) -> socket.socket:
    """Return a socket that leads through the proxy, opened and logged in to as a run does it. Errors: StepFailed."""
    connection = _tunnel_connection(target, options, timeout_s)
    connection.set_tunnel(target.host, target.port, headers=proxy_headers(proxy))
    in_force = IN_FORCE.set(Deadline(timeout_s, timeout_s))
    try:
        connection.connect()
    except TimeoutError:
        connection.close()
        raise failure(
            f"{_capital(target.first_label)} opened no way to {target.host} within {timeout_s:g} s.",
            f"check the endpoint's name; if it is right, ask {NETWORK_TEAM} whether the proxy can reach it.",
        ) from None
    except (OSError, ValueError) as error:
        connection.close()
        raise _proxy_failure(str(error), target, options) from None
    except Exception as error:  # urllib3 has exceptions of its own for a proxy that goes away
        connection.close()
        raise _proxy_failure(type(error).__name__, target, options) from None
    finally:
        IN_FORCE.reset(in_force)
    opened: socket.socket = connection.sock
    return opened


def _tunnel_connection(target: Target, options: TransportOptions, timeout_s: float) -> PlainConnection:
    host, port = target.first
    if options.proxy_auth == "integrated":
        from api_pipeline.transport.proxy_login import IntegratedProbe

        return IntegratedProbe(host, port, timeout=timeout_s)
    return PlainConnection(host, port, timeout=timeout_s)


def _proxy_failure(text: str, target: Target, options: TransportOptions) -> StepFailed:
    proxy = _capital(target.first_label)
    match refused_tunnel(text):
        case RefusedTunnel(Refusal.LOGIN):
            return failure(
                f"{proxy} requires a login (HTTP 407) and {_login_given(target, options)}.", _login_advice(options)
            )
        case RefusedTunnel(Refusal.FORBIDDEN):
            return failure(
                f"{proxy} forbids the way to {target.host} (HTTP 403).",
                f"ask {NETWORK_TEAM} to allow {target.host}, port {target.port}, for this server and account.",
            )
        case RefusedTunnel(Refusal.UNREACHED, status):
            return failure(
                f"{proxy} could not reach {target.host} itself (HTTP {status}).",
                f"check the endpoint's name and port; if they are right, ask {NETWORK_TEAM}.",
            )
        case _:
            return failure(
                f"{proxy} did not open a way to {target.host}.",
                f"check that it is a proxy and its port (PROXY_URL, or the system's setting); then ask {NETWORK_TEAM}.",
            )


def _login_given(target: Target, options: TransportOptions) -> str:
    if options.proxy_auth == "integrated":
        return "did not accept the account that runs this program"
    return "did not accept the one in its URL" if proxy_headers(target.proxy or "") else "none was given"


def _login_advice(options: TransportOptions) -> str:
    if options.proxy_auth == "integrated":
        return f"ask {NETWORK_TEAM} whether this account may use the proxy, and which logins the proxy takes."
    return PROXY_LOGIN


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _capital(label: str) -> str:
    # A host name keeps its own spelling.
    return f"T{label[1:]}" if label.startswith("the ") else label
