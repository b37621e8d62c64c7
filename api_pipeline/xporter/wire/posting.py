"""A request that writes into a school's system, and what its answer leaves open. Never repeated by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from api_pipeline.common.null_characters import stored_text
from api_pipeline.transport.exchange import Unauthorised
from api_pipeline.transport.single_request import RawAnswer, Transient, transient
from api_pipeline.xporter.values import lowered, member_of
from api_pipeline.xporter.wire.answer import ApiError, ErrorKind, is_not_ready, read_error, unwrapped
from api_pipeline.xporter.wire.reading import members_in, said

# The beginnings of the published validation errors: where one stands, nothing was written.
_VALIDATIONS = (
    *("missing mandatory field", "mandatory field", "invalid studentid", "invalid student roleid"),
    *("instanceid required", "invalid lesson instanceid", "invalid session", "invalid mark"),
    *("notes field max character limit", "note field max character limit", "only write back a set of marks"),
    *("school appears to be closed", "deletion of conduct records is not supported", "invalid staffid"),
    *("invalid staff roleid", "invalid incidenttype", "invalid typeid", "invalid activityid", "invalid locationid"),
    *("invalid statusid", "invalid recordedbyid", "invalid bulltypeid", "invalid entrytimeid"),
    *("invalid achievement outcomeid", "invalid behaviour outcomeid", "you must provide an updateid"),
    *("you have assigned the same", "you have defined the same conduct"),
)
_UNSUPPORTED = "writeback is not supported for"
_NAMED = re.compile(r"invalid studentid:?\s*([\w.-]+)", re.IGNORECASE)
_REFUSING_CODES = (400, 409, 413, 422)


class Taken(Enum):
    """What an answer says of the rows of a request: taken, refused whole, not sent at all, or not known."""

    SUBMITTED = "submitted"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a request. `actual_ids` has the ids that the API made, by the incident's id of the request.

    `student_id` is the pupil whom a refusal names; it never stands in the text.
    """

    taken: Taken
    text: str
    tracking_id: str | None = None
    actual_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    student_id: str | None = field(default=None, repr=False)


def read_posted(raw: RawAnswer) -> Posted | ApiError | Transient | Unauthorised:
    """Return what the answer to a writing request means; a validation error that the body states comes first."""
    members = members_in(raw)
    if members is None and raw.status not in (401, 403, 404):
        text = f"the answer (HTTP {raw.status}) is not the API's JSON"
        if raw.status == 413:
            # A gateway lets nothing of it through.
            return Posted(Taken.REFUSED, "The request is too large (HTTP 413).")
        passing = transient(raw, text) or Transient(raw.status, text, None, may_have_arrived=True)
        # A gateway that waited in vain may answer 503 with a page of its own while the API is still writing.
        return passing._replace(may_have_arrived=passing.may_have_arrived or raw.status == 503)
    messages = _messages(members or {})
    error = read_error(members or {}, raw.status) or _unsaid(messages, raw.status)
    if error is None:
        if raw.status >= 300:
            # 303 sends to the result of what was done.
            text = f"the answer is a redirection (HTTP {raw.status})"
            return Transient(raw.status, text, None, may_have_arrived=raw.status == 303)
        if is_not_ready(members or {}):
            return Transient(raw.status, "the answer says that the data are not ready", None, may_have_arrived=True)
        return _submitted(members or {})
    word = _validation(messages)
    if word or (error.kind is ErrorKind.OTHER and raw.status in _REFUSING_CODES):
        named = next((found[1] for text in messages if (found := _NAMED.search(text))), None)
        return Posted(Taken.REFUSED, f"The API refused it: {word or said(error)}.", student_id=named)
    # An error of the API's own may speak of a token or a scope after it has written.
    is_own = raw.status >= 500 and error.kind in (ErrorKind.TOKEN, ErrorKind.SCOPE)
    if error.kind is ErrorKind.TOKEN and not is_own:
        return Unauthorised(raw.status, said(error))
    if is_own or error.kind in (ErrorKind.OTHER, ErrorKind.NOT_READY):
        text = f"the API stated an error ({said(error)})"
        return transient(raw, text) or Transient(raw.status, text, None, may_have_arrived=True)
    return error


def _messages(members: Mapping[str, Any]) -> list[str]:
    """Return the messages of an answer, wherever they stand in it."""
    named = [*members.items(), *unwrapped(members).items()]
    return [str(value) for name, value in named if str(name).lower() in ("exceptionmessage", "message")]


def _unsaid(messages: list[str], status: int) -> ApiError | None:
    """Return the error of an answer that says in its message alone that nothing was written."""
    if any(_UNSUPPORTED in text.lower() for text in messages):
        return ApiError(ErrorKind.NOT_SUPPORTED, "", status)
    return ApiError(ErrorKind.OTHER, "", status) if _validation(messages) else None


def _validation(messages: list[str]) -> str:
    """Return the published words of a validation error, without the value that follows them; "" where it is none."""
    return next((word for word in _VALIDATIONS for text in messages if word in text.lower()), "")


def _submitted(members: Mapping[str, Any]) -> Posted:
    tracking = member_of(members, "trackingid")
    inner = lowered(unwrapped(members))
    rows = inner["result"] if "result" in inner else member_of(members, "result")
    ids: dict[str, tuple[str, ...]] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            entry = lowered(row)
            number = entry.get("incidentid", entry.get("detentionid"))
            if number is not None and entry.get("actualid") is not None:
                key = str(number)
                ids[key] = (*ids.get(key, ()), str(entry["actualid"]))
    tracking_id = stored_text(tracking, 128) if isinstance(tracking, str) else None
    return Posted(Taken.SUBMITTED, "Taken by the API; not yet read again.", tracking_id, ids)
