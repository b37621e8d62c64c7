"""The table of changes (mapping 11) as a pure function: each line, and what each depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api_pipeline.model import StagedRow
from api_pipeline.staging.changes import (
    Delete,
    ReceiverState,
    Rehash,
    Update,
    Version,
    Word,
    absent,
    present,
    repeated,
)
from api_pipeline.staging.meaning import meaning_hash

SAID_NOW = '{"said": "now"}'
# The same meaning in another text.
HELD_NOW = '{"nothing": null, "said": "now"}'
BEFORE = '{"said": "before"}'
NOW = Version(SAID_NOW, meaning_hash({"said": "now"}), "M1")
NOBODY = ReceiverState()
UNSURE = ReceiverState(is_held=True)
SAME = ReceiverState(is_held=True, payload=HELD_NOW, receipt="receipt")
OTHER = ReceiverState(is_held=True, payload=BEFORE, receipt="receipt")


def row(state: str = "unchanged", *, digest: bytes | str | None = b"b" * 32, payload: str = BEFORE) -> StagedRow:
    return StagedRow(7, "1001", state == "deleted", "sent", payload, digest, has_previous=True)


def pending(state: str, *, version: Version = NOW, answer: str | None = None, word: Word = Word.UPDATED) -> Update:
    return Update(7, "1001", version, state, "pending", answer, word)


@pytest.mark.parametrize("state", ["new", "updated", "unchanged"])
@pytest.mark.parametrize("digest", [NOW.hash, NOW.hash.hex(), NOW.hash.hex().upper() + " "])
def test_the_same_hash_changes_nothing(state: str, digest: bytes | str) -> None:
    assert present(row(state, digest=digest), NOW, UNSURE) is None


@pytest.mark.parametrize("digest", [None, b"x" * 32, "x"])
def test_another_hash_of_the_same_meaning_is_only_noted(digest: bytes | str | None) -> None:
    assert present(row(digest=digest, payload=HELD_NOW), NOW, UNSURE) == Rehash(7, "1001", NOW.hash)


@pytest.mark.parametrize("payload", [BEFORE, "", "no payload at all"])
@pytest.mark.parametrize(("held", "state"), [(NOBODY, "new"), (UNSURE, "updated"), (SAME, "updated")])
def test_another_meaning_is_an_update_that_is_new_while_nothing_is_held(
    payload: str, held: ReceiverState, state: str
) -> None:
    assert present(row(payload=payload), NOW, held) == pending(state)


def test_the_answer_that_alone_tells_of_a_sending_is_kept() -> None:
    held = ReceiverState(is_held=True, kept_answer="receipt")
    assert present(row(), NOW, held) == pending("updated", answer="receipt")


@pytest.mark.parametrize("digest", [NOW.hash, b"b" * 32, None])
def test_a_child_back_whose_purge_was_accepted_is_new_whatever_its_hash(digest: bytes | None) -> None:
    change = present(row("deleted", digest=digest), NOW, NOBODY)
    assert change == pending("new", word=Word.RETURNED)


def test_a_child_back_as_it_is_held_takes_the_text_that_is_held() -> None:
    kept = Version(HELD_NOW, NOW.hash, "M1")
    back = Update(7, "1001", kept, "unchanged", "sent", "receipt", Word.RETURNED)
    assert present(row("deleted"), NOW, SAME) == back


def test_where_no_receipt_is_recorded_the_answer_of_the_row_stays() -> None:
    change = present(row("deleted")._replace(api_response="answer"), NOW, replace(SAME, receipt=None))
    assert isinstance(change, Update)
    assert (change.row_state, change.answer) == ("unchanged", "answer")


def test_unchanged_row_is_due_when_the_baseline_holds_more() -> None:
    kept = Version(BEFORE, NOW.hash, "M1")
    assert repeated(row(), NOW, SAME) == pending("updated", version=kept)


@pytest.mark.parametrize("held", [OTHER, UNSURE])
def test_returned_child_with_changes_or_in_doubt_is_updated(held: ReceiverState) -> None:
    change = present(row("deleted", digest=NOW.hash, payload=SAID_NOW), NOW, held)
    assert change == pending("updated", word=Word.RETURNED)


@pytest.mark.parametrize(("held", "is_due"), [(NOBODY, False), (UNSURE, True), (OTHER, True)])
def test_a_child_that_left_is_deleted_and_due_where_it_is_held(held: ReceiverState, is_due: bool) -> None:
    assert absent(row(), held) == Delete(7, "1001", is_due)


def test_a_deleted_row_of_a_child_that_left_stays_as_it_is() -> None:
    assert absent(row("deleted"), OTHER) is None
