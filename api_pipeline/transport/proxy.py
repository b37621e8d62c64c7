"""Which proxy a request goes through: that of PROXY_URL, else the system's.

A request to this machine goes through none, and a request over plain http is refused where it would go through one.
"""

from __future__ import annotations

import re
from base64 import b64encode
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy

from api_pipeline.errors import SettingsError
from api_pipeline.settings.safety import is_loopback_host

PROXY_LOGIN = (
    "put user and password into PROXY_URL, in front of the proxy's name as user:password@ (special signs as %XX), or, "
    "where the proxy takes Windows accounts, set PROXY_AUTH=integrated; the network team knows which."
)
"""What to do where a proxy requires a login, whichever request it answered so."""
# So http.client and `proxy_login` begin their error; what follows the status is the proxy's own text.
_REFUSED_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


class Refusal(Enum):
    """Why a proxy does not open a way to a server."""

    LOGIN = "login"
    FORBIDDEN = "forbidden"
    UNREACHED = "unreached"
    OTHER = "other"


class RefusedTunnel(NamedTuple):
    """Why a proxy opened no way to a server, and the HTTP status by which it said so."""

    why: Refusal
    status: int


def refused_tunnel(error: str) -> RefusedTunnel | None:
    """Return what a proxy answered in place of a way, from the text of the error; None where it answered nothing."""
    found = _REFUSED_TUNNEL.search(error)
    if found is None:
        return None
    status = int(found[1])
    known = {407: Refusal.LOGIN, 403: Refusal.FORBIDDEN}
    return RefusedTunnel(known.get(status, Refusal.UNREACHED if status >= 500 else Refusal.OTHER), status)


def proxy_for(proxy_url: str | None, url: str) -> str | None:
    """Return the URL (it may hold a password) of the proxy that a request to `url` goes through, None for none.

    A request to this machine is always direct, and so is one to a host that NO_PROXY names. For others PROXY_URL is
    used; without it the system's proxy is, with the exceptions of the system.
    """
    if is_loopback_host(urlsplit(url).hostname or "") or _is_exempt(url):
        return None
    proxy = select_proxy(url, get_environ_proxies(url)) if proxy_url is None else proxy_url
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def check_proxy(proxy_url: str | None, url: str) -> None:
    """Check that the proxy on the way to `url` can be used as it is written. Errors: SettingsError.

    The sentence quotes nothing of the proxy's URL: a sign in the wrong place may put a password anywhere in it.
    """
    proxy = proxy_for(proxy_url, url)
    if proxy is None:
        return
    origin = "PROXY_URL" if proxy_url and proxy == proxy_url else "HTTPS_PROXY (or ALL_PROXY, or the system's proxy)"
    problem = _problem(proxy)
    if problem:
        raise SettingsError(
            f"{origin}: expected the URL of a proxy such as http://proxy.example:8080, {problem}; correct it, or set "
            "PROXY_URL."
        )
    refuse_plain(proxy, url)


def refuse_plain(proxy: str | None, url: str) -> None:
    """Refuse a request that a proxy could read. Errors: SettingsError."""
    if proxy and urlsplit(url).scheme.lower() == "http":
        raise SettingsError(
            f"{urlsplit(url).hostname}: expected https:// for a request through a proxy, got plain http://; nothing "
            "was sent. Use an https:// address."
        )


def _problem(proxy: str) -> str:
    """Return what is wrong with a proxy's URL, "" for nothing."""
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit("http://x"), "", None
    if parts.scheme.lower().startswith("socks"):
        return "got a SOCKS proxy, which is not supported"
    if "#" in proxy or "?" in proxy:
        return "got a # or ? in it, which in a user or password is written %23 or %3F"
    if not host or any(sign.isspace() for sign in proxy) or port == 0:
        return "got one whose host or port cannot be read (signs such as @ : / in a password are written %40 %3A %2F)"
    if parts.scheme.lower() not in ("http", "https"):
        return "got one that begins with neither http:// nor https://"
    if parts.path not in ("", "/"):
        return "got one with a path, as of a PAC file; name the proxy itself"
    return ""


def proxy_headers(proxy: str) -> dict[str, str]:
    """Return the headers that log in to a proxy with the user and password of its URL, none where it has no user."""
    user, password = get_auth_from_url(proxy)
    if not user:
        return {}
    text = f"{user}:{password}"
    try:
        login = text.encode("latin-1")
    except UnicodeEncodeError:
        login = text.encode()
    return {"Proxy-Authorization": f"Basic {b64encode(login).decode('ascii')}"}


def _is_exempt(url: str) -> bool:
    """Return whether NO_PROXY names the URL's host: by name, ending, `*`, address or range, each also with a port.

    Only the environment variable counts: PROXY_URL overrides the system's proxy settings, their exceptions included.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    items = (item.strip().lower() for item in getproxies_environment().get("no", "").split(","))
    return any(item == "*" or _names(item.removesuffix(f":{port}"), host) for item in items if item)


def _names(item: str, host: str) -> bool:
    # Windows writes an ending as *.council.gov.uk, others as .council.gov.uk, and both mean the bare name too.
    name = item.removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}") or _is_in_range(host, item.strip("[]"))


def _is_in_range(host: str, text: str) -> bool:
    try:
        return ip_address(host) in ip_network(text, strict=False)
    except ValueError:
        return False
