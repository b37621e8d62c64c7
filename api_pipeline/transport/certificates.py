"""What a server's certificate says, read from its DER bytes: whose it is, who issued it, until when; and by what kind
of issuer.

Python's own reader answers for certificates that were found good only, and the one that was not is the one to explain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

_EXPLICIT_0 = 0xA0
_UTC_TIME, _BMP_STRING, _UTF8_STRING = 0x17, 0x1E, 0x0C
_NAMES = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU"}

# Organisations whose certificates browsers take, as they write themselves in what they issue.
_PUBLIC = re.compile(
    r"actalis|amazon|apple|asseco|buypass|certigna|certum|comodo|digicert|e-?tugra|entrust|geotrust|globalsign|godaddy"
    r"|google trust|harica|hellenic academic|identrust|internet security research group|isrg|let'?s encrypt"
    r"|microsoft corporation|network solutions|quovadis|sectigo|ssl corp|starfield|swisssign|symantec corporation"
    r"|telia|thawte|usertrust|verisign|zerossl",
    re.IGNORECASE,
)
_INSPECTING = re.compile(
    r"barracuda|blue ?coat|check ?point|cisco umbrella|cloudflare gateway|eset ssl|fatpipe|fireware|forcepoint|fortinet"
    r"|fortigate|iboss|kaspersky|lightspeed|mcafee|menlo|netskope|opendns|palo ?alto|proofpoint|securly|skyhigh"
    r"|smoothwall|sonicwall|sophos|squid|trend ?micro|untangle|watchguard|websense|zscaler",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Subject and issuer as `CN=..., O=...`, and the moment (UTC) after which it is no longer valid."""

    subject: str
    issuer: str
    expires: datetime

    @property
    def is_inspected(self) -> bool:
        """Return whether the issuer is a product that opens TLS on its way and is known by name."""
        return _INSPECTING.search(self.issuer) is not None

    @property
    def is_public(self) -> bool:
        """Return whether the issuer is a certificate authority that the public trusts, known by name."""
        return not self.is_inspected and _PUBLIC.search(self.issuer) is not None


def read_certificate(der: bytes) -> Certificate:
    """Return what a certificate says. Errors: ValueError where these are not the bytes of one."""
    try:
        return _read(der)
    except (IndexError, StopIteration, RuntimeError):
        raise ValueError("not a certificate") from None


def _read(der: bytes) -> Certificate:
    whole = next(_items(der))[1]
    fields = list(_items(next(_items(whole))[1]))
    if fields[0][0] == _EXPLICIT_0:
        fields = fields[1:]
    _serial, _algorithm, issuer, validity, subject = (value for _, value in fields[:5])
    kind, expires = list(_items(validity))[1]
    return Certificate(_name(subject), _name(issuer), _moment(kind, expires))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return tag and content of each element that stands in `data` (ITU-T X.690)."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + length > len(data):
            raise ValueError("not a certificate")
        yield tag, data[position : position + length]
        position += length


def _name(data: bytes) -> str:
    parts = []
    for _, group in _items(data):
        for _, pair in _items(group):
            (_, kind), (tag, value) = list(_items(pair))[:2]
            if kind in _NAMES:
                parts.append(f"{_NAMES[kind]}={_text(tag, value)}")
    order = {"CN": 0, "O": 1, "OU": 2}
    return ", ".join(sorted(parts, key=lambda part: order[part.partition("=")[0]])) or "no name"


def _text(tag: int, value: bytes) -> str:
    coding = {_BMP_STRING: "utf-16-be", _UTF8_STRING: "utf-8"}.get(tag, "latin-1")
    return "".join(letter if letter.isprintable() else "?" for letter in value.decode(coding, "replace"))


def _moment(kind: int, value: bytes) -> datetime:
    text = value.decode("ascii", "replace").rstrip("Z")
    if kind == _UTC_TIME:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
