"""A small world of the Single Data Return: an embedded database with staged records, and a simulated TEC in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import requests

from api_pipeline.auth.token_provider import Credentials
from api_pipeline.db import Connection, connect
from api_pipeline.errors import PipelineError
from api_pipeline.sandbox.simulator.adapter import InProcessAdapter
from api_pipeline.sandbox.simulator.tec import SimulatedReturn, TecConditions, TecOptions, TecSimulator
from api_pipeline.sdr import periods, schema
from api_pipeline.sdr.difference import digest_of
from api_pipeline.sdr.nouns import Collection, OnNewToken, Rules
from api_pipeline.sdr.opening import Access, base_url, make_receiver, make_store, receiver_key
from api_pipeline.sdr.outcome import Options, Summary
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.run import Submission
from api_pipeline.sdr.session import Session
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store
from api_pipeline.sdr.wire import Address, RequestOptions
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.single_request import Reach

PERIOD = 202608
NOW = datetime(2026, 8, 20, 3, 0, tzinfo=timezone.utc)
_ORIGIN = "https://tec.invalid"


def returns(now: datetime = NOW) -> tuple[SimulatedReturn, ...]:
    """Return the periods of the world: an indicative one, one that is closed, one that is open, one that is to come."""
    opens, closes = now - timedelta(days=20), now + timedelta(days=10)
    return (
        SimulatedReturn(202603, 2026, 3, opens, closes, indicative=True),
        SimulatedReturn(202604, 2026, 4, opens - timedelta(days=90), now - timedelta(days=60)),
        SimulatedReturn(PERIOD, 2026, 8, opens, closes),
        SimulatedReturn(202612, 2026, 12, now + timedelta(days=30), now + timedelta(days=60)),
    )


def record(local_id: str, text: str = "") -> dict[str, Any]:
    """Return an invented record; `text` makes another version of it."""
    return {"studentIdentificationCode": local_id, "gender": "F", "nameIdCode": text}


@dataclass
class Clock:
    """A clock that moves when somebody sleeps."""

    seconds: float = 0.0

    def __call__(self) -> float:
        """Return monotonic seconds."""
        return self.seconds

    def now(self) -> datetime:
        """Return the time that belongs to it."""
        return NOW + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += max(0.0, seconds)


class Killed(BaseException):
    """The process is killed, as far as the tables and TEC can tell."""


class DyingAdapter(InProcessAdapter):
    """Carry requests until the process is killed: before or after TEC has taken the last one."""

    def __init__(self, simulator: TecSimulator, world: TecWorld) -> None:
        super().__init__(simulator)
        self._world = world

    def send(self, request: requests.PreparedRequest, *args: Any, **keywords: Any) -> requests.Response:
        """Return the answer, unless the process is killed. Errors: Killed."""
        world = self._world
        if world.dies_at is None:
            return super().send(request, *args, **keywords)
        world.dies_at -= 1
        if world.dies_at < 0 and not world.dies_after:
            raise Killed
        answer = super().send(request, *args, **keywords)
        if world.dies_at < 0:
            raise Killed
        return answer


@dataclass
class TecWorld:
    """A store, a simulator, and what is staged, as the test knows it."""

    store: Store
    simulator: TecSimulator
    clock: Clock
    staged: dict[tuple[Collection, str], dict[str, Any]] = field(default_factory=dict)
    submission: type[Submission] = Submission
    adapt: Callable[[TecReceiver], None] = lambda _receiver: None
    rules: Rules = field(default_factory=lambda: Rules(first_wait_s=1.0))
    request_options: RequestOptions = field(
        default_factory=lambda: RequestOptions(wait_blocked_s=120.0, read_timeout_s=60.0)
    )
    attempts: int = 3
    dies_at: int | None = None
    dies_after: bool = False

    @property
    def scope(self) -> Scope:
        """The period that is submitted."""
        return Scope(receiver_key(base_url(_ORIGIN), "9999"), PERIOD)

    def stage(self, collection: Collection, local_id: str, content: Mapping[str, Any] | None = None) -> None:
        """Put a record into the staging table, or replace it."""
        value = dict(content if content is not None else record(local_id))
        text = orjson.dumps(value).decode()
        table = self.store.tables.staging
        run = self.store.connection.execute
        if (collection, local_id) in self.staged:
            run(
                f"UPDATE {table} SET json_payload = ? WHERE collection = ? AND local_id = ?",
                [text, collection.value, local_id],
            )
        else:
            run(
                f"INSERT INTO {table} (collection, local_id, json_payload) VALUES (?, ?, ?)",
                [collection.value, local_id, text],
            )
        self.staged[collection, local_id] = value

    def unstage(self, collection: Collection, local_id: str) -> None:
        """Take a record out of the staging table."""
        table = self.store.tables.staging
        self.store.connection.execute(
            f"DELETE FROM {table} WHERE collection = ? AND local_id = ?", [collection.value, local_id]
        )
        del self.staged[collection, local_id]

    def receiver(self) -> TecReceiver:
        """Return a receiver of a new run: it has to log in again."""
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", DyingAdapter(self.simulator, self))
        options = self.simulator.options
        access = Access(
            Credentials(
                f"{_ORIGIN}/oauth2/access_token",
                options.client_id,
                options.client_secret,
                options.scope,
                client_auth="basic",
                extra={"org_id": options.eid},
            ),
            Address(base_url(_ORIGIN), options.eid),
            Reach((1.0, 1.0)),
            RetryPolicy(self.attempts, 0.0, lambda _low, _high: 0.0),
            self.request_options,
        )
        made = make_receiver(session, access, clock=self.clock, sleep=self.clock.sleep)
        self.adapt(made)
        return made

    def submit(self, **options: Any) -> Summary:
        """Run a submission as the command does; an error stands in the summary."""
        summary = Summary("run")
        wanted = Options(**{"allow_deletes": True, **options})
        receiver = self.receiver()
        try:
            period = periods.find(str(PERIOD), receiver.returns())
            periods.require_open(period, self.clock.now())
            period = periods.wait_for_validation(receiver, period, self.rules, self.clock, self.clock.sleep)
            session = Session(receiver, self.store, self.scope, period, self.rules, self.clock.now)
            session.open()
            self.submission(session, wanted, summary).run()
        except PipelineError as error:
            summary.error = error
        return summary

    def held(self) -> dict[tuple[Collection, str], dict[str, Any]]:
        """Return what TEC holds for the period."""
        found = self.simulator.held(PERIOD)
        return {
            (Collection(name), local_id): {key: value for key, value in content.items() if key != "localId"}
            for name, records in found.items()
            for local_id, content in records.items()
        }

    def baseline(self) -> dict[tuple[Collection, str], bytes | None]:
        """Return what the tables say that TEC holds."""
        rows = self.store.connection.query(
            "SELECT collection, local_id, payload_hash FROM sdr_held WHERE receiver = ? AND return_id = ?",
            list(self.scope.key),
        )
        return {(Collection(row[0]), row[1]): bytes(row[2]) if row[2] is not None else None for row in rows}

    def check_baseline(self) -> None:
        """Look whether everything that TEC holds is known or in doubt, and nothing else is called held (law 1)."""
        held, baseline = self.held(), self.baseline()
        for key, content in held.items():
            assert key in baseline, f"TEC holds {key}, which the baseline does not have"
            assert baseline[key] in (None, digest_of(key[1], content)), (
                f"{key} is held otherwise than the baseline says"
            )
        alive = self.simulator.submission(PERIOD)
        stored = self.store.submission(self.scope)
        if (
            stored
            and stored.token
            and alive.token == stored.token.value
            and alive.expiry
            and alive.expiry > self.clock.now()
        ):
            wrong = [key for key, digest in baseline.items() if digest is not None and key not in held]
            assert not wrong, f"the baseline says of {wrong} that TEC holds it, which it does not"


@contextmanager
def tec_world(folder: Path, conditions: TecConditions | None = None, **members: Any) -> Iterator[TecWorld]:
    """Make a world in an empty folder."""
    connection = connect(f"sqlite:///{folder / 'sdr.db'}", create=True)
    try:
        # A power cut is not among what is tried, and a process that is killed loses no commit without it.
        connection.execute("PRAGMA synchronous = OFF")
        schema.apply(connection, "sdr_staging")
        yield make_world(connection, conditions, **members)
    finally:
        connection.close()


def make_world(connection: Connection, conditions: TecConditions | None = None, **members: Any) -> TecWorld:
    """Make a world on a database whose tables are there."""
    clock = Clock()
    options = TecOptions(returns=returns(), conditions=conditions or TecConditions())
    simulator = TecSimulator(options, clock=clock, now=clock.now, sleep=clock.sleep)
    return TecWorld(make_store(connection, "sdr_staging"), simulator, clock, **members)


__all__ = ["NOW", "PERIOD", "Clock", "OnNewToken", "TecWorld", "make_world", "record", "returns", "tec_world"]
