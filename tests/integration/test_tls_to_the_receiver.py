"""`test-endpoint` and TLS: certificates, authorities, and handshakes that fail."""

from __future__ import annotations

import ssl
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from api_pipeline.diagnostics import tls
from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.diagnosing import NETWORK_TEAM, walk
from tests.support.tls import Authority, authority, context_of_old, raw_server, secured_server, silent_server


def test_council_authority_works_through_ca_bundle(council: Authority, tmp_path: Path) -> None:
    with secured_server(council.issue()) as server:
        found = walk(server, tmp_path, CA_BUNDLE=council.pem)

    assert found.code == 0
    tls = found.steps["TLS"]
    assert tls["status"] == "remark"
    assert tls["detail"].startswith("TLSv1.3; certificate of CN=127.0.0.1, O=Invented Receiver, OU=Serving; ")
    assert "issued by O=Invented Borough Council, OU=Issuing; valid until 3000-01-01 00:00 UTC" in tls["detail"]
    assert "or an authority of the council's own" in tls["detail"]
    assert "whether 127.0.0.1 should be exempt from inspection" in tls["advice"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="trust stores of these systems belong to the machine")
def test_council_authority_works_through_the_system_trust_store(council: Authority, tmp_path: Path) -> None:
    with secured_server(council.issue()) as server:
        found = walk(server, tmp_path, SSL_CERT_FILE=council.pem)
    assert found.code == 0
    assert f"from SSL_CERT_FILE or SSL_CERT_DIR of the environment: {council.pem}" in found.steps["settings"]["detail"]


def test_public_certificate_gets_no_remark(tmp_path: Path) -> None:
    public = authority(tmp_path, "Let's Encrypt")
    with secured_server(public.issue()) as server:
        found = walk(server, tmp_path, CA_BUNDLE=public.pem)

    assert found.code == 0
    assert found.steps["TLS"]["status"] == "ok"


def test_certificate_that_expires_soon_gets_a_remark(tmp_path: Path) -> None:
    public = authority(tmp_path, "DigiCert Inc")
    soon = datetime.now(timezone.utc) + timedelta(days=10, hours=1)
    with secured_server(public.issue(not_after=soon)) as server:
        found = walk(server, tmp_path, CA_BUNDLE=public.pem)

    assert found.code == 0
    assert found.steps["TLS"]["status"] == "remark"
    assert found.steps["TLS"]["advice"].startswith("the certificate expires in 10 days")


def test_certificate_that_is_not_trusted(council: Authority, tmp_path: Path) -> None:
    with secured_server(council.issue()) as server:
        found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence.startswith(
        "The certificate of 127.0.0.1 is not trusted: this machine does not trust the authority that issued it. "
        "It shows a certificate of CN=127.0.0.1, O=Invented Receiver"
    )
    assert "issued by O=Invented Borough Council" in found.sentence
    assert "not a public certificate authority known by name" in found.sentence
    assert "name its PEM file in CA_BUNDLE. The check cannot be switched off." in found.advice


def test_bundle_without_the_right_authority_is_named(council: Authority, tmp_path: Path) -> None:
    other = authority(tmp_path, "Another Council")
    with secured_server(council.issue()) as server:
        found = walk(server, tmp_path, CA_BUNDLE=other.pem)

    assert found.failed == "TLS"
    assert f"CA_BUNDLE ({other.pem}) does not hold the authority that issued it" in found.sentence


