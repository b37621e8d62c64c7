"""Login to a proxy: which form of it the proxy offers."""

from __future__ import annotations

import socket

import pytest

from api_pipeline.transport.connection import FinalResponse

proxy_login = pytest.importorskip("api_pipeline.transport.proxy_login", reason="the extra ntlm is not installed")


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        (["Negotiate", "NTLM"], "Negotiate"),
        (['Basic realm="a, b"', "ntlm TlRMTVNTUAAC"], "NTLM"),
        (["Negotiate, NTLM"], "Negotiate"),
        (['Basic realm="council, main site",NTLM'], "NTLM"),
        (['Basic realm="NTLM"'], None),
        ([], None),
    ],
)
def test_form_is_found_in_one_header_or_in_more_than_one(offers: list[str], expected: str | None) -> None:
    lines = "".join(f"Proxy-Authenticate: {one}\r\n" for one in offers)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(f"HTTP/1.1 407 Login\r\n{lines}Content-Length: 0\r\n\r\n".encode())
        response = FinalResponse(ours, method="CONNECT")
        response.begin()
        assert proxy_login._offered(response) == expected
        response.close()
