"""How the pages of an answer are joined, over a real socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.wire.access import Access, Failed, Outcome
from api_pipeline.xporter.wire.client import IdaasClient
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver, Reply
from tests.support.scripted import in_turn, says

_PATH = "/api/v1/School/9990001/Groups"


def _read(answers: Mapping[str, bytes], *, page_size: int = 0) -> dict[str, list[int]]:
    """Return the ids by table that are read from a server with these answers, by query."""
    return _read_from({query: says(200, body) for query, body in answers.items()}, page_size=page_size)


def _read_from(replies: Mapping[str, Reply], *, page_size: int = 0) -> dict[str, list[int]]:
    with HostileReceiver() as server, scripted.session() as session:
        origin = server.settings["TOKEN_ENDPOINT"].rpartition("/")[0]
        server.pages["/GetToken"] = says(200, b'{"token": "an-invented-token", "expires": null}')
        server.pages |= {f"{_PATH}{query}": reply for query, reply in replies.items()}
        access = Access(session, origin, f"{origin}/GetToken", "app", "test", (2.0, 2.0), max_attempts=1)
        client = IdaasClient(replace(access, min_gap_s=0.0, page_size=page_size), "9990001", "invented")
        with client.data(load_catalogue().endpoint("Groups")) as answer:
            return {name: [row["Id"] for row in table] for name, table in answer.tables.items()}


def _body(tables: Mapping[str, list[int]], **page: object) -> bytes:
    rows = {name: [{"Id": one} for one in ids] for name, ids in tables.items()}
    return json.dumps({**rows, "__pagination__": [page]}).encode()


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("rows", [5, 7])
def test_pages_of_several_tables_are_joined_however_they_count(first: int, rows: int) -> None:
    def page(groups: list[int], members: list[int], number: int) -> bytes:
        tables = {"Groups": groups, "StudentMembers": members}
        return _body(tables, PageNumber=number, PageCount=3, RowCount=rows)

    answers = {
        "": page([1, 2], [1, 2], first),
        f"?pagesize=2&page={first + 1}": page([], [3, 4], first + 1),
        f"?pagesize=2&page={first + 2}": page([], [5], first + 2),
    }
    assert _read(answers) == {"Groups": [1, 2], "StudentMembers": [1, 2, 3, 4, 5]}


def _read_three(*, size: int, asked_from: int, told_from: int | None, rows: int | None) -> list[int]:
    """Read three pages from a server that is asked for them from one number and names them from another."""
    pages = [[1, 2], [3, 4], [5], [], [], []]

    def page(place: int) -> bytes:
        number = None if told_from is None else place + told_from
        return _body({"Students": pages[place]}, PageNumber=number, PageCount=3, RowCount=rows)

    answers = {f"?pagesize=2&page={number}": page(max(0, number - asked_from)) for number in range(6)}
    return _read({"": page(0), **answers}, page_size=size)["Students"]


@pytest.mark.parametrize("size", [0, 2])
@pytest.mark.parametrize("rows", [5, None])
def test_pages_asked_for_from_1_may_be_told_from_0(size: int, rows: int | None) -> None:
    assert _read_three(size=size, asked_from=1, told_from=0, rows=rows) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("size", "told_from"), [(2, 0), (2, 1), (2, None), (0, 1), (0, None)])
@pytest.mark.parametrize("rows", [5, None])
def test_pages_are_asked_for_from_0_where_the_last_from_1_is_empty(
    size: int, told_from: int | None, rows: int | None
) -> None:
    assert _read_three(size=size, asked_from=0, told_from=told_from, rows=rows) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("told_from", [0, 1, None])
def test_one_page_is_asked_for_from_0_where_page_1_is_empty(told_from: int | None) -> None:
    def page(ids: list[int], place: int) -> bytes:
        number = None if told_from is None else place + told_from
        return _body({"Students": ids}, PageNumber=number, PageCount=1, RowCount=2)

    answers = {"?pagesize=9&page=0": page([1, 2], 0), "?pagesize=9&page=1": page([], 1)}
    assert _read(answers, page_size=9)["Students"] == [1, 2]


def _read_two(first: bytes, second: bytes) -> list[int]:
    """Read an endpoint whose first answer and whose second page of two rows are given."""
    return _read({"": first, "?pagesize=2&page=1": first, "?pagesize=2&page=2": second})["Students"]


@pytest.mark.parametrize(
    "stated",
    [
        {"PageCount": 2, "RowCount": ""},
        {"PageCount": "2.0", "RowCount": "3"},
        {"PageSize": 2, "RowCount": 3},
        {"PageCount": 2, "PageNumber": "first"},
    ],
)
def test_pages_are_joined_whatever_their_frame_leaves_out(stated: dict[str, object]) -> None:
    assert _read_two(_body({"Students": [1, 2]}, **stated), _body({"Students": [3]}, **stated)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"PageCount": 1, "RowCount": 40}, "fewer rows than they count, each time"),
        ({"NextPage": "/next"}, "does not say in how many"),
    ],
)
def test_answer_that_says_itself_that_rows_are_missing_is_not_whole(stated: dict[str, object], words: str) -> None:
    with pytest.raises(Failed, match=words):
        _read_two(*[_body({"Students": [1, 2]}, **stated)] * 2)


def _read_rounds(*rounds: Sequence[list[int]]) -> list[int]:
    """Read rounds of pages, each with pages of one row less than the one before."""
    replies: dict[str, Reply] = {}
    for size, pages in zip(range(len(rounds[0][0]), 0, -1), rounds, strict=False):
        rows = sum(map(len, pages))
        for number, ids in enumerate(pages, 1):
            body = _body({"Students": ids}, PageCount=len(pages), RowCount=rows, PageSize=size)
            replies[f"?pagesize={size}&page={number}" if replies else ""] = says(200, body)
    return _read_from(replies)["Students"]


def test_pages_that_overlap_are_asked_for_again() -> None:
    assert _read_rounds([[1, 2], [2, 3]], [[1], [2], [3], [4]]) == [1, 2, 3, 4]


def test_row_that_is_repeated_each_time_is_the_schools_own() -> None:
    assert _read_rounds([[1, 2], [2, 3]], [[1], [2], [2], [3]]) == [1, 2, 2, 3]


def test_few_rows_of_a_server_that_counts_from_0_may_repeat() -> None:
    def page(size: int, place: int) -> bytes:
        ids = [1, 1, 2][place * size : (place + 1) * size]
        return _body({"Students": ids}, PageNumber=place, PageCount=-(-3 // size), RowCount=3)

    answers = {f"?pagesize={size}&page={number}": page(size, number) for size in (1, 2) for number in range(4)}
    assert _read(answers, page_size=2)["Students"] == [1, 1, 2]


def test_few_rows_that_repeat_twice_by_chance_are_asked_for_once_more() -> None:
    # A server that orders rows anew for each request, and whose pages hold one row whatever is asked for.
    rounds = ([1], [2], [2]), ([2], [1], [2]), ([1], [2], [3])

    def page(turn: int, number: int) -> Reply:
        return says(200, _body({"Students": rounds[turn][number]}, PageNumber=number + 1, PageCount=3, RowCount=3))

    later = {f"?pagesize=1&page={number + 1}": [page(turn, number) for turn in (0, 1, 2)] for number in (0, 1, 2)}
    later["?pagesize=1&page=1"] = later["?pagesize=1&page=1"][1:]
    replies = {query: in_turn(*pages) for query, pages in later.items()}
    assert _read_from({"": page(0, 0), **replies})["Students"] == [1, 2, 3]


def test_row_repeated_beside_other_rows_than_before_may_hide_a_missing_one() -> None:
    rounds = [[1, 2, 3], [3, 4, 5]], [[1, 2], [3, 3], [6, 5]], [[1], [2], [3], [4], [5], [6]]
    assert _read_rounds(*rounds) == [1, 2, 3, 4, 5, 6]


def test_same_rows_in_another_order_are_the_schools_own() -> None:
    assert _read_rounds([[1, 2], [2, 3]], [[3], [2], [1], [2]]) == [3, 2, 1, 2]


def test_repeated_rows_are_read_from_pages_that_count_from_0() -> None:
    def page(rows: list[int], number: int, size: int) -> Reply:
        return says(200, _body({"Students": rows}, PageNumber=number, PageSize=size, PageCount=2, RowCount=3))

    of_three = {"": page([1, 1], 0, 2), "?pagesize=2&page=1": page([1, 1], 0, 2), "?pagesize=2&page=2": page([2], 1, 2)}
    of_one = {
        f"?pagesize=1&page={number}": says(
            200, _body({"Students": [[1, 1, 2][number - 1]]}, PageNumber=number - 1, PageCount=3, RowCount=3)
        )
        for number in (1, 2, 3)
    }
    assert _read_from(of_three | of_one)["Students"] == [1, 1, 2]


def _read_moved(*rounds: list[list[int]], **more: object) -> list[int]:
    """Read rounds of pages that say, page by page, as of when their data are."""
    replies: dict[str, Reply] = {}
    for turn, pages in enumerate(rounds):
        for number, ids in enumerate(pages, 1):
            rows = [{"Id": one} for one in ids]
            page = {"PageCount": len(pages), "RowCount": sum(map(len, pages)), "PageNumber": number}
            moment = f"2026-11-28T0{3 if turn or number > 1 else 2}:00:00"
            body = {"Students": rows, "__pagination__": [page], "meta": [{"LastUpdated": moment}], **more}
            query = f"?pagesize={2 - turn}&page={number}" if replies else ""
            replies[query] = says(200, json.dumps(body).encode())
    return _read_from(replies)["Students"]


def test_pages_between_which_the_data_were_read_anew_are_asked_for_again() -> None:
    # Row 1 went and row 5 came after the first page: the pages are as many, and row 3 stands on none of them.
    assert _read_moved([[1, 2], [4, 5]], [[2], [3], [4], [5]], [[2], [3], [4], [5]]) == [2, 3, 4, 5]


def test_answers_that_each_have_their_own_time_are_not_refused_for_it() -> None:
    times = iter(range(9))
    rows = iter([1, 2, 1, 3, 1, 4])

    def page(number: int) -> bytes:
        stated = {"PageNumber": number, "PageCount": 2, "RowCount": 2}
        body = {"Students": [{"Id": next(rows)}], "__pagination__": [stated], "meta": [{"AnsweredAt": next(times)}]}
        return json.dumps(body).encode()

    first, second, *others = (page(1 + place % 2) for place in range(6))
    replies = {
        "": says(200, first),
        "?pagesize=1&page=1": in_turn(*(says(200, body) for body in others[::2])),
        "?pagesize=1&page=2": in_turn(*(says(200, body) for body in (second, *others[1::2]))),
    }
    assert _read_from(replies)["Students"] == [1, 4]


def test_pages_that_name_their_snapshot_need_no_second_round() -> None:
    assert _read_moved([[1, 2], [4, 5]], __changedRows__=[{"NextChangedRows": "ab"}]) == [1, 2, 4, 5]


def test_table_with_a_count_of_its_own_is_whole_or_asked_for_again() -> None:
    def page(groups: list[int], members: list[int], number: int, of: int) -> Reply:
        counts = [{"PageNumber": number, "PageCount": 2, "RowCount": rows} for rows in (of, 4)]
        rows = {"Groups": [{"Id": one} for one in groups], "StudentMembers": [{"Id": one} for one in members]}
        return says(200, json.dumps({**rows, "__pagination__": counts}).encode())

    second = in_turn(page([3], [3, 4], 2, 2), page([3], [3, 4], 2, 3))
    replies = {"": page([1, 2], [1, 2], 1, 2), "?pagesize=2&page=2": second}
    whole = _read_from(replies | {"?pagesize=2&page=1": page([1, 2], [1, 2], 1, 3)})
    assert whole == {"Groups": [1, 2, 3], "StudentMembers": [1, 2, 3, 4]}
    with pytest.raises(Failed, match="did not belong together"):
        _read_from(
            {**replies, "?pagesize=2&page=1": page([1, 2], [1, 2], 1, 2), "?pagesize=2&page=2": page([], [3, 4], 2, 3)}
        )


def test_overlap_is_found_where_pages_hold_fewer_rows_than_they_state() -> None:
    overlapping, whole = [[1, 2], [2, 3]], [[1], [2], [3], [4]]
    replies: dict[str, Reply] = {}
    for size, pages in ((9, overlapping), (8, overlapping), (1, whole)):
        for number, ids in enumerate(pages, 1):
            body = _body({"Students": ids}, PageCount=len(pages), RowCount=4, PageSize=size)
            replies[f"?pagesize={size}&page={number}" if replies else ""] = says(200, body)
    assert _read_from(replies)["Students"] == [1, 2, 3, 4]


def test_token_that_is_refused_with_403_is_renewed_once() -> None:
    groups = _body({"Groups": [1]}, PageCount=1)
    assert _read_from({"": in_turn(says(403, b"{}"), says(200, groups))}) == {"Groups": [1]}


def test_what_is_forbidden_to_a_fresh_token_too_is_a_matter_of_consent() -> None:
    with pytest.raises(Failed, match="may not cover it") as failed:
        _read_from({"": says(403, b"{}")})
    assert failed.value.outcome == Outcome.NO_SCOPE
    assert not failed.value.ends_school
