"""How the pages of an answer are joined, over a real socket."""

from __future__ import annotations

import json
import time

import pytest

from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.xporter.wire.access import Access, Caller
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
