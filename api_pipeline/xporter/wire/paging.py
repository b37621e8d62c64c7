"""Ask for the pages of an answer, round after round, until one is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import TypeAlias

from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.wire.answer import Answer
from api_pipeline.xporter.wire.pages import Joining, Rounds, has_its_rows, lengths

# What a query says of pages: their size, and which one is asked for.
Paging: TypeAlias = "list[tuple[str, str]]"
Ask: TypeAlias = Callable[[Paging], AbstractContextManager[Answer]]

_MOST_PAGES = 100_000
_MOST_ROUNDS = 3
_USUAL_PAGE = 1000


def paging(size: int, number: int) -> Paging:
    """Return what asks for the page of a number, counted from 1."""
    return [("pagesize", str(size)), ("page", str(number))]


def whole_answer(first: Answer, page_size: int, ask: Ask, opened: ExitStack) -> Answer:
    """Return an answer with the rows of every page; a round whose pages disagree begins again. Errors: Failed, Stopped.

    `page_size` is that with which `first` was asked for as page 1, 0 where it was asked for without one. What is
    returned may be read until `opened` is closed.
    """
    # Asked for without a number, a page that says 0 may be page 0, or a page 1 that is counted from 0.
    is_open = not page_size and first.page is not None and first.page.number == 0
    number = 0 if is_open else 1
    rounds = Rounds(_MOST_ROUNDS)
    asked = page_size
    # One round more: the first may show only from which number pages are asked for.
    for _ in range(_MOST_ROUNDS + 1):
        page, size = first.page, asked or _size_of(first)
        if not is_open or (page is not None and page.number == 0):
            if page is None or (page.count <= 1 and has_its_rows(first, page)):
                return first
            if page.count > _MOST_PAGES:
                text = f"the answer is in more than {_MOST_PAGES:,} pages, or does not say in how many"
                raise Failed(Outcome.UNAVAILABLE, f"{text}; larger ones may help (XPORTER_PAGE_SIZE)")
            joining = Joining(first, page)
            others = (paging(size, number + step) for step in range(1, page.count))
            joined = _joined(joining, others, ask) if page.count > 1 else None
            if joined is not None:
                is_open = False
                if rounds.is_whole(joined, may_have_moved=joining.may_have_moved):
                    return joined
                # Smaller pages than these have on average, whatever they state: those of one size could overlap in
                # the same way again.
                asked = max(2, max(lengths(joined), default=0) // page.count) - 1
            elif joining.ends_empty:
                # What was asked for as page 1 may be the second one.
                is_open, number = False, 1 - number
        number = 1 - number if is_open else number
        # Its rows may be read from a file, behind the other pages of its round.
        first = opened.enter_context(ask(paging(asked or size, number)))
    text = "the pages of one round did not belong together, or held fewer rows than they count, each time"
    raise Failed(Outcome.UNAVAILABLE, text)


def _joined(joining: Joining, others: Iterable[Paging], ask: Ask) -> Answer | None:
    for step, other in enumerate(others, 1):
        with ask(other) as answer:
            if not joining.add(answer, step):
                return None
    return joining.whole()


def _size_of(page: Answer) -> int:
    """Return how many rows the pages of a round have, given its first."""
    stated = page.page.size if page.page else None
    # Where one page is shared by several tables, none of them is as long as the page.
    return max(0, *lengths(page), stated or 0) or _USUAL_PAGE
