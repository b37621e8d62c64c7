"""The law of bad gateways: whatever a receiver does, the table tells the truth and sound rows arrive.

Three nights a history. In the first two, tricks befall single requests and a quota may end; what the gateway always
does (records that make it fail, a size at which it resets, interim answers, refusals that name nothing) lasts through
the third. `GATEWAY_HISTORIES` sets how many histories are tried (`scripts/gateway-histories` tries 300).
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.sandbox.simulator import Refusal, SimulatorServer
from api_pipeline.sandbox.simulator.hostile_gateway import Habits, HostileGateway
from api_pipeline.sandbox.simulator.hostile_tricks import Trick
from tests.properties.model import content
from tests.support.databases import sqlite_database
from tests.support.effort import examples
from tests.support.staging import child, staged
from tests.support.world import World, normal

HISTORIES = int(os.environ.get("GATEWAY_HISTORIES", examples(4, 300)))
ATTEMPTS = 2
# Those that make a try wait for its end come seldom: each costs a second.
SLOW = (Trick.DRIPPING_HEAD, Trick.DRIPPING_BODY)
QUICK = tuple(trick for trick in Trick if trick not in SLOW)


@dataclass(frozen=True)
class History:
    """Three nights: how many children, how they travel, what the gateway always does, and its tricks by night."""

    children: int
    batch_size: int
    in_flight: int
    poison: dict[str, int]
    refused: frozenset[str]
    fits: int | None
    interim: tuple[int, ...]
    tricks: tuple[list[Trick], list[Trick]]
    quotas: tuple[int | None, int | None]


def name(number: int) -> str:
    return f"N{number:02}"


@st.composite
def histories(draw: st.DrawFn) -> History:
    children = draw(st.integers(1, 14))
    names = st.sampled_from([name(number) for number in range(children)])
    tricks = st.lists(st.one_of([st.sampled_from(QUICK)] * 12 + [st.sampled_from(SLOW)]), max_size=7)
    quotas = st.none() | st.none() | st.integers(0, 6)
    return History(
        children,
        draw(st.integers(1, 8)),
        draw(st.integers(1, 3)),
        draw(st.dictionaries(names, st.sampled_from([500, 502, 503, 504, 0]), max_size=3)),
        draw(st.frozensets(names, max_size=2)),
        draw(st.none() | st.integers(1, 5)),
        draw(st.sampled_from([(), (), (103,), (100, 102)])),
        (draw(tricks), draw(tricks)),
        (draw(quotas), draw(quotas)),
    )


@settings(max_examples=HISTORIES)
@given(histories())
def test_table_tells_the_truth_and_sound_rows_arrive(history: History) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        sqlite_database(Path(folder)) as database,
        SimulatorServer() as server,
        HostileGateway(server.simulator) as gateway,
    ):
        world = World(database.deploy(), server, Path(folder))
        world.fill([staged(name(number), child(name(number))) for number in range(history.children)])
        refusal = Refusal(ids=history.refused, is_named=False)
        server.simulator.change(refusals=(refusal,) if history.refused else ())
        # Two brackets around the records of a body, a comma between them, and a few bytes to spare.
        one = len(world.rows()[name(0)]["json_payload"].encode())
        largest = None if history.fits is None else history.fits * (one + 1) + 2
        for night in range(3):
            tricks, quota = (history.tricks[night], history.quotas[night]) if night < 2 else ([], None)
            gateway.begin_night(Habits(history.poison, largest, quota, history.interim), tricks)
            check_night(world, gateway, history, night)
        rows = world.rows()
        unsound = history.poison.keys() | history.refused
        late = [person for person, row in rows.items() if row["submission_status"] != "sent" and person not in unsound]
        assert not late, {person: rows[person]["api_response"] for person in late}
        assert all(rows[person]["submission_status"] == "error" for person in unsound)


def check_night(world: World, gateway: HostileGateway, history: History, night: int) -> None:
    """Run one night; hold every row against the ledger behind the gateway, and the requests against their bound."""
    due = sum(row["submission_status"] != "sent" for row in world.rows().values())
    done = world.run(
        API_ENDPOINT=gateway.base_url,
        TOKEN_ENDPOINT=gateway.token_url,
        BATCH_SIZE=history.batch_size,
        MAX_IN_FLIGHT=history.in_flight,
        MAX_ATTEMPTS=ATTEMPTS,
        READ_TIMEOUT_S=0.5 if night < 2 else 20,
    )
    assert done.code in (0, 1, 4, 5), done.text
    batches = -(-due // history.batch_size)
    assert gateway.requests <= (ATTEMPTS + 2) * batches + 6 * due, "requests stay within their bound"
    for person, row in world.rows().items():
        if row["submission_status"] == "sent":
            given_out = " ".join(world.server.simulator.receipts(person))
            assert row["api_response"] in given_out, "a row is sent with a receipt that its child was never given"
            assert row["previous_json_payload"] == row["json_payload"]
            held = world.server.simulator.held(person)
            assert held is not None
            assert content(held) == normal(row["json_payload"])
