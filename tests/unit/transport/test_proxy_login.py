"""Login to a proxy: which form of it the proxy offers."""

from __future__ import annotations

import socket
import struct
from base64 import b64encode
from pathlib import Path

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


BEGUN = b"NTLMSSP\0" + struct.pack("<I", 2)


@pytest.mark.parametrize("challenge", [b"", BEGUN[:9], BEGUN, BEGUN + b"\0" * 12])
def test_challenge_that_is_none_is_said_so(challenge: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spnego = pytest.importorskip("spnego")
    account = tmp_path / "account"
    account.write_text("COUNCIL:svc-csc-api:a-password\n", encoding="ascii")
    monkeypatch.setenv("NTLM_USER_FILE", str(account))
    login = spnego.client(hostname="127.0.0.1", service="HTTP", protocol="ntlm")
    login.step()
    with pytest.raises((ValueError, spnego.exceptions.SpnegoError)):
        proxy_login._answered(login, b64encode(challenge).decode())
