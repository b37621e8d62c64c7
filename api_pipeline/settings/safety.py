"""The interlocks of contract 2: what must never be sent where, as functions that answer sentences."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

TEST_MARK = "-test"
ANONYMISED_ENDING = "_anon"


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine: localhost, 127.0.0.0/8 or ::1, and no other spelling of it."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")


def is_test_endpoint(url: str) -> bool:
    """Whether the URL is that of a test endpoint."""
    return TEST_MARK in url.lower()


def is_anonymised(table_name: str) -> bool:
    """Whether the table's own name, without schema and brackets, ends in _anon in any case of letters."""
    return table_name.rpartition(".")[2].strip("[]").lower().endswith(ANONYMISED_ENDING)


def endpoint_faults(name: str, url: str) -> list[str]:
    """A sentence where `url`, the value of setting `name`, is plain http to anything but this machine."""
    if url and urlsplit(url).scheme == "http" and not is_loopback(url):
        host = urlsplit(url).hostname
        return [f"{name} is plain http:// to {host}; wanted is https:// for anything but this machine."]
    return []


def table_faults(table_name: str, api_endpoint: str, *, allow_live_data_to_test: bool) -> list[str]:
    """A sentence where a live run would send the wrong table to the receiver."""
    if not api_endpoint:
        return []
    to_test = is_test_endpoint(api_endpoint)
    host = urlsplit(api_endpoint).hostname
    if is_anonymised(table_name) and not to_test and not is_loopback(api_endpoint):
        return [
            f"TABLE_NAME {table_name} holds anonymised rows, which a live run must not send to {host}; wanted is the "
            f"live table, or an API_ENDPOINT that contains {TEST_MARK}."
        ]
    if not is_anonymised(table_name) and to_test and not allow_live_data_to_test:
        return [
            f"TABLE_NAME {table_name} is not an {ANONYMISED_ENDING} table, and API_ENDPOINT is a test endpoint; wanted "
            f"is a table that ends in {ANONYMISED_ENDING}, or ALLOW_LIVE_DATA_TO_TEST=true where its rows are invented."
        ]
    return []
