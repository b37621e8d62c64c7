"""The HTTP session that every request of ours goes through: trust, proxy, no redirects, no stray credentials."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import should_bypass_proxies
from urllib3.util.ssl_ import create_urllib3_context

from api_pipeline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How to reach the outside: PEM file or None for the system's trust store, proxy URL or None for the system's.

    `connections` is how many are kept alive; `proxy_auth` is "basic" or "integrated" (Windows).
    """

    ca_bundle: str | None = None
    proxy_url: str | None = None
    proxy_auth: str = "basic"
    connections: int = 1


class BearerAuth(AuthBase):
    """Sets the headers of one request; being an explicit login, it keeps requests from using a .netrc file."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Puts the headers into the request."""
        request.headers.update(self._headers)
        return request


class _TrustingAdapter(HTTPAdapter):
    """Checks certificates with one given context instead of the bundle that requests carries with it."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=4, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **keywords)

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **keywords)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def make_session(options: TransportOptions) -> requests.Session:
    """Gives a session that verifies certificates and obeys the proxy settings. Errors: SettingsError."""
    session = requests.Session()
    adapter = _TrustingAdapter(tls_context(options.ca_bundle), options.connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if options.proxy_auth == "integrated":
        _use_integrated_proxy_login(session)
    return session


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Gives a TLS 1.2+ context that trusts `ca_bundle` (a PEM file), else what the operating system trusts."""
    if ca_bundle is None:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = create_urllib3_context()
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except (OSError, ssl.SSLError):
            raise SettingsError(
                f"CA_BUNDLE names {ca_bundle}, which cannot be read as certificates; give the path of a PEM file."
            ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context


def proxies_for(proxy_url: str | None, url: str) -> dict[str, str]:
    """Gives the proxies for one request to `url`.

    PROXY_URL is used unless NO_PROXY names the host; without it the system's proxy is, except towards this machine.
    """
    host = urlsplit(url).hostname or ""
    if proxy_url is None:
        return {"http": "", "https": ""} if is_loopback(host) else {}
    if should_bypass_proxies(url, no_proxy=None):
        return {"http": "", "https": ""}
    return {"http": proxy_url, "https": proxy_url}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _use_integrated_proxy_login(session: requests.Session) -> None:
    try:
        from requests_negotiate_sspi import HttpNegotiateAuth
    except ImportError:
        raise SettingsError(
            "PROXY_AUTH is integrated, but the optional package for it is not installed (it exists for Windows only); "
            'install it with: pip install "csc-api-pipeline[ntlm]"'
        ) from None
    session.auth = HttpNegotiateAuth()
