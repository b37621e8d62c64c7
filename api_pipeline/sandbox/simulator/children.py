"""The children endpoint: what is checked of a POST, in which order, and how it is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from api_pipeline.sandbox.simulator import checking
from api_pipeline.sandbox.simulator.answer import Answer, error_answer, page_answer
from api_pipeline.sandbox.simulator.ledger import Ledger
from api_pipeline.sandbox.simulator.options import MAX_RECORDS, Conditions, Options
from api_pipeline.sandbox.simulator.receipts import acceptance, new_receipts
from api_pipeline.sandbox.simulator.tokens import TokenOffice

# As strict as a gateway: a path that is doubled, or has dot segments or signs to be decoded, is nobody's.
_PATH = re.compile(
    r"(?:/(?!children_social_care_data/|\.{1,2}/)[A-Za-z0-9._~-]+)*/children_social_care_data/([A-Za-z0-9_-]+)/children"
)


class ChildrenEndpoint:
    """Take records in. Safe to use from several threads at once."""

    def __init__(self, options: Options, tokens: TokenOffice, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._options = options
        self._tokens = tokens
        self._ledger = ledger
        self._now = now

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, conditions: Conditions) -> Answer:
        """Return the answer to a request whose path `is_children_path`; `headers` has lower-case names.

        The firewall comes first, then method, token, key, authority, content type, size, JSON and the records.
        """
        if _is_disliked_by_firewall(body, conditions):
            return page_answer(403, "Forbidden")
        la_code = _la_code(path)
        refused = self._refusal_of_envelope(method, la_code, headers, conditions)
        read = refused or _read(body, conditions)
        if isinstance(read, Answer):
            return read
        refused = self._refusal_of_records(read, conditions)
        return replace(refused or self._accept(la_code, read, body, conditions), records=len(read))

    def _accept(self, la_code: str, records: list[Any], body: bytes, conditions: Conditions) -> Answer:
        now = self._now()
        receipts = new_receipts(len(records), now, conditions.receipt_shape)
        self._ledger.accept(la_code, records, body, receipts, conditions.reading)
        return acceptance(receipts, conditions.accept_status, conditions.receipt_shape, now)

    def _refusal_of_envelope(
        self, method: str, la_code: str, headers: Mapping[str, str], conditions: Conditions
    ) -> Answer | None:
        if method != "POST":
            return error_answer(405, "Method not allowed", {"Allow": "POST"})
        if not self._tokens.is_good(headers.get("authorization", "")):
            return error_answer(
                401, "The access token is missing, expired or not valid.", {"WWW-Authenticate": "Bearer"}
            )
        if conditions.refuse_supplier_key or headers.get("supplierkey") != self._options.supplier_key:
            return error_answer(403, "Access denied due to a missing or invalid subscription key.")
        if la_code not in self._options.la_codes:
            return error_answer(403, "The subscription does not cover this local authority.")
        if not _is_plain_json(headers):
            return error_answer(415, "The content type must be application/json, in UTF-8 and not compressed.")
        return None

    def _refusal_of_records(self, records: list[Any], conditions: Conditions) -> Answer | None:
        faults = (checking.schema_faults if self._options.check_schema else checking.identifier_faults)(records)
        if faults:
            return checking.malformed_answer(faults, conditions.refusal_status, conditions.refusal_form)
        met = checking.first_refusal(records, conditions.refusals)
        return checking.refusal_answer(*met, conditions.refusal_form) if met else None


def is_children_path(path: str) -> bool:
    """Return whether a path, whatever its base, is that of the children of an authority."""
    return _PATH.fullmatch(path) is not None


def count_records(body: bytes) -> int:
    """Return how many records a body carries; 0 where it is not a JSON array."""
    try:
        records = orjson.loads(body)
    except orjson.JSONDecodeError:
        return 0
    return len(records) if isinstance(records, list) else 0


def _la_code(path: str) -> str:
    found = _PATH.fullmatch(path)
    return found.group(1) if found else ""


def _is_disliked_by_firewall(body: bytes, conditions: Conditions) -> bool:
    if not conditions.firewall_markers:
        return False
    lowered = body.lower()
    return any(marker.lower().encode() in lowered for marker in conditions.firewall_markers)


def _is_plain_json(headers: Mapping[str, str]) -> bool:
    kind, _, parameters = headers.get("content-type", "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters)
    return (
        kind.strip().lower() == "application/json"
        and (charset is None or charset.group(1).lower() == "utf-8")
        and headers.get("content-encoding", "identity").lower() == "identity"
    )


def _read(body: bytes, conditions: Conditions) -> Answer | list[Any]:
    """Return the records of a body, 1 to 100 of whatever kind, or the answer to a body that has none."""
    if conditions.max_body_bytes is not None and len(body) > conditions.max_body_bytes:
        return error_answer(413, f"The request is larger than {conditions.max_body_bytes} bytes.")
    try:
        records = orjson.loads(body)
    except orjson.JSONDecodeError:
        return error_answer(400, "The body is not valid JSON.")
    if not isinstance(records, list):
        return error_answer(400, "The body must be a JSON array of records.")
    if not records:
        return error_answer(400, "The array holds no records; 1 to 100 are expected.")
    if len(records) > MAX_RECORDS:
        return replace(error_answer(413, "Too many records; 1 to 100 are expected."), records=len(records))
    return records
