"""Login to a proxy as the current user (Negotiate: Kerberos or NTLM), while a tunnel through it is opened.

An HTTPS request meets its proxy in a CONNECT, below the level at which requests has hooks; that is why a login object
of requests cannot do it. The package pyspnego speaks for the current user: on Windows by its security interface.
"""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from http.client import HTTPResponse
from typing import Any, cast

import spnego
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

_PROXY_WANTS_LOGIN = 407
_SCHEMES = (("negotiate", "negotiate"), ("ntlm", "ntlm"))
_MOST_LEGS = 5


class _IntegratedTunnel:
    """What the connection classes below share; what it uses of them is theirs and that of `http.client`."""

    sock: Any
    host: str
    _tunnel_host: str | None
    _tunnel_port: int | None

    def _tunnel(self) -> None:
        """Opens the tunnel; a proxy that asks is told who the current user is. Errors: OSError."""
        response = self._ask(None)
        if response.status == _PROXY_WANTS_LOGIN:
            response = self._log_in(response)
        if response.status != 200:
            self.sock.close()
            raise OSError(f"Tunnel connection failed: {response.status} {response.reason}")

    def _log_in(self, refusal: HTTPResponse) -> HTTPResponse:
        found = next(((name, kind) for name, kind in _SCHEMES if _challenge(refusal, name) is not None), None)
        if found is None:
            return refusal
        name, protocol = found
        self._go_on_after(refusal)
        response = refusal
        try:
            login = spnego.client(hostname=self.host, service="HTTP", protocol=protocol)
            token = login.step()
            for _ in range(_MOST_LEGS):
                if not token:
                    break
                response = self._ask(f"{name.capitalize() if name != 'ntlm' else 'NTLM'} {_encoded(token)}")
                challenge = _challenge(response, name)
                if response.status != _PROXY_WANTS_LOGIN or not challenge or response.will_close:
                    break
                token = login.step(b64decode(challenge))
        except (spnego.exceptions.SpnegoError, spnego.exceptions.NoCredentialError, ValueError) as error:
            raise OSError(f"Tunnel connection failed: 407 (no login to be had: {type(error).__name__})") from None
        return response

    def _ask(self, login: str | None) -> HTTPResponse:
        host = f"[{self._tunnel_host}]" if ":" in (self._tunnel_host or "") else self._tunnel_host
        lines = [f"CONNECT {host}:{self._tunnel_port} HTTP/1.1", f"Host: {host}:{self._tunnel_port}"]
        if login:
            lines.append(f"Proxy-Authorization: {login}")
        self.sock.sendall("\r\n".join([*lines, "Proxy-Connection: Keep-Alive", "", ""]).encode("ascii"))
        response = HTTPResponse(self.sock, method="CONNECT")
        response.begin()
        if response.status != 200:
            response.read()
        response.close()
        return response

    def _go_on_after(self, refusal: HTTPResponse) -> None:
        """Opens a new connection to the proxy where it closed the one on which it asked for a login."""
        if not refusal.will_close:
            return
        if isinstance(self.sock, ssl.SSLSocket):
            raise OSError("Tunnel connection failed: 407 (the proxy closed the connection)")
        self.sock.close()
        self.sock = cast(HTTPConnection, self)._new_conn()


class IntegratedConnection(_IntegratedTunnel, HTTPSConnection):
    """A connection to a server behind a proxy that the current user logs in to."""


class IntegratedProbe(_IntegratedTunnel, HTTPConnection):
    """The same without TLS to the server, for looking at the tunnel by itself."""


class IntegratedPool(HTTPSConnectionPool):
    """Connections to one server behind a proxy that the current user logs in to."""

    ConnectionCls = IntegratedConnection


def _challenge(response: HTTPResponse, scheme: str) -> str | None:
    """Gives what a proxy sent along with a scheme ("" for nothing), None where it does not offer the scheme."""
    for header in response.headers.get_all("Proxy-Authenticate") or []:
        name, _, rest = header.strip().partition(" ")
        if name.lower() == scheme:
            return rest.strip()
    return None


def _encoded(token: bytes) -> str:
    return b64encode(token).decode("ascii")
