"""Read what the API writes in more than one way: members in any case of letters, and times. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from api_pipeline.common.clock import as_utc

Row = Mapping[str, Any]


def lowered(row: Row) -> dict[str, Any]:
    """Return the members of a JSON object by their names in lower case."""
    return {str(name).lower(): value for name, value in row.items()}


def member_of(row: Row, wanted: str) -> Any:
    """Return a member by its name in lower case, however the answer writes it."""
    for name, value in row.items():
        if name.lower() == wanted:
            return value
    return None


def text_of(row: Row, wanted: str) -> str:
    """Return a member by its name in lower case as a text without blanks around it; "" where it is missing or null."""
    value = member_of(row, wanted)
    return "" if value is None else str(value).strip()


def texts_of(rows: Iterable[Row], *names: str) -> set[str]:
    """Return the values of a member, under any of its names in lower case, without blanks; none of an empty one."""
    return {text_of(row, name) for row in rows for name in names} - {""}


def read_time(value: object) -> datetime | None:
    """Return a time from the ISO text of an answer (up to seven decimals), without zone in UTC; None for none.

    A time as a driver gives it is returned as it is.
    """
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value.strip()) < 10:
        return None
    text = value.strip().replace(" ", "T")
    has_utc = text.endswith(("Z", "z"))
    body = text[:-1] if has_utc else text
    head, dot, tail = body.partition(".")
    if dot:
        digits = tail[: next((at for at, letter in enumerate(tail) if not letter.isdigit()), len(tail))]
        body = f"{head}.{digits[:6]:0<6}{tail[len(digits) :]}"
    try:
        moment = datetime.fromisoformat(body + ("+00:00" if has_utc else ""))
        # At the ends of the calendar a zone leads out of it.
        return as_utc(moment)
    except (ValueError, OverflowError):
        return None
