"""What came back, as the API means it: an error that the body states comes before the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api_pipeline.transport.body import without_mark
from api_pipeline.transport.exchange import Unauthorised
from api_pipeline.transport.single_request import RawAnswer, Transient, transient
from api_pipeline.xporter.wire.access import Failed
from api_pipeline.xporter.wire.answer import ApiError, ErrorKind, read_error
from api_pipeline.xporter.wire.big_json import BadJson, loads, read_members


@dataclass(frozen=True, slots=True)
class Found:
    """The members of an answer that is not an error, and the raw answer, whose file the asker removes."""

    members: Mapping[str, Any]
    raw: RawAnswer


def read(raw: RawAnswer) -> Found | ApiError | Transient | Unauthorised:
    """Return what an answer means: an error that the body states comes before the code."""
    meaning = None
    try:
        meaning = _meaning(raw)
        return meaning
    finally:
        if not isinstance(meaning, Found):
            raw.remove_file()


def _meaning(raw: RawAnswer) -> Found | ApiError | Transient | Unauthorised:
    members = members_in(raw)
    if members is None and raw.status not in (401, 403, 404):
        text = f"the answer (HTTP {raw.status}) is not the API's JSON"
        return transient(raw, text) or Transient(raw.status, text, None, may_have_arrived=True)
    error = read_error(members or {}, raw.status)
    if error is None:
        if raw.status >= 300:
            text = f"the answer is a redirection (HTTP {raw.status})"
            return Transient(raw.status, text, None, may_have_arrived=False)
        return Found(members or {}, raw)
    if error.kind in (ErrorKind.TOKEN, ErrorKind.FORBIDDEN):
        # 403 may be said of a token that has expired as well as of what the consent does not cover.
        return Unauthorised(raw.status, said(error))
    if error.kind is ErrorKind.OTHER:
        text = f"the API stated an error ({said(error)})"
        # An error under a code that says all is well may be gone a moment later.
        return transient(raw, text) or Transient(raw.status, text, None, may_have_arrived=True)
    return error


def members_in(raw: RawAnswer) -> Mapping[str, Any] | None:
    """Return the members of a JSON object, None where the body is none."""
    try:
        if raw.file is not None:
            return read_members(raw.file)
        found = loads(without_mark(raw.body))
    except BadJson:
        return None
    return found if isinstance(found, dict) else None


def failed(error: ApiError) -> Failed:
    """Return an error of the API as what became of the question."""
    outcome, text = error.kind.value
    return Failed(outcome, f"{text} ({said(error)})")


def said(error: ApiError) -> str:
    """Return an error's code and type, which say nothing of a person."""
    return f"HTTP {error.http_code}{', ' + error.type_name if error.type_name else ''}"
