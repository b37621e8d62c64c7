"""What is sent for a row: full, delta, purge and deletion records, from what is staged and its baseline (contract 4).

Pure. A purge that must be accepted first carries what follows it (`Record.then`), planned from what is held then; so a
run that stops in between is finished by the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import orjson

from api_pipeline.model import Baseline, NothingToSend, Record, RecordKind, StagedRow
from api_pipeline.payloads.diff import (
    Difference,
    Members,
    ambiguous_at_any_depth,
    compare,
    content,
    has_ambiguous_keys,
    merged,
    overlay,
    prune,
    without_common,
)
from api_pipeline.payloads.reading import Payload, held_text, parse_payload
from api_pipeline.payloads.retained import with_kept
from api_pipeline.payloads.shape import record_shape

_NOTHING_HELD = "{}"
_PURGES = re.compile(r'"purge"\s*:\s*true')


@dataclass(frozen=True, slots=True)
class Policy:
    """What kind of records to send.

    `deltas` instead of full payloads; `purge_vanished` adds purges to full records (PURGE_VANISHED); `resync` purges
    the child first and sends it whole.
    """

    deltas: bool
    purge_vanished: bool = True
    resync: bool = False


def intent_hash(payload: Payload, baseline: Baseline) -> str:
    """Return what is written down before a record of this payload is sent (see `model.InDoubt`).

    "" where an earlier record of another payload may have arrived: then no later payload can be sure of its base.
    """
    earlier = baseline.in_doubt
    return payload.digest if earlier is None or earlier.payload_hash == payload.digest else ""


def deletion_record(row: StagedRow, payload: Payload) -> Record:
    """Return the record that removes a child: the identifiers and `purge: true`."""
    return Record(row, payload.la_child_id, RecordKind.DELETION, _deletion_body(payload), None)


def next_record(row: StagedRow, payload: Payload, baseline: Baseline, policy: Policy) -> Record | NothingToSend:
    """Return the next record to send for a row, or that nothing differs from what the receiver holds."""
    if row.is_deleted:
        return deletion_record(row, payload)
    if policy.resync:
        return _resync(row, payload, policy)
    if not (policy.deltas or policy.purge_vanished):
        return _as_staged(row, payload, baseline)
    others: list[Members] = []
    if baseline.in_doubt is not None and baseline.in_doubt.payload_hash != payload.digest:
        may_hold = _read_held(baseline.in_doubt.may_hold)
        if may_hold is None:
            return _resync(row, payload, policy)
        others = [may_hold]
    if others:
        held = _read_held(baseline.held)
        return _from_in_doubt(row, payload, others if held is None else [held, *others], policy)
    if baseline.held == payload.text:
        return NothingToSend(held_text(payload))
    known = _read(baseline.held)
    if not known:
        return _full(row, payload, {})
    return _from_known(row, payload, known, policy)


def _from_known(row: StagedRow, payload: Payload, known: Members, policy: Policy) -> Record | NothingToSend:
    shape = record_shape()
    target = with_kept(payload.data, known, row.retained)
    held, now = (content(part, shape) for part in without_common(known, target, shape))
    difference = compare(held, now, shape, is_full=False)
    if not difference and not payload.is_purge:
        return NothingToSend(_text_of(target, payload))
    if [] in known.values() and has_ambiguous_keys(now, shape):
        # An array that is held empty says nothing, and yet a receiver may merge ambiguous keys into it.
        return _resync(row, payload, policy, target)
    wants_full = not policy.deltas or _carries_purge(payload)
    if wants_full and ambiguous_at_any_depth(target, shape):
        # What is equal is sent again too, and elements that cannot be told apart do not bear that.
        difference = compare(content(known, shape), content(target, shape), shape, is_full=True)
    if difference.is_whole:
        return _resync(row, payload, policy, target)
    if difference.first:
        body = orjson.dumps({"la_child_id": payload.la_child_id, **difference.first})
        held_after = orjson.dumps(prune(content(known, shape), difference.first, shape)).decode()
        return _purge(row, payload, body, held_after, policy, target)
    if not wants_full:
        return _leaving(_delta(row, payload, difference), target, payload)
    gone = difference.gone if policy.deltas or policy.purge_vanished else {}
    return _leaving(_full(row, payload, gone), target, payload)


def _from_in_doubt(row: StagedRow, payload: Payload, possible: list[Members], policy: Policy) -> Record:
    """Return a record that is right whichever of the possible baselines is true."""
    shape = record_shape()
    now = target = content(payload.data, shape)
    gone: Members = {}
    if has_ambiguous_keys(now, shape):
        return _resync(row, payload, policy)
    for held in possible:
        difference = compare(held, with_kept(now, held, row.retained), shape, is_full=True)
        if difference.is_whole or difference.first:
            return _resync(row, payload, policy)
        gone = overlay(difference.gone, gone, shape)
        target = with_kept(target, held, row.retained)
    # What may be held is taken as held: to purge it later does no harm where it is not.
    return _full(row, payload, gone) if target is now else _leaving(_full(row, payload, gone), target, payload)


def _full(row: StagedRow, payload: Payload, gone: Members) -> Record:
    if gone:
        body = orjson.dumps(overlay(payload.data, gone, record_shape()))
    elif payload.nulls_removed:
        body = orjson.dumps(payload.data)
    else:
        return _last(row, payload, RecordKind.FULL, payload.text.encode("utf-8"), payload.digest)
    return _last(row, payload, RecordKind.FULL, body)


def _delta(row: StagedRow, payload: Payload, difference: Difference) -> Record:
    changes = overlay(difference.changes, difference.gone, record_shape())
    body = orjson.dumps({"la_child_id": payload.la_child_id, **changes})
    delta = _last(row, payload, RecordKind.DELTA, body)
    # A text has no more characters than bytes, and a full record is no shorter unless nulls are taken out.
    if len(body) < len(payload.text) and not payload.nulls_removed:
        return delta
    full = _full(row, payload, difference.gone)
    return delta if len(body) < len(full.body) else full


def _last(row: StagedRow, payload: Payload, kind: RecordKind, body: bytes, known_hash: str = "") -> Record:
    held_after = None if payload.is_purge else held_text(payload)
    return Record(
        row,
        payload.la_child_id,
        kind,
        body,
        held_after,
        nulls_removed=payload.nulls_removed,
        known_hash=known_hash,
        known_held_hash="" if payload.nulls_removed else payload.digest,
    )


def _text_of(target: Members, payload: Payload) -> str:
    return held_text(payload) if target is payload.data else orjson.dumps(target).decode()


def _leaving(record: Record, target: Members, payload: Payload) -> Record:
    """Return a record after which the receiver holds `target`: the payload, and what left the time window alone."""
    if target is payload.data or record.held_after is None:
        return record
    return replace(record, held_after=_text_of(target, payload), known_held_hash="")


def _resync(row: StagedRow, payload: Payload, policy: Policy, target: Members | None = None) -> Record:
    # Not even the identifier is held then: a payload of nothing else is still to be sent, by the next run after a kill.
    return _purge(row, payload, _deletion_body(payload), _NOTHING_HELD, policy, target)


def _purge(
    row: StagedRow, payload: Payload, body: bytes, held_after: str, policy: Policy, target: Members | None
) -> Record:
    """Return a purge with what follows once it is accepted; `target` is the payload with its retained parts."""
    following = payload
    if target is not None and target is not payload.data:
        following = parse_payload(_text_of(target, payload))
    then = next_record(row, following, Baseline(held=held_after), replace(policy, resync=False))
    if isinstance(then, Record):
        then = replace(then, is_follow_up=True)
    return Record(row, payload.la_child_id, RecordKind.PURGE, body, held_after, then=then)


def _as_staged(row: StagedRow, payload: Payload, baseline: Baseline) -> Record | NothingToSend:
    """Return the staged payload alone (PURGE_VANISHED=false); what vanished from it stays at a receiver that merges.

    It goes even where only something vanished: a receiver that replaces forgets that by it.
    """
    shape = record_shape()
    held = _read_held(baseline.held)
    record = _full(row, payload, {})
    if held is None or baseline.held == _NOTHING_HELD or record.held_after is None:
        return record
    now = content(payload.data, shape)
    if baseline.in_doubt is None and not compare(held, now, shape, is_full=False):
        return NothingToSend(baseline.held or "")
    after = merged(held, now, shape)
    earlier = baseline.in_doubt
    return Record(
        row,
        payload.la_child_id,
        RecordKind.FULL,
        record.body,
        orjson.dumps(after).decode(),
        nulls_removed=payload.nulls_removed,
        # What an earlier record added, if it arrived, this one leaves there.
        stays_in_doubt=earlier is not None and earlier.payload_hash != payload.digest,
    )


def _deletion_body(payload: Payload) -> bytes:
    record: Members = {"la_child_id": payload.la_child_id}
    if payload.mis_child_id is not None:
        record["mis_child_id"] = payload.mis_child_id
    return orjson.dumps({**record, "purge": True})


def _read_held(text: str | None) -> Members | None:
    value = _read(text)
    return None if value is None else content(value, record_shape())


def _read(text: str | None) -> Members | None:
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _carries_purge(payload: Payload) -> bool:
    # The text shows of most payloads that they need no search; an escape could hide the word in it.
    text = payload.text
    if not ("purge" in text and _PURGES.search(text)) and not ("\\" in text and "\\u" in text):
        return False
    return _has_purge(payload.data)


def _has_purge(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("purge") is True or any(_has_purge(item) for item in value.values())
    return isinstance(value, list) and any(_has_purge(item) for item in value)
