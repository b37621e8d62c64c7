"""What the blocks have in common: elements with an id, dates, texts and codes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from api_pipeline.staging import conversions as convert
from api_pipeline.staging.conversions import Lookup
from api_pipeline.staging.fields import NAMES
from api_pipeline.staging.groups import Groups
from api_pipeline.staging.issues import ElementPath, IssueRule, Notes
from api_pipeline.staging.window import Window

EPISODES = "social_care_episodes"
_POSTCODE_LENGTH = 8

Block: TypeAlias = "dict[str, Any]"


class Episode(NamedTuple):
    """An episode whose elements are made: its path, the `id_key` of its referral, and what they are made from."""

    path: ElementPath
    referral: str
    rows: Groups
    window: Window
    notes: Notes


class Element:
    """A kind of element of an episode: the array it stands in, and the name of its id."""

    def __init__(self, array: str, key: str) -> None:
        self._array = array
        self._id_path = self.field(key)

    def field(self, name: str) -> str:
        """Return the path of one of its fields, as the field table has it."""
        return f"{EPISODES}[].{self._array}[].{name}"

    def new(self, key: str, notes: Notes) -> Block:
        """Return a new element with its id; one that cannot be sent holds the record back."""
        block: Block = {}
        put_id(block, self._id_path, key, notes)
        return block

    def leave_out(self, key: str, of: Episode) -> None:
        """Record that an element of an episode is outside the window."""
        of.notes.outside.append((*of.path, self._array, key.strip(" ")))


class CodeField:
    """A field that takes codes. `code_of` makes a code of what is stored, BLANK or None, as `convert.code_lookup`."""

    def __init__(self, path: str, code_of: Lookup | None = None) -> None:
        self._path = path
        self._name = NAMES[path]
        self._code_of = code_of or convert.code_lookup(path)

    def put(self, block: Block, text: str | None, key: str, notes: Notes) -> None:
        """Put the code of a text in; a text that is none of the list is noted, with the key of its row."""
        code = convert.BLANK if text is None else self._code_of(text)
        if code is None:
            notes.note(IssueRule.CODE_NOT_LISTED, self._path, key)
        elif code:
            block[self._name] = code


def put_id(block: Block, path: str, key: str, notes: Notes) -> None:
    """Put the id of a part of a record in; one that cannot be sent holds the record back."""
    found = convert.element_id(key)
    if found is None:
        notes.withhold(IssueRule.ID_ILL_FORMED, path)
    else:
        block[NAMES[path]] = found


def put_date(block: Block, name: str, moment: datetime | None) -> None:
    """Put a date in, if there is one."""
    if moment is not None:
        block[name] = convert.day(moment)


def put_text(block: Block, path: str, text: str, key: str, notes: Notes) -> None:
    """Put a text in, unless it is empty or cannot be sent."""
    if not convert.is_unicode(text):
        notes.note(IssueRule.TEXT_NOT_UNICODE, path, key)
    elif text:
        block[NAMES[path]] = text


def put_postcode(block: Block, path: str, postcode: str, key: str, notes: Notes) -> None:
    """Put a postcode in, unless it is blank or cannot be one."""
    found = postcode.strip(" ")
    if len(found) > _POSTCODE_LENGTH:
        notes.note(IssueRule.POSTCODE_TOO_LONG, path, key)
    elif not found.isspace():
        put_text(block, path, found, key, notes)


def put_flag(block: Block, path: str, flag: bool | str | None, key: str, notes: Notes) -> None:
    """Put in what `convert.flag` made of a text, if that is a flag."""
    if flag is None:
        notes.note(IssueRule.FLAG_NOT_RECOGNISED, path, key)
    elif isinstance(flag, bool):
        block[NAMES[path]] = flag