def test_bundle_without_certificates_is_a_settings_error(server: SimulatorServer, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate\n", encoding="ascii")
    found = walk(server, tmp_path, CA_BUNDLE=tmp_path / "empty.pem")

    assert (found.code, found.failed) == (2, "settings")
    assert "CA_BUNDLE" in found.sentence


@pytest.mark.parametrize("issuer", ["Zscaler Inc.", "Smoothwall Ltd", "Fortinet", "Sophos Ltd"])
def test_certificate_of_an_inspecting_proxy_is_recognised(issuer: str, tmp_path: Path) -> None:
    proxy = authority(tmp_path, issuer)
    with secured_server(proxy.issue()) as server:
        refused = walk(server, tmp_path)
        trusted = walk(server, tmp_path, CA_BUNDLE=proxy.pem)

    said = "The issuer is a TLS-inspecting proxy: it opens the connection on the way."
    assert (refused.code, refused.failed) == (5, "TLS")
    assert said in refused.sentence
    assert f"ask {NETWORK_TEAM} to exempt 127.0.0.1 from TLS inspection" in refused.advice
    assert trusted.code == 0
    assert said in trusted.steps["TLS"]["detail"]


def test_certificate_that_has_expired(council: Authority, tmp_path: Path) -> None:
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    with secured_server(council.issue(not_after=yesterday)) as server:
        found = walk(server, tmp_path, CA_BUNDLE=council.pem)

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence.startswith("The certificate of 127.0.0.1 has expired. It shows a certificate of")
    assert f"valid until {yesterday:%Y-%m-%d}" in found.sentence
    assert "check this machine's clock" in found.advice


def test_certificate_that_is_valid_from_tomorrow_is_refused(council: Authority, tmp_path: Path) -> None:
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    with secured_server(council.issue(not_before=tomorrow)) as server:
        found = walk(server, tmp_path, CA_BUNDLE=council.pem)

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence.startswith("The certificate of 127.0.0.1 is not valid yet.")
    assert "check this machine's clock" in found.advice


class TrustStoreOfWindows:
    """The answer of Windows to a certificate: a number, and a sentence of the system, here in another language."""

    def __init__(self, code: int) -> None:
        self._code = code

    def wrap_socket(self, *_: object, **__: object) -> ssl.SSLSocket:
        error = ssl.SSLCertVerificationError("Nid yw'r dystysgrif yn ddilys.")
        error.verify_code, error.verify_message = self._code, str(error)
        raise error


@pytest.mark.parametrize(
    ("code", "days", "said"),
    [
        (0x800B0101, -1, "The certificate of 127.0.0.1 has expired."),
        (0x800B0101, 1, "The certificate of 127.0.0.1 is not valid yet."),
        (0x800B010F, 1, "The certificate is for another name than 127.0.0.1."),
        (0x800B0109, 1, "The certificate of 127.0.0.1 is not trusted: this machine does not trust the authority"),
    ],
)
def test_answer_of_the_trust_store_of_windows_is_known_by_its_number(
    council: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, days: int, said: str
) -> None:
    monkeypatch.setattr(tls, "tls_context", lambda _: TrustStoreOfWindows(code))
    with secured_server(council.issue(not_after=datetime.now(timezone.utc) + timedelta(days=days))) as server:
        found = walk(server, tmp_path)
    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence.startswith(said)


def test_certificate_for_another_name_is_refused(council: Authority, tmp_path: Path) -> None:
    with secured_server(council.issue("elsewhere.example")) as server:
        found = walk(server, tmp_path, CA_BUNDLE=council.pem)

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence.startswith("The certificate is for another name than 127.0.0.1. It shows a certificate of")
    assert "check the endpoint's host name" in found.advice


def test_tls_older_than_1_2_is_refused(server: SimulatorServer, council: Authority, tmp_path: Path) -> None:
    with raw_server(tls=context_of_old(council.issue())) as port:
        found = walk(server, tmp_path, CA_BUNDLE=council.pem, API_ENDPOINT=f"https://127.0.0.1:{port}/1")

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence == "127.0.0.1 offers no TLS of version 1.2 or later."
    assert "older versions are never used" in found.advice


def test_what_does_not_speak_tls_at_all(server: SimulatorServer, tmp_path: Path) -> None:
    with raw_server(greeting=b"220 mail.example ESMTP\r\n") as port:
        found = walk(server, tmp_path, API_ENDPOINT=f"https://127.0.0.1:{port}/1")

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence == f"What answers at 127.0.0.1:{port} does not speak TLS."


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x03\x00\x7a\x02\x00"], ids=["at once", "within the first message"])
def test_connection_cut_in_the_middle_of_the_handshake(server: SimulatorServer, tmp_path: Path, begun: bytes) -> None:
    with raw_server(greeting=begun) as port:
        found = walk(server, tmp_path, API_ENDPOINT=f"https://127.0.0.1:{port}/1")

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence == "127.0.0.1 closed the connection in the middle of the TLS handshake."
    assert NETWORK_TEAM in found.advice


def test_server_that_never_answers_the_handshake(server: SimulatorServer, tmp_path: Path) -> None:
    with silent_server() as port:
        found = walk(server, tmp_path, API_ENDPOINT=f"https://127.0.0.1:{port}/1", CONNECT_TIMEOUT_S="0.3")

    assert (found.code, found.failed) == (5, "TLS")
    assert found.sentence == "127.0.0.1 did not answer the TLS handshake within 0.3 s."


def test_tls_variables_of_other_tools_are_ignored(council: Authority, tmp_path: Path) -> None:
    other = authority(tmp_path, "Another Council")
    with secured_server(council.issue()) as server:
        bundle = {"REQUESTS_CA_BUNDLE": str(council.pem), "CURL_CA_BUNDLE": str(council.pem)}
        found = walk(server, tmp_path, CA_BUNDLE=other.pem, **bundle)

    assert found.failed == "TLS"
