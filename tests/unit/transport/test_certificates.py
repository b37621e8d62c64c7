"""Certificates read from their bytes; held against the `cryptography` package's reading of the same."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from api_pipeline.transport.certificates import Certificate, read_certificate

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=timezone.utc)
COUNCIL = [(NameOID.COUNTRY_NAME, "GB"), (NameOID.ORGANIZATION_NAME, "Invented Council"), (NameOID.COMMON_NAME, "Root")]


def name(parts: list[tuple[x509.ObjectIdentifier, str]], kind: _ASN1Type | None = None) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(oid, text, kind if oid != NameOID.COUNTRY_NAME else None) for oid, text in parts]
    )


def der(issuer: x509.Name, subject: x509.Name, expires: datetime = NOW) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().issuer_name(issuer).subject_name(subject).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW - timedelta(days=9000)).not_valid_after(expires)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def issued_by(organisation: str) -> Certificate:
    return Certificate("CN=receiver.example", f"CN=Issuing 1, O={organisation}", NOW)


@pytest.mark.parametrize("kind", [None, _ASN1Type.BMPString, _ASN1Type.PrintableString, _ASN1Type.T61String])
def test_subject_issuer_and_expiry_are_read(kind: _ASN1Type | None) -> None:
    read = read_certificate(der(name(COUNCIL, kind), name([(NameOID.COMMON_NAME, "receiver.example")], kind)))

    assert read == Certificate("CN=receiver.example", "CN=Root, O=Invented Council", NOW)


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2999])
def test_expiry_is_read_in_both_of_its_forms(year: int) -> None:
    expires = NOW.replace(year=year)

    assert read_certificate(der(name(COUNCIL), name(COUNCIL), expires)).expires == expires


def test_certificate_is_read_as_others_read_it() -> None:
    issued = trustme.CA(organization_name="Ca\N{LATIN SMALL LETTER F WITH HOOK}e").issue_cert("receiver.example")
    bytes_ = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    read = read_certificate(bytes_.public_bytes(serialization.Encoding.DER))

    assert read.expires == bytes_.not_valid_after_utc
    organisation = str(bytes_.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
    assert f"O={organisation}" in read.issuer


def test_empty_certificate_name_is_reported_as_none() -> None:
    read = read_certificate(der(x509.Name([]), x509.Name([])))

    assert (read.subject, read.issuer) == ("no name", "no name")


def test_control_characters_are_removed() -> None:
    read = read_certificate(der(name([(NameOID.COMMON_NAME, "a\x1b[2Jb\nc")]), name(COUNCIL)))

    assert read.issuer == "CN=a?[2Jb?c"


@pytest.mark.parametrize("length", [0, 1, 5, 40, 200])
def test_bytes_that_are_no_certificate_are_refused(length: int) -> None:
    whole = der(name(COUNCIL), name(COUNCIL))
    for damaged in (whole[:length], b"\x00" * length, b"HTTP/1.1 400 Bad Request"):
        with pytest.raises(ValueError, match="not a certificate"):
            read_certificate(damaged)


@pytest.mark.parametrize(
    "organisation",
    [
        "Zscaler Inc.",
        "Fortinet",
        "Sophos Ltd",
        "Smoothwall Ltd",
        "Palo Alto Networks",
        "Netskope Inc",
        "Cisco Umbrella",
    ],
)
def test_makers_of_inspecting_proxies_are_known(organisation: str) -> None:
    certificate = issued_by(organisation)

    assert (certificate.is_inspected, certificate.is_public) == (True, False)


@pytest.mark.parametrize(
    "organisation",
    ["DigiCert Inc", "Microsoft Corporation", "Let's Encrypt", "Sectigo Limited", "GlobalSign nv-sa", "Entrust, Inc."],
)
def test_public_authorities_are_known(organisation: str) -> None:
    certificate = issued_by(organisation)

    assert (certificate.is_inspected, certificate.is_public) == (False, True)


def test_authority_of_a_council_is_neither() -> None:
    certificate = issued_by("Invented Borough Council")

    assert (certificate.is_inspected, certificate.is_public) == (False, False)
