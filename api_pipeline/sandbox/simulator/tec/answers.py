"""The answers of the simulated TEC that more than one of its calls gives. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from api_pipeline.sandbox.simulator.answer import Answer, json_answer
from api_pipeline.sandbox.simulator.request_log import Visit
from api_pipeline.sandbox.simulator.tec.options import BlockedAnswer, TecConditions


def problem(status: int, code: str, title: str, errors: Mapping[str, Any] | None = None, **more: Any) -> Answer:
    """Return an error as TEC words it (RFC 7807)."""
    content = {"type": "about:blank", "title": title, "status": status, "errors": errors or {}, **more}
    return json_answer(status, {**content, "errorCode": code} if code else content)


def blocked(conditions: TecConditions) -> Answer:
    """Return the answer to a request while a validation is at work."""
    match conditions.blocked:
        case BlockedAnswer.DS:
            return problem(429, "DS2", "Concurrent Request Not Allowed")
        case BlockedAnswer.CONFLICT:
            return problem(409, "", "A validation is running")
        case BlockedAnswer.BAD_REQUEST:
            return problem(400, "", "A validation is running")


def gone() -> Answer:
    """Return the answer to a submission token that is not known."""
    return problem(400, "SC2", "The submission token was not found.")


def page_of(entries: list[dict[str, Any]], visit: Visit, conditions: TecConditions) -> Answer:
    """Return the page of a list that a request asks for."""
    text = parse_qs(visit.query).get("page", [str(conditions.page_base)])[-1]
    page = int(text) if text.lstrip("-").isdigit() else -1
    if page < 0:
        return problem(400, "PR1", "The page is below 0.")
    size = conditions.page_size
    start = (page - conditions.page_base) * size
    if start < 0 or (start >= len(entries) and page != conditions.page_base):
        return problem(400, "PR2", "The page is behind the data.")
    return json_answer(
        200, {"page": page, "pageSize": size, "totalCount": len(entries), "results": entries[start : start + size]}
    )
