"""The safety checks of contract 2: what must never be sent where. Each returns the sentences of its errors."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from api_pipeline.sql.identifiers import ANONYMISED_ENDING, is_anonymised, is_control_table

TEST_MARK = "-test"
_PATH = ("children_social_care_data", "{la_code}", "children")
_USUAL_PORTS = {"https": 443, "http": 80}


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is this machine (see `is_loopback_host`)."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Return whether a host is this machine: localhost, 127.0.0.0/8 or ::1, and no other spelling."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")


def plain_address(url: str) -> str:
    """Return a URL as the key of a receiver: its host in lower case, without the port that its scheme has anyway."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if ":" in host:
        host = f"[{host}]"
    is_usual = port in (None, _USUAL_PORTS.get(parts.scheme))
    return parts._replace(netloc=host if is_usual else f"{host}:{port}").geturl()


def children_url(api_endpoint: str, la_code: str) -> str:
    """Return where records are POSTed: the base URL with the receiver's path, of which any part may be there already.

    "" where there is no endpoint. An endpoint with another path than the receiver's is refused by `path_errors`.
    """
    base = api_endpoint.rstrip("/")
    if not base:
        return ""
    path = [part.format(la_code=la_code) for part in _PATH]
    segments = base.split("/")
    there = next((count for count in (3, 2, 1) if segments[-count:] == path[:count]), 0)
    return "/".join([base, *path[there:]])


def path_errors(api_endpoint: str, la_code: str) -> list[str]:
    """Return a sentence when API_ENDPOINT names another authority, or has the receiver's path and more behind it."""
    segments = urlsplit(api_endpoint).path.rstrip("/").split("/")
    places = [place for place, part in enumerate(segments) if part.lower() == _PATH[0]]
    if not places or not la_code:
        return []
    rest = segments[places[0] :]
    if len(rest) > 1 and re.fullmatch("[0-9]{3}", rest[1]) and rest[1] != la_code:
        return [f"LA_CODE is {la_code}, but API_ENDPOINT names {rest[1]}; write the same code in both."]
    path = [part.format(la_code=la_code) for part in _PATH]
    if rest != path[: len(rest)]:
        return [
            f"API_ENDPOINT: expected the receiver's base URL, with nothing or /{'/'.join(path)} behind it, got one "
            f"that ends in /{'/'.join(rest)}."
        ]
    return []


def is_test_endpoint(url: str) -> bool:
    """Return whether the URL is that of a test endpoint."""
    return TEST_MARK in url.lower()


def endpoint_errors(name: str, url: str) -> list[str]:
    """Return a sentence when `url`, the value of setting `name`, is plain http to anything but this machine."""
    if url and urlsplit(url).scheme == "http" and not is_loopback(url):
        host = urlsplit(url).hostname
        return [f"{name}: expected https:// for anything but this machine, got plain http:// to {host}."]
    return []


def control_table_errors(table_name: str) -> list[str]:
    """Return a sentence when TABLE_NAME is one of the program's own tables beside the staging table."""
    if not is_control_table(table_name):
        return []
    return [
        f"TABLE_NAME: expected the staging table, got {table_name}, one of the control tables beside it, in which the "
        "program keeps its own records; name the table of the payloads."
    ]


def table_errors(table_name: str, api_endpoint: str, *, allow_live_data_to_test: bool) -> list[str]:
    """Return a sentence when a live run would send the wrong table to the receiver."""
    if not api_endpoint:
        return []
    to_test = is_test_endpoint(api_endpoint)
    host = urlsplit(api_endpoint).hostname
    if is_anonymised(table_name) and not to_test and not is_loopback(api_endpoint):
        return [
            f"TABLE_NAME: expected the live table, got {table_name}, whose anonymised rows must not be sent to {host}; "
            f"name the live table, or an API_ENDPOINT that contains {TEST_MARK}."
        ]
    if not is_anonymised(table_name) and to_test and not allow_live_data_to_test:
        return [
            f"TABLE_NAME: expected a table that ends in {ANONYMISED_ENDING}, because API_ENDPOINT is a test endpoint, "
            f"got {table_name}; set ALLOW_LIVE_DATA_TO_TEST=true if its rows are invented."
        ]
    return []
