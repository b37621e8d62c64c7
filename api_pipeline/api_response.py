"""What the column `api_response` says: written and read here, and nowhere else. Pure.

Outcomes carry their reason as data. The table keeps a sentence alone, so it is read back where only the table knows:
for reports, for what a row met in an earlier run, and for the receipt that another tool left there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

OWN_REFUSAL = "Payload refused before sending: "
"""The beginning of an answer that is not the receiver's but our own check's, which quotes no value."""
UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"

_UP_TO_DATE = "NOT SENT: the receiver holds exactly this payload"
_MOST_RULES = 10
_AND_MORE = re.compile(r"and \d+ more")
_HTTP = re.compile(r"HTTP ([1-5]\d\d)\b")
_NETWORK = ("network error", "network fault")
_SENT_BEFORE = re.compile(r" \(sent before: [^)]*\)$")
# At the beginning of an answer, perhaps behind the time of receipt as it came from the receiver; or where a rehearsal
# wrote its own answer in place of it.
_TIME = r"\d{4}-\d{2}-\d{2}[_T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?Z?_"
_RECEIPT = re.compile(rf"(?:^|\(sent before: )(?:{_TIME})?({UUID}[^)]*)", re.I)
_LONGEST_RECEIPT = 100
# What this program itself says of a row that got no answer, and the receipts alone: no value of a record can be in it.
_ID = rf"{UUID}(?:\.json)?"
_OWN = re.compile(
    rf"(?:{_ID}|NOT SENT: superseded by row -?\d+"
    rf"|NOT SENT: the receiver holds exactly this payload(?: \(receipt {_ID}\))?"
    rf"|TESTING: (?:simulated receipt {UUID}|nothing would be sent, the receiver holds this payload))"
    rf"(?: \(sent before: {_ID}\))?",
    re.I,
)


class Source(str, Enum):
    """Who gave a reason: our own check before sending, an HTTP answer, the network; or another program."""

    CHECK = "check"
    ANSWER = "answer"
    NETWORK = "network"
    OTHER = "other"


class Reason(NamedTuple):
    """Why a record was not sent or not accepted.

    `text` is the sentence that the table keeps. `rules` are the rules that were broken, in the words of the `source`,
    where it names any; `code` is the HTTP code, None where no answer came.
    """

    text: str
    source: Source
    code: int | None = None
    rules: tuple[str, ...] = ()

    @property
    def is_of_service(self) -> bool:
        """Return whether it was an error of the service (5xx, or a gateway's timeout, 408) or of the network."""
        return self.source is Source.NETWORK or self.code == 408 or (self.code is not None and self.code >= 500)

    @property
    def by_rule(self) -> list[str]:
        """Return the reason once for each rule, each with what stands before them all: what reports group by."""
        head = self.text.partition(": ")[0]
        return list(dict.fromkeys(f"{head}: {rule}" for rule in self.rules)) or [self.text]

    def but(self, remark: str) -> Reason:
        """Return the reason with a remark behind its sentence."""
        return self._replace(text=f"{self.text} ({remark})")


def refused(rules: Sequence[str]) -> Reason:
    """Return the reason of our own check for a payload that breaks these rules."""
    more = f"; and {len(rules) - _MOST_RULES} more" if len(rules) > _MOST_RULES else ""
    return Reason(f"{OWN_REFUSAL}{'; '.join(rules[:_MOST_RULES])}{more}", Source.CHECK, None, tuple(rules))


def given(text: str, code: int | None) -> Reason:
    """Return the reason that an answer with this code gave, or the network where there was none."""
    return Reason(text, Source.NETWORK if code is None else Source.ANSWER, code, _rules(text))


def read(text: str) -> Reason:
    """Return the reason in a stored answer, such as `HTTP 400: first; second`."""
    text = _SENT_BEFORE.sub("", text)
    rules = _rules(text)
    if text.startswith(OWN_REFUSAL):
        return Reason(text, Source.CHECK, None, rules)
    if found := _HTTP.match(text):
        return Reason(text, Source.ANSWER, int(found[1]), rules)
    return Reason(text, Source.NETWORK if text.startswith(_NETWORK) else Source.OTHER, None, rules)


def _rules(text: str) -> tuple[str, ...]:
    head, _, rest = text.partition(": ")
    if "{" in rest:
        return ()
    if head in _NETWORK and rest:
        # A sentence of ours, which may hold advice behind a semicolon.
        return (rest,)
    return tuple(part for part in rest.split("; ") if part and not _AND_MORE.fullmatch(part))


def up_to_date(receipt: str | None) -> str:
    """Return the answer for a row that was not sent because the receiver holds its payload."""
    return f"{_UP_TO_DATE}{f' (receipt {receipt})' if receipt else ''}"


def was_up_to_date(answer: str | None) -> bool:
    """Return whether an answer is that of a row whose payload the receiver held."""
    return (answer or "").startswith(_UP_TO_DATE)


def superseded(newest: int) -> str:
    """Return the answer for a row of a person whose row `newest` was accepted."""
    return f"NOT SENT: superseded by row {newest}"


def rehearsed(text: str, before: str | None) -> str:
    """Return the answer of a rehearsal, with the receipt that it takes the place of, where there was one.

    That may be the only sign of what the receiver holds (docs/decisions/0016).
    """
    return f"{text} (sent before: {before[:_LONGEST_RECEIPT]})" if before else text


def is_own(answer: str) -> bool:
    """Return whether an answer is a receipt or this program's own sentence, so that it quotes nothing."""
    return _OWN.fullmatch(answer.strip()) is not None


def is_receipt(answer: str | None) -> bool:
    """Return whether an answer is a receipt and not a sentence."""
    return _RECEIPT.match((answer or "").strip()) is not None


def last_receipt(answer: str | None) -> str | None:
    """Return the receipt in a row's last answer, at most 100 characters of it; None where there is none.

    Today's tool keeps the receipt in `api_response` when a sent row changes; after an unsent change it proves nothing.
    """
    found = _RECEIPT.search((answer or "").strip())
    return found[1].strip()[:_LONGEST_RECEIPT] if found else None
