"""Read the receiver's answers: what each status and body means (contract 4). Pure.

`classify` turns one HTTP answer into one of the `Answer` classes. The caller decides whether to try again, to halve the
batch, or to stop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from api_pipeline.model import Receipt
from api_pipeline.transport.exchange import Unauthorised
from api_pipeline.transport.single_request import RawAnswer, Transient, asked_wait_s, transient

ACCEPTING = frozenset({200, 201, 202})
REASON_LIMIT = 4000
"""The most letters of a reason that are kept."""
# A reason is read further than that: where an answer quotes a secret, it must be whole to be found and taken out.
_READ_LIMIT = 8 * REASON_LIMIT
# A receipt has some seventy letters, and a batch at most a hundred records; what is longer, but for the blanks between
# them, is something else.
_MOST_RECEIPT_BYTES = 1024 * 1024
_BLANKS = rb"[ \t\r\n]{2,}"

__all__ = [
    "ACCEPTING",
    "REASON_LIMIT",
    "Answer",
    "Forbidden",
    "Malformed",
    "PermanentError",
    "Receipts",
    "TooLarge",
    "Transient",
    "Unauthorised",
    "Unreadable",
    "classify",
    "parse_receipt",
]

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_KEY = r"(?i)subscription[\s_-]*key|AzureApiManagementKey|supplier[\s_-]*key"
_TOKEN = re.compile(
    rf"^(?:(\d{{4}}-\d{{2}}-\d{{2}})[_T ](\d{{2}}:\d{{2}}:\d{{2}})(?:\.(\d+))?Z?_)?({_UUID})(?:\.json)?$"
)


class Receipts(NamedTuple):
    """The records were accepted: one receipt for each, in order."""

    code: int
    receipts: tuple[Receipt, ...]


class Unreadable(NamedTuple):
    """A status of success, but without receipts that can be read: it is not known what became of the records."""

    code: int
    reason: str


class Malformed(NamedTuple):
    """400 or 422: one record or more is refused. `named` gives the reason by position, empty where none is named.

    `may_have_arrived`, here and in the classes below, is set where an earlier try of the request got no clear answer.
    """

    code: int
    reason: str
    named: Mapping[int, str] = MappingProxyType({})
    may_have_arrived: bool = False


class Forbidden(NamedTuple):
    """403: key, scope, LA code or a quota; or a firewall that refuses one record.

    `retry_after_s` is what the answer asked for, in seconds, or None. `is_page` says that it is a web page, which a
    proxy or firewall writes and the receiver does not.
    """

    code: int
    reason: str
    may_have_arrived: bool = False
    retry_after_s: float | None = None
    is_page: bool = False


class TooLarge(NamedTuple):
    """413: the request has too many records, or too many bytes."""

    code: int
    reason: str
    may_have_arrived: bool = False


class PermanentError(NamedTuple):
    """204, a redirect or another 4xx: the batch is refused and trying again would not help."""

    code: int
    reason: str
    may_have_arrived: bool = False


Answer: TypeAlias = (
    "Receipts | Unreadable | Malformed | Forbidden | TooLarge | Unauthorised | Transient | PermanentError"
)


def classify(status: int, headers: Mapping[str, str], body: bytes, records: int, now: datetime) -> Answer:
    """Return the meaning of one HTTP answer to a POST of `records` records.

    Its reasons may be longer than REASON_LIMIT: they are cut once the secrets that they quote are taken out.

    `headers` has lower-case names; `now` (with a zone) is what a `Retry-After` date is measured against
    where the answer itself has no date.
    """
    if status in ACCEPTING:
        return _read_receipts(status, body, records)
    if 200 <= status < 300 and status != 204:
        # A proxy that changes an answer says 203: the records may have been taken.
        reason = f"HTTP {status}: the code does not say whether the records were accepted, so the outcome is unknown"
        return Unreadable(status, reason)
    reason = _reason(status, body)
    if status in (400, 422):
        # Its patterns take 5 milliseconds to compile, and most runs meet no such answer.
        from api_pipeline.csc_api.error_paths import named_records

        return Malformed(status, reason, named_records(body, records, status, _READ_LIMIT))
    if status == 401:
        return Unauthorised(status, reason, may_renew=not _is_about_key(headers, body))
    raw = RawAnswer(status, headers, body)
    if status == 403:
        return Forbidden(status, reason, retry_after_s=asked_wait_s(raw, now), is_page=raw.is_page)
    if status == 413:
        return TooLarge(status, reason)
    passing = transient(raw, reason, now)
    if passing is not None:
        # A proxy also says 503 if it loses the receiver behind it after it has passed the request on.
        return passing._replace(may_have_arrived=True) if status == 503 else passing
    if 300 <= status < 400:
        return PermanentError(status, f"HTTP {status}: redirected elsewhere, and redirects are never followed")
    return PermanentError(status, reason)


def _is_about_key(headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether a 401 is about the subscription key and not about the token, as Azure API Management says it."""
    said = headers.get("www-authenticate", "") + " " + body[:REASON_LIMIT].decode("utf-8", "replace")
    return re.search(_KEY, said) is not None


def parse_receipt(text: str) -> Receipt | None:
    """Return the receipt in one token (`2026-01-31_02:03:04.05_<uuid>.json`, or the UUID alone), None if it is none."""
    found = _TOKEN.match(text.strip())
    if found is None:
        return None
    day, time, fraction, uuid = found.groups("")
    return Receipt(uuid.lower(), _moment(day, time, fraction))


def _moment(day: str, time: str, fraction: str) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{day} {time}.{fraction[:6]:0<6}")
    except ValueError:
        return None


def _read_receipts(status: int, body: bytes, records: int) -> Receipts | Unreadable:
    tokens, is_batch = _tokens(body)
    if tokens is None:
        return Unreadable(
            status, f"HTTP {status}: the answer holds no receipt that can be recognised, so the outcome is unknown"
        )
    receipts = [parse_receipt(token) for token in tokens]
    read = tuple(receipt for receipt in receipts if receipt is not None)
    if not read or len(read) != len(receipts):
        return Unreadable(
            status, f"HTTP {status}: the answer holds no receipt that can be recognised, so the outcome is unknown"
        )
    if len({receipt.id for receipt in read}) != len(read):
        return Unreadable(status, f"HTTP {status}: one receipt came for several records, so the outcome is unknown")
    if is_batch and len(read) == 1:
        return Receipts(status, read * records)
    if len(read) != records:
        reason = (
            f"HTTP {status}: receipts and records differ in number ({len(read)} and {records}), "
            "so the outcome is unknown"
        )
        return Unreadable(status, reason)
    return Receipts(status, read)


def _tokens(body: bytes) -> tuple[list[str] | None, bool]:
    """Return the tokens of an accepting body, and whether one token may stand for the whole batch."""
    if len(body) > _MOST_RECEIPT_BYTES:
        body = re.sub(_BLANKS, b" ", body)
    text = body.decode("utf-8-sig", "replace").strip() if len(body) <= _MOST_RECEIPT_BYTES else ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.split(), False
    if isinstance(value, str):
        return value.split(), True
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return list(value), False
    return None, False


def _reason(status: int, body: bytes) -> str:
    body = re.sub(_BLANKS, b" ", body)[:_READ_LIMIT]
    text = " ".join(body.decode("utf-8-sig", "replace").split())
    return f"HTTP {status}: {text}" if text else f"HTTP {status} without a text"
