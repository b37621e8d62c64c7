"""What an answer of TEC's means: one of a closed set of values. Pure (facts 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from api_pipeline.sdr.problem import LONGEST_TEXT, Problem, named_in, read_problem, texts_of
from api_pipeline.transport.bounded_json import read_json


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The request was taken; `refused` are the records that were not, by localId, and `content` the answer's object."""

    refused: Mapping[str, str]
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An answer that is neither an acceptance nor a refusal, such as a proxy's page: nothing is known."""

    reason: str


@dataclass(frozen=True)
class Refusal:
    """TEC did not do what it was asked; `problem` is what it says about it."""

    problem: Problem


class TokenGone(Refusal):
    """TEC does not find the submission token: the records are not the cause."""


class Declined(Refusal):
    """TEC will not do it now: period, stop gate, registration or another rule of its own."""


@dataclass(frozen=True)
class Blocked(Refusal):
    """Another request or a validation is at work for this organisation; the same will work later.

    `wait_s` is the wait that the answer asks for, in seconds.
    """

    wait_s: float = 0.0


class TooLarge(Refusal):
    """More records or bytes than TEC takes in one request."""


class Malformed(Refusal):
    """A record breaks a rule of the receiver; which one may be named."""


class NotUnderstood(Refusal):
    """The compressed body was not understood (GM1): send it plain."""


class WrongAddress(Refusal):
    """Nothing stands at this path, or it does not take this method."""


class Refused(Refusal):
    """The organisation, the header or the machine account is refused: nothing else can work either."""


Answer: TypeAlias = Acknowledged | Unreadable | Refusal

# What TEC's codes mean: a family by its first letters, and single codes.
_BY_FAMILY: Mapping[str, type[Refusal]] = {"SC": TokenGone, "DS": Blocked}
_BY_CODE: Mapping[str, type[Refusal]] = {
    "AM1": Refused,
    "AM2": Refused,
    "AU1": Refused,
    "MP1": TooLarge,
    "GM1": NotUnderstood,
    "CV1": Malformed,
    "R1": Declined,
    "PR1": Declined,
    "PR2": Declined,
}
# What a status means where no code says more; any other means that TEC declines.
_BY_STATUS: Mapping[int, type[Refusal]] = {
    **dict.fromkeys((400, 403, 422), Malformed),
    **dict.fromkeys((404, 405, 415), WrongAddress),
    **dict.fromkeys((409, 423), Blocked),
    413: TooLarge,
}


def classify(status: int, body: bytes, keys: Sequence[str] = (), *, may_be_empty: bool = False) -> Answer:
    """Return what the answer to a request with the records `keys` means; transient statuses never come here.

    `may_be_empty` is set for a reset, whose success has no body (204).
    """
    if 200 <= status < 300:
        return _acknowledged(status, body, keys, may_be_empty=may_be_empty)
    problem = read_problem(status, body)
    return _by_code(problem) or _BY_STATUS.get(status, Declined)(problem)


def _acknowledged(status: int, body: bytes, keys: Sequence[str], *, may_be_empty: bool) -> Answer:
    if not body.strip() and (may_be_empty or (status == 200 and keys)):
        # The published answer of an upload was not seen; an empty 200 is the workflow page's plain acceptance.
        return Acknowledged({})
    try:
        content = read_json(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return Unreadable(f"HTTP {status} with something that is not a JSON object, as from a proxy")
    if keys and (said := _refusal_in(status, body, content)):
        return said
    found = content.get("content")
    entries = found if keys and isinstance(found, list) else []
    ids = [_id_of(entry) for entry in entries]
    # Where each record has its entry, one whose id is not ours is about the record in its place, unless another is.
    ours = frozenset(keys)
    in_place = ours.difference(ids) if len(entries) == len(keys) else set()
    refused: dict[str, str] = {}
    for place, entry in enumerate(entries):
        errors = entry.get("errors") if isinstance(entry, dict) else None
        if errors:
            reason = "; ".join(texts_of(errors))[:LONGEST_TEXT] or "refused without a reason"
            key = _key_of(ids[place], place, ours, in_place, keys)
            if key is None:
                # One of them was not taken, and TEC does not say which: halved, it is found.
                return Malformed(Problem(status, text=reason))
            refused[key] = reason
    return Acknowledged(refused, content)


def _refusal_in(status: int, body: bytes, content: Mapping[str, Any]) -> Answer | None:
    """Return the refusal that an answer to records is in spite of its status, None where it tells of each record."""
    found = content.get("content")
    if isinstance(found, list):
        return None
    if isinstance(found, dict):
        named, named_ids = named_in({"content": {name: value for name, value in found.items() if texts_of(value)}})
        return Malformed(Problem(status, named=named, named_ids=named_ids)) if named or named_ids else None
    problem = read_problem(status, body)
    is_refusal = problem.codes or texts_of(content.get("errors"))
    return (_by_code(problem) or Malformed(problem)) if is_refusal else None


def _id_of(entry: object) -> str | None:
    own = entry.get("localId") if isinstance(entry, dict) else None
    return str(own) if isinstance(own, (str, int)) else None


def _key_of(own: str | None, place: int, ours: Set[str], in_place: Set[str], keys: Sequence[str]) -> str | None:
    """Return the record that an entry of an answer is about: by its id, else by its place; None where it may be any."""
    if own in ours:
        return own
    if place < len(keys) and keys[place] in in_place:
        return keys[place]
    return keys[0] if len(keys) == 1 else None


def has_known_code(problem: Problem) -> bool:
    """Return whether a problem holds a code whose meaning is known, so that its HTTP status says nothing more."""
    return _by_code(problem) is not None


def _by_code(problem: Problem) -> Refusal | None:
    """Return what the first code whose meaning is known says."""
    for code in problem.codes:
        kind = _BY_CODE.get(code) or _BY_FAMILY.get(code[:2])
        if kind is not None:
            return kind(problem)
    return None
