"""The HTTP session of every request: it checks certificates, uses the proxy, and follows no redirect."""

from __future__ import annotations

import ssl
import sys
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from api_pipeline._version import __version__
from api_pipeline.errors import SettingsError
from api_pipeline.transport.connection import POOLS
from api_pipeline.transport.proxy import proxy_for, proxy_headers, refuse_plain


class TransportOptions(NamedTuple):
    """How to reach the outside: PEM file or None for the system's trust store, proxy URL or None for the system's.

    `connections` is how many are kept alive; `proxy_auth` is "basic" or "integrated" (as the current user).
    """

    ca_bundle: str | None = None
    proxy_url: str | None = None
    proxy_auth: str = "basic"
    connections: int = 1


class DirectSession(requests.Session):
    """A session that follows no redirect and keeps no cookie; how it reaches a server is decided once for each server.

    It sends no login of a .netrc file. `proxy_url` is that of PROXY_URL, None for the system's.
    """

    def __init__(self, proxy_url: str | None = None) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.trust_env = False
        self._proxy_url = proxy_url
        self._proxies: dict[tuple[str, str], dict[str, str]] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return how the server of a URL is reached, whatever one call says. Errors: SettingsError."""
        return {"proxies": self.proxies_to(url), "stream": True, "verify": True, "cert": None}

    def proxies_to(self, url: str) -> dict[str, str]:
        """Return the proxies on the way to a server; the first call finds them out. Errors: SettingsError."""
        parts = urlsplit(url)
        server = (parts.scheme, parts.netloc)
        if server not in self._proxies:
            proxy = proxy_for(self._proxy_url, url)
            refuse_plain(proxy, url)
            self._proxies[server] = {} if proxy is None else {parts.scheme: proxy}
        return self._proxies[server]

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target. To look for one, requests would first read the whole body, however large."""


class _TrustingAdapter(HTTPAdapter):
    """Check certificates with one given context, whatever a call or REQUESTS_CA_BUNDLE says."""

    def __init__(self, context: ssl.SSLContext, connections: int, *, is_integrated: bool) -> None:
        self._context = context
        self._is_integrated = is_integrated
        super().__init__(pool_connections=4, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **keywords)
        self.poolmanager.pool_classes_by_scheme = dict(POOLS)

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        manager = super().proxy_manager_for(
            proxy, ssl_context=self._context, proxy_ssl_context=self._context, **keywords
        )
        manager.pool_classes_by_scheme = dict(POOLS)
        if self._is_integrated:
            from api_pipeline.transport.proxy_login import IntegratedPool

            manager.pool_classes_by_scheme["https"] = IntegratedPool
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return proxy_headers(proxy)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def make_session(options: TransportOptions) -> DirectSession:
    """Return a session that verifies certificates and obeys the proxy settings. Errors: SettingsError."""
    is_integrated = options.proxy_auth == "integrated"
    if is_integrated:
        _require_integrated_login()
    session = DirectSession(options.proxy_url)
    adapter = _TrustingAdapter(tls_context(options.ca_bundle), options.connections, is_integrated=is_integrated)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a TLS 1.2+ context that trusts `ca_bundle` (a PEM file), else what the operating system trusts.

    Errors: SettingsError where the file holds no certificates.
    """
    if ca_bundle is None:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Councils are often handed the issuing authority alone, without the root above it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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


def trusted_by_environment() -> str | None:
    """Return the file or folder of SSL_CERT_FILE or SSL_CERT_DIR, which then replaces the system's trust store.

    Return None where neither is set, and on Windows and macOS, which have trust stores of their own.
    """
    if sys.platform in ("win32", "darwin"):
        return None
    paths = ssl.get_default_verify_paths()
    if paths.cafile and paths.cafile != paths.openssl_cafile:
        return paths.cafile
    return paths.capath if paths.capath != paths.openssl_capath else None


def _require_integrated_login() -> None:
    try:
        import spnego  # noqa: F401 - only whether it is there is asked
    except ImportError:
        raise SettingsError(
            "PROXY_AUTH is integrated, but the package that logs in to a proxy as the current user is not part of "
            f'this installation; add it with: pip install "csc_api_pipeline-{__version__}-py3-none-any.whl[ntlm]", or '
            "put user and password into PROXY_URL and set PROXY_AUTH=basic."
        ) from None
