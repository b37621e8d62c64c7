"""What is sent for a row: a full record, a delta, a purge or a deletion (contract 4). Pure.

`plan` compares the staged payload with the baseline. If something must be purged first, the purge carries the record
that follows it (`Record.then`). If a run stops between the two, the next run plans from what is held then, and
finishes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from api_pipeline.model import NOTHING_HELD, Baseline, Record, RecordKind, StagedRow, UpToDate
from api_pipeline.payloads.content import Members, content
from api_pipeline.payloads.diff import (
    Difference,
    ambiguous_at_any_depth,
    compare,
    has_ambiguous_keys,
    merged,
    overlay,
    prune,
)
from api_pipeline.payloads.reading import Payload, held_text, sha256_hex
from api_pipeline.payloads.retained import with_kept
from api_pipeline.payloads.schema_check import takes_mis_child_id
from api_pipeline.payloads.shape import record_shape

_PURGES = re.compile(r'"purge"\s*:\s*true')


class Policy(NamedTuple):
    """What kind of records to send.

    `deltas` instead of full payloads; `purge_vanished` adds purges to full records (PURGE_VANISHED); `resync` purges
    the child first and sends it whole; `even_if_held` sends a full record also where the receiver holds just that.
    """

    deltas: bool
    purge_vanished: bool = True
    resync: bool = False
    even_if_held: bool = False


def plan(row: StagedRow, payload: Payload, baseline: Baseline, policy: Policy) -> Record | UpToDate:
    """Return the smallest record that leads to the payload from every state the receiver may be in, or a purge first.

    Parts that left the time window stay at the receiver: they are added to the target before anything is compared.
    """
    if row.is_deleted:
        return _record(_Goal(row, payload, payload, baseline, ""), RecordKind.DELETION, _deletion_body(payload), None)
    if policy.resync:
        # If its answer is lost, it is not known whether anything is held, whichever record comes next.
        return _purge_whole(_Goal(row, payload, payload, baseline, ""), policy)
    purges = policy.deltas or policy.purge_vanished
    # Without purges of our own a record does not repeat an earlier one that may have had some: its intent differs.
    intent = payload.digest if purges else sha256_hex(f"without purges {payload.digest}")
    in_doubt = baseline.in_doubt
    # A receiver may add elements without keys of their own a second time, so that such a payload cannot be repeated.
    is_repeated = in_doubt is None or (
        in_doubt.sent_of == intent and not ambiguous_at_any_depth(payload.data, record_shape())
    )
    goal = _Goal(row, payload, payload, baseline, intent if is_repeated else "")
    states = baseline.states_before(is_repeated=is_repeated)
    if not purges:
        return _as_staged(goal, states, policy)
    if states == (payload.text,) and not policy.even_if_held:
        return goal.reached
    return _from(states, goal.keeping(states), policy)


class _Goal(NamedTuple):
    """The target of a row: `payload` is what a full record says, `after` what the receiver then holds.

    They differ in the parts that left the time window. `baseline` is what the receiver may hold before; `intent` is
    stored before the POST begins (`Record.intent_hash`). It is "" where an earlier record may have arrived that this
    one does not repeat: then it is not known what the receiver holds after this one.
    """

    row: StagedRow
    payload: Payload
    after: Payload
    baseline: Baseline
    intent: str

    @property
    def reached(self) -> UpToDate:
        """Return that nothing has to be sent."""
        return UpToDate(self.row, self.payload.la_child_id, self.baseline.receipt)

    def keeping(self, states: Sequence[str | None]) -> _Goal:
        """Return the goal with the parts of these states added that left the time window."""
        if not self.row.retained:
            return self
        data = self.payload.data
        for state in map(_read, states):
            data = with_kept(data, state or {}, self.row.retained)
        return self._replace(after=self.payload.of_data(data))


def _from(states: Sequence[str | None], goal: _Goal, policy: Policy) -> Record | UpToDate:
    """Return the record that is right whichever of these states the receiver is in."""
    known = [state for text in states if (state := _read(text)) is not None]
    # A state that is not known; one whose recorded text is damaged is not known either.
    if len(known) < len(states):
        return _purge_whole(goal, policy)
    if not any(known):
        return _full(goal, {})
    shape, after = record_shape(), goal.after.data
    differences = [_difference(state, after) for state in known]
    if not (any(differences) or goal.payload.is_purge or policy.even_if_held):
        return goal.reached
    is_in_doubt = len(known) > 1
    is_full = is_in_doubt or not policy.deltas or _carries_purge(goal.payload)
    if is_full and ambiguous_at_any_depth(after, shape):
        # Equal parts are sent again too, which elements without keys of their own do not allow.
        differences = [
            one if one.is_whole else compare(state, after, shape, is_full=True)
            for one, state in zip(differences, known, strict=True)
        ]
    if any(one.is_whole or (one.first and is_in_doubt) for one in differences):
        return _purge_whole(goal, policy)
    difference = differences[0]
    if difference.first:
        return _purge_parts(goal, states[0] or "", known[0], difference.first, policy)
    if not is_full:
        return _delta(goal, difference)
    gone: Members = {}
    for one in differences:
        # What may be held is purged: that does no harm where it is not.
        gone = overlay(one.gone, gone, shape)
    return _full(goal, gone)


def _difference(held: Members, after: Members) -> Difference:
    shape = record_shape()
    difference = compare(held, after, shape, is_full=False)
    if difference and [] in held.values() and has_ambiguous_keys(content(after, shape), shape):
        # An array that is held empty says nothing, and yet a receiver may merge ambiguous keys into it.
        return Difference(is_whole=True)
    return difference


def _full(goal: _Goal, gone: Members) -> Record:
    payload = goal.payload
    if gone:
        body = orjson.dumps(overlay(payload.data, gone, record_shape()))
    elif payload.nulls_removed:
        body = orjson.dumps(payload.data)
    else:
        return _last(goal, RecordKind.FULL, payload.encoded, payload.digest)
    return _last(goal, RecordKind.FULL, body)


def _delta(goal: _Goal, difference: Difference) -> Record:
    payload = goal.payload
    changes = overlay(difference.changes, difference.gone, record_shape())
    delta = _last(goal, RecordKind.DELTA, orjson.dumps({"la_child_id": payload.la_child_id, **changes}))
    # A text has no more characters than bytes, and a full record is no shorter unless nulls are taken out. To write one
    # all the same takes 8 % of the machine instructions of a delta.
    if len(delta.body) < len(payload.text) and not payload.nulls_removed:
        return delta
    full = _full(goal, difference.gone)
    return delta if len(delta.body) < len(full.body) else full


def _last(goal: _Goal, kind: RecordKind, body: bytes, sent_hash: str = "") -> Record:
    after = goal.after
    held_hash = "" if after.nulls_removed else after.digest
    return _record(goal, kind, body, None if after.is_purge else held_text(after), sent_hash, held_hash)


def _record(
    goal: _Goal, kind: RecordKind, body: bytes, held_after: str | None, sent_hash: str = "", held_hash: str = ""
) -> Record:
    return Record(
        goal.row,
        goal.payload.la_child_id,
        kind,
        body,
        sent_hash or sha256(body).hexdigest(),
        held_after,
        intent_hash=goal.intent,
        was_in_doubt=goal.baseline.in_doubt is not None,
        known_held_hash=held_hash,
    )


def _purge_whole(goal: _Goal, policy: Policy) -> Record:
    # The receiver then holds nothing, not even the identifier. So a payload that has nothing else is still due if the
    # run is killed before it is sent.
    return _purge(goal, _deletion_body(goal.payload), NOTHING_HELD, policy)


def _purge_parts(goal: _Goal, text: str, state: Members, markers: Members, policy: Policy) -> Record:
    # A part that the held payload marks as purged is not there to be purged again.
    held = content(state, record_shape()) if _may_purge(text) else state
    left = prune(held, markers, record_shape())
    body = {"la_child_id": goal.payload.la_child_id, **markers}
    return _purge(goal, orjson.dumps(body), orjson.dumps(left).decode(), policy)


def _purge(goal: _Goal, body: bytes, held_after: str, policy: Policy) -> Record:
    """Return a purge with what follows once it is accepted, retained parts included: they may have gone with it."""
    after = goal.after
    # What is staged, without retained parts, is what the next run compares with.
    rest = _Goal(goal.row, after, after, Baseline(held_after), goal.payload.digest)
    then = _from([held_after], rest, policy)
    purge = _record(goal, RecordKind.PURGE, body, held_after)
    return purge._replace(then=then) if isinstance(then, Record) else purge


def _as_staged(goal: _Goal, states: Sequence[str | None], policy: Policy) -> Record | UpToDate:
    """Return the staged payload alone (PURGE_VANISHED=false); what vanished from it stays at a receiver that merges.

    It is sent even if the only difference is a part that vanished: a receiver that replaces then drops that part.
    """
    shape = record_shape()
    record = _full(goal, {})
    held = content(_read(states[0]) or {}, shape) if states else {}
    now = content(goal.payload.data, shape)
    if record.held_after is None or not (held or len(states) > 1):
        return record
    after = content(merged(held, goal.payload.data, shape), shape)
    # An earlier record may have purged, or added, what this one leaves as it is.
    is_in_doubt = len(states) > 1 and not _is_same_state(states[1], after)
    if not (is_in_doubt or policy.even_if_held or compare(held, now, shape, is_full=False)):
        return goal.reached
    return record._replace(held_after=orjson.dumps(after).decode(), known_held_hash="", stays_in_doubt=is_in_doubt)


def _is_same_state(text: str | None, state: Members) -> bool:
    other = _read(text)
    return other is not None and not compare(other, state, record_shape(), is_full=False)


def deletion_of(payload: Payload) -> Members:
    """Return what removes a child: the identifiers and `purge: true`.

    A `mis_child_id` that the schema does not take is left out: the record does without, and may not fail for it.
    """
    record: Members = {"la_child_id": payload.la_child_id}
    if payload.mis_child_id is not None and takes_mis_child_id(payload.mis_child_id):
        record["mis_child_id"] = payload.mis_child_id
    return {**record, "purge": True}


def _deletion_body(payload: Payload) -> bytes:
    return orjson.dumps(deletion_of(payload))


def _read(text: str | None) -> Members | None:
    """Return what a state says, None where that is not known."""
    try:
        value = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _carries_purge(payload: Payload) -> bool:
    return not payload.is_sound and _may_purge(payload.text) and _has_purge(payload.data)


def _may_purge(text: str) -> bool:
    """Return whether a payload of this text may purge anything; an escape could hide the word in it."""
    return "\\u" in text or _PURGES.search(text) is not None


def _has_purge(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("purge") is True or any(_has_purge(item) for item in value.values())
    return isinstance(value, list) and any(_has_purge(item) for item in value)
