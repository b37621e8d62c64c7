"""Login to a proxy as the current user (Negotiate: Kerberos or NTLM), while a tunnel through it is opened.

An HTTPS request meets its proxy in a CONNECT, below the level at which requests has hooks; that is why a login object
of requests cannot do it. The package pyspnego speaks for the current user: on Windows by its security interface.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from typing import Any

import spnego

from api_pipeline.transport.connection import FinalResponse, PlainConnection, SecureConnection, SecurePool

_PROXY_WANTS_LOGIN = 407
_SCHEMES = ("Negotiate", "NTLM")
_MOST_LEGS = 5
_MOST_PAGE_BYTES = 64 * 1024


class _HungUp(Exception):
    """The proxy asked for a login and closed the connection; `scheme` is the form it expects."""

    def __init__(self, scheme: str) -> None:
        super().__init__(scheme)
        self.scheme = scheme


class _IntegratedTunnel:
    """What the connection classes below share; what it uses of them is theirs and that of `http.client`."""

    sock: Any
    host: str
    _tunnel_host: str | None
    _tunnel_port: int | None
    _scheme: str | None = None

    def connect(self) -> None:
        """Connect through the proxy; to one that hung up after asking for a login, a second time. Errors: OSError."""
        try:
            super().connect()  # type: ignore[misc] # that of the class beside this one
        except _HungUp as hung_up:
            self._scheme = hung_up.scheme
            super().connect()  # type: ignore[misc] # the same

    def _tunnel(self) -> None:
        """Open the tunnel, and log in as the current user where the proxy asks for it. Errors: OSError."""
        response = self._log_in(self._scheme) if self._scheme else self._ask(None)
        scheme = _offered(response)
        if response.status == _PROXY_WANTS_LOGIN and scheme and not self._scheme:
            if response.will_close:
                self.sock.close()
                raise _HungUp(scheme)
            response = self._log_in(scheme)
        if response.status != 200:
            self.sock.close()
            raise OSError(f"Tunnel connection failed: {response.status} {response.reason}")

    def _log_in(self, scheme: str) -> FinalResponse:
        try:
            login = spnego.client(hostname=self.host, service="HTTP", protocol=scheme.lower())
            token = login.step()
            response = self._ask(f"{scheme} {_encoded(token)}")
            for _ in range(_MOST_LEGS):
                challenge = _challenge(response, scheme)
                if response.status != _PROXY_WANTS_LOGIN or not challenge or response.will_close:
                    break
                token = _answered(login, challenge)
                if not token:
                    break
                response = self._ask(f"{scheme} {_encoded(token)}")
        except (spnego.exceptions.SpnegoError, spnego.exceptions.NoCredentialError, ValueError) as error:
            raise OSError(f"Tunnel connection failed: 407 (no login is available: {type(error).__name__})") from None
        return response

    def _ask(self, login: str | None) -> FinalResponse:
        host = f"[{self._tunnel_host}]" if ":" in (self._tunnel_host or "") else self._tunnel_host
        lines = [f"CONNECT {host}:{self._tunnel_port} HTTP/1.1", f"Host: {host}:{self._tunnel_port}"]
        if login:
            lines.append(f"Proxy-Authorization: {login}")
        self.sock.sendall("\r\n".join([*lines, "Proxy-Connection: Keep-Alive", "", ""]).encode("ascii"))
        response = FinalResponse(self.sock, method="CONNECT")
        response.begin()
        if response.status != 200:
            # What is longer is not a page of a proxy: closing the answer then shuts the connection.
            response.read(_MOST_PAGE_BYTES)
        response.close()
        return response


class IntegratedConnection(_IntegratedTunnel, SecureConnection):
    """A connection to a server behind a proxy that the current user logs in to."""


class IntegratedProbe(_IntegratedTunnel, PlainConnection):
    """The same without TLS to the server, for looking at the tunnel by itself."""


class IntegratedPool(SecurePool):
    """Connections to one server behind a proxy that the current user logs in to."""

    ConnectionCls = IntegratedConnection


def _offered(response: FinalResponse) -> str | None:
    """Return the first of our schemes that a proxy offers, None where it offers none."""
    return next((scheme for scheme in _SCHEMES if _challenge(response, scheme) is not None), None)


def _challenge(response: FinalResponse, scheme: str) -> str | None:
    """Return what a proxy sent along with a scheme ("" for nothing), None where it does not offer the scheme."""
    for header in response.headers.get_all("Proxy-Authenticate") or []:
        # More than one scheme may stand in one header (RFC 9110, 11.6.1); what ours send along has no comma.
        for one in header.split(","):
            name, _, rest = one.strip().partition(" ")
            if name.lower() == scheme.lower():
                return rest.strip()
    return None


def _answered(login: Any, challenge: str) -> bytes | None:
    """Return our answer to a challenge. Errors: ValueError where it is none, and those of `spnego`."""
    try:
        token: bytes | None = login.step(b64decode(challenge))
    except (struct.error, LookupError, OverflowError) as error:
        # pyspnego lets these through where a challenge is too short or has numbers that do not fit.
        raise ValueError(type(error).__name__) from None
    return token


def _encoded(token: bytes | None) -> str:
    return b64encode(token or b"").decode("ascii")
