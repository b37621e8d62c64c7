"""How the pages of an answer are joined, over a real socket."""

from __future__ import annotations

import json
import time

import pytest

from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.xporter.wire.access import Access, Caller, Failed
from api_pipeline.xporter.wire.client import IdaasClient
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver
from tests.support.scripted import says

_PATH = "/api/v1/School/9990001/Groups"


def _page(groups: list[int], members: list[int], number: int, rows: int) -> bytes:
    tables = {"Groups": [{"Id": one} for one in groups], "StudentMembers": [{"Id": one} for one in members]}
    return json.dumps({**tables, "__pagination__": [{"PageNumber": number, "PageCount": 3, "RowCount": rows}]}).encode()


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("rows", [5, 7])
def test_pages_of_several_tables_are_joined_however_they_count(first: int, rows: int) -> None:
    with HostileReceiver() as server, scripted.session() as session:
        origin = server.settings["TOKEN_ENDPOINT"].rpartition("/")[0]
        server.pages["/GetToken"] = says(200, b'{"token": "an-invented-token", "expires": null}')
        server.pages[_PATH] = says(200, _page([1, 2], [1, 2], first, rows))
        server.pages[f"{_PATH}?pagesize=2&page={first + 1}"] = says(200, _page([], [3, 4], first + 1, rows))
        server.pages[f"{_PATH}?pagesize=2&page={first + 2}"] = says(200, _page([], [5], first + 2, rows))
        access = Access(origin, f"{origin}/GetToken", "app", "test", (2.0, 2.0), max_attempts=1)
        limiter = RateLimiter(1, 0.0, time.monotonic)
        client = IdaasClient(Caller(session, access, "9990001", "invented", limiter, time.monotonic))
        with client.data(_PATH, []) as answer:
            found = {name: [row["Id"] for row in table] for name, table in answer.tables.items()}
    assert found == {"Groups": [1, 2], "StudentMembers": [1, 2, 3, 4, 5]}


def _students(number: int | None, ids: list[int], rows: int | None) -> bytes:
    page = {"PageNumber": number, "PageCount": 3, "RowCount": rows}
    return json.dumps({"Students": [{"Id": one} for one in ids], "__pagination__": [page]}).encode()


def _read(*, size: int, asked_from: int, told_from: int | None, rows: int | None) -> list[int]:
    """Read three pages from a server that is asked for them from one number and tells of them from another."""
    pages = [[1, 2], [3, 4], [5]]
    with HostileReceiver() as server, scripted.session() as session:
        origin = server.settings["TOKEN_ENDPOINT"].rpartition("/")[0]
        server.pages["/GetToken"] = says(200, b'{"token": "an-invented-token", "expires": null}')
        server.pages[_PATH] = says(200, _students(told_from, pages[0], rows))
        for number in range(6):
            place = max(0, number - asked_from)
            told = None if told_from is None else place + told_from
            body = _students(told, pages[place] if place < len(pages) else [], rows)
            server.pages[f"{_PATH}?pagesize=2&page={number}"] = says(200, body)
        access = Access(origin, f"{origin}/GetToken", "app", "test", (2.0, 2.0), max_attempts=1, page_size=size)
        limiter = RateLimiter(1, 0.0, time.monotonic)
        client = IdaasClient(Caller(session, access, "9990001", "invented", limiter, time.monotonic))
        with client.data(_PATH, []) as answer:
            return [row["Id"] for row in answer.tables["Students"]]


@pytest.mark.parametrize("size", [0, 2])
@pytest.mark.parametrize("rows", [5, None])
def test_pages_asked_for_from_1_may_be_told_from_0(size: int, rows: int | None) -> None:
    assert _read(size=size, asked_from=1, told_from=0, rows=rows) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("size", "told_from"), [(2, 0), (2, 1), (2, None), (0, 1), (0, None)])
def test_page_that_was_passed_over_is_missed_without_a_count(size: int, told_from: int | None) -> None:
    with pytest.raises(Failed, match="did not belong together"):
        _read(size=size, asked_from=0, told_from=told_from, rows=None)


def _collected(first: bytes, second: bytes) -> list[int]:
    """Read an endpoint whose first answer and whose second page of two rows are given."""
    with HostileReceiver() as server, scripted.session() as session:
        origin = server.settings["TOKEN_ENDPOINT"].rpartition("/")[0]
        server.pages["/GetToken"] = says(200, b'{"token": "an-invented-token", "expires": null}')
        server.pages[_PATH] = server.pages[f"{_PATH}?pagesize=2&page=1"] = says(200, first)
        server.pages[f"{_PATH}?pagesize=2&page=2"] = says(200, second)
        access = Access(origin, f"{origin}/GetToken", "app", "test", (2.0, 2.0), max_attempts=1)
        limiter = RateLimiter(1, 0.0, time.monotonic)
        client = IdaasClient(Caller(session, access, "9990001", "invented", limiter, time.monotonic))
        with client.data(_PATH, []) as answer:
            return [row["Id"] for row in answer.tables["Students"]]


def _two_pages(number: int, **page: object) -> bytes:
    ids = [1, 2] if number == 1 else [3]
    return json.dumps({"Students": [{"Id": one} for one in ids], "__pagination__": [page]}).encode()


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
    assert _collected(_two_pages(1, **stated), _two_pages(2, **stated)) == [1, 2, 3]


@pytest.mark.parametrize("stated", [{"PageCount": 1, "RowCount": 40}, {"NextPage": "/next"}])
def test_answer_that_says_itself_that_rows_are_missing_is_not_whole(stated: dict[str, object]) -> None:
    with pytest.raises(Failed, match="fewer rows than they count"):
        _collected(_two_pages(1, **stated), _two_pages(1, **stated))
