"""One thing that a check finds wrong in a payload."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing wrong with one payload.

    `severity` is "schema", "code", "cross_field" or "firewall"; `path` a JSON path; `rule` a short stable name;
    `message` a sentence without the value; `code_list` the list's name for findings about codes.
    """

    severity: str
    path: str
    rule: str
    message: str
    code_list: str | None
