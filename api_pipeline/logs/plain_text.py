"""One filter for every text that is echoed: nothing in it can control a terminal, a log reader or a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

# Control signs (C0 without tab and line ends, DEL, C1), bidirectional and other invisible format signs, and halves of
# surrogate pairs, which no encoding can write. None of them is printable.
_STEERING = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SEQUENCE = (
    # CSI, OSC and its kin up to their end, and the short ones, in the forms of seven and of eight bits
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# The last four are the wide forms, which some spreadsheets take for the plain ones.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def harmless(text: str) -> str:
    """Return `text` without escape sequences and other characters that a reader does not see and a terminal obeys."""
    if text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return text
    return _compiled(_STEERING).sub("", _compiled(_SEQUENCE).sub("", text))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Made when it is used: most texts are printable, and need none.
    return re.compile(pattern)


def safe_cells(cells: Iterable[object]) -> list[str]:
    """Return the cells of a CSV line: no control characters, and nothing that a spreadsheet takes for a formula."""
    texts = ("" if cell is None else harmless(str(cell)) for cell in cells)
    return [f"'{text}" if text.lstrip(" \n\xa0").startswith(_FORMULA_SIGNS) else text for text in texts]
