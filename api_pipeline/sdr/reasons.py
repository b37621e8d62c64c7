"""TEC's reasons for a refusal without personal data, for the audit trail and messages. Pure."""

from __future__ import annotations

import re

from api_pipeline.logs.masking import mask_values

# A status with the codes that TEC has published.
_CODE = r"(?:AM|AU|CV|DS|GM|MP|PR|R|SC)\d{1,3}"
_OWN_CODES = re.compile(rf"HTTP \d{{3}}(?: {_CODE}(?:, {_CODE})*)?(?:: |$)")


def masked(reason: str, body: bytes = b"") -> str:
    """Return a reason for the audit trail: status and TEC's own codes stay, and no value of the record, its `body`."""
    own = _OWN_CODES.match(reason)
    known = own[0] if own else ""
    return known + mask_values(reason[len(known) :], body.decode("utf-8", "replace") or None)


def status_of(reason: str) -> str:
    """Return the beginning of a reason, which quotes nothing of the answer's text."""
    return reason.split(":", 1)[0]
