"""A story of the campaign: one council, one receiver, random nights with faults, and the law that holds after each."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from api_pipeline.sandbox.simulator import Fault, FaultKind, Reading, ReceiptShape, Refusal, Simulator, SimulatorServer
from api_pipeline.sandbox.simulator import When as At
from api_pipeline.sandbox.simulator.faults import FaultTarget
from api_pipeline.sql.identifiers import Dialect
from tests.faults.council import Council
from tests.faults.outages import after_requests, allow_writes, cut_connections, let_in, refuse_writes, shut_out
from tests.support.commands import Completed
from tests.support.databases import TestDatabase
from tests.support.staging import table_rows, text_of
from tests.support.world import World, held_now, normal, recorded

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_STATUSES = (204, 302, 400, 401, 403, 404, 408, 413, 422, 425, 429, 500, 502, 503, 504)
# Those after which a receiver may have taken the records all the same.
_DOUBTFUL = (408, 500, 502, 503, 504)
_CLEAN_RUNS = 4


class LawBroken(AssertionError):
    """The law does not hold; the text says for which child, and of which seed."""


@dataclass
class Figures:
    """What a campaign did and found."""

    runs: int = 0
    clean_runs: int = 0
    programs: int = 0
    children: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def lines(self) -> Iterator[str]:
        """Yield the figures as lines of text."""
        yield f"runs with faults                      {self.runs}"
        yield f"  as programs of their own            {self.programs}"
        yield f"clean runs after them                 {self.clean_runs}"
        yield f"children                              {self.children}"
        yield f"faults injected                       {self.faults.total()}"
        yield from (f"  {name:<36}{count}" for name, count in sorted(self.faults.items()))
        yield f"exit codes                            {dict(sorted(self.exits.items()))}"
        yield f"law broken                            {len(self.broken)}"
        yield from (f"  {sentence}" for sentence in self.broken)
        yield f"seconds                               {self.seconds:.0f}"


class Story:
    """One council, one receiver and a number of nights; everything follows from the seed."""

    def __init__(self, seed: int, database: TestDatabase, folder: Path, figures: Figures) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.simulator = Simulator()
        self.is_replacing = self.rng.random() < 0.2
        self.simulator.change(reading=Reading.REPLACE if self.is_replacing else Reading.MERGE)
        self.server = SimulatorServer(self.simulator)
        self.world = World(database, self.server, folder)
        self.council = Council(database, self.rng)
        self.figures = figures
        self.night = 0

    def run(self, nights: int) -> None:
        """Live through the nights: one to three runs with faults, the table changing in between, then clean runs."""
        self.council.join(self.rng.randrange(8, 30))
        try:
            for self.night in range(1, nights + 1):
                for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
                    self.council.build(self.rng.choice((0.1, 0.4, 0.9)))
                    self._faulty_run()
                    self._check_what_is_sent()
                if self.rng.random() < 0.5:
                    self.council.build(0.4)
                self._clean_runs()
                self.check_law()
        finally:
            self.server.stop()
            self.figures.children += len(self.council.living) + len(self.council.gone)

    # A run with faults.

    def _faulty_run(self) -> None:
        self.figures.runs += 1
        self._program_requests()
        self._program_conditions()
        rng = self.rng
        arguments = ["--deltas"] if not self.is_replacing and rng.random() < 0.4 else ["--full"]
        settings: dict[str, object] = {
            "BATCH_SIZE": rng.choice((1, 3, 5, 20)),
            "MAX_IN_FLIGHT": rng.choice((1, 2, 4)),
            "MAX_ATTEMPTS": rng.choice((1, 2, 3)),
            "GIVE_UP_AFTER_FAILED_BATCHES": rng.choice((1, 2, 3)),
            "READ_TIMEOUT_S": 0.3,
            "DB_RETRY_S": rng.choice((0, 10)),
        }
        before = self.simulator.stats()
        if rng.random() < 0.15:
            self._run_as_program(arguments, settings)
        else:
            with self._disturbance():
                code = self.world.run(*arguments, **settings).code
            self.figures.exits[code] += 1
        self._count_faults(before.requests, before.token_requests)
        self._clear()

    def _program_requests(self) -> None:
        """Program faults for coming requests by their numbers, so that it is known which of them befell."""
        rng = self.rng
        self.programmed: list[tuple[Fault, str]] = []
        came = self.simulator.stats()
        density = rng.choice((0.0, 0.15, 0.4, 0.8))
        for number in range(came.requests + 1, came.requests + 40):
            if rng.random() < density:
                kind, name = self._fault()
                self.programmed.append((_numbered(kind, number), name))
        if rng.random() < 0.15:
            token = Fault(FaultKind.ANSWER, FaultTarget.TOKEN, status=rng.choice((500, 503, 401)))
            self.programmed.append((_numbered(token, came.token_requests + 1), "token request refused"))
        self.simulator.add_fault(*(fault for fault, _ in self.programmed))

    def _fault(self) -> tuple[Fault, str]:
        rng = self.rng
        when = rng.choice((At.BEFORE_ACCEPTING, At.AFTER_ACCEPTING))
        suffix = " after accepting" if when is At.AFTER_ACCEPTING else ""
        match rng.choice(("status", "status", "doubtful", "drop", "drop", "hang", "slow", "receipts")):
            case "status":
                status = rng.choice(_STATUSES)
                wait = rng.choice((None, 0.05)) if status in (429, 503) else None
                return Fault(FaultKind.ANSWER, status=status, retry_after_s=wait), f"status {status}"
            case "doubtful":
                return Fault(FaultKind.ANSWER, when=when, status=rng.choice(_DOUBTFUL)), f"5xx or 408{suffix}"
            case "drop":
                when = rng.choice(list(At))
                name = f"connection dropped {when.value.replace('_', ' ')}"
                return Fault(FaultKind.DROP, when=when), name
            case "hang":
                return Fault(FaultKind.HANG, when=when), f"no answer in time{suffix}"
            case "receipts":
                return Fault(FaultKind.RECEIPTS, shape=rng.choice(list(ReceiptShape)[3:])), "receipts nobody can read"
            case _:
                return Fault(FaultKind.SLOW, delay_s=rng.choice((0.02, 0.1))), "slow answer"

    def _program_conditions(self) -> None:
        rng = self.rng
        if rng.random() < 0.3:
            disliked = frozenset(rng.sample(sorted(self.council.living), min(3, len(self.council.living))))
            refusal = Refusal(disliked, status=rng.choice((400, 400, 422, 403)), is_named=rng.random() < 0.5)
            self.simulator.change(refusals=(refusal,))
            self.figures.faults["children disliked by the receiver"] += len(disliked)
        if rng.random() < 0.2:
            self.simulator.change(max_body_bytes=rng.choice((3000, 6000)))
            self.figures.faults["body limit"] += 1
        if rng.random() < 0.1:
            self.simulator.change(latency_s=0.02)

    def _count_faults(self, requests: int, tokens: int) -> None:
        after = self.simulator.stats()
        for fault, name in self.programmed:
            first, came = (
                fault.first or 0,
                after.token_requests if fault.target is FaultTarget.TOKEN else after.requests,
            )
            if first <= came:
                self.figures.faults[name] += 1

    def _clear(self) -> None:
        self.simulator.clear_faults()
        self.simulator.change(refusals=(), max_body_bytes=None, latency_s=0.0)

    # What happens beside the run.

    @contextmanager
    def _disturbance(self) -> Iterator[None]:
        """Let something happen once so many requests have come, while the run is at work, and put it right after."""
        happenings: list[tuple[str, Callable[[], None]]] = [
            ("token expired in mid-run", self.simulator.expire_tokens),
            ("table changed in mid-run", lambda: self.council.build(0.4)),
            ("database refuses writes", lambda: refuse_writes(self.world.database)),
        ]
        if self._may_be_cut_off:
            happenings += [("database connections cut", lambda: cut_connections(self.world.database))] * 2
        if self._may_be_shut:
            happenings.append(("database gone", lambda: shut_out(self.world.database)))
        if self.rng.random() < 0.4:
            yield
            return
        name, happen = self.rng.choice(happenings)
        self.simulator.change(latency_s=0.01)

        def befall() -> None:
            happen()
            self.figures.faults[name] += 1

        with after_requests(self.world, self.rng.randrange(1, 8), befall):
            yield
        self._make_good()

    @property
    def _may_be_cut_off(self) -> bool:
        # Not a database that others use: there the tests have nothing but a schema.
        return self.world.database.dialect is not Dialect.SQLITE and self.world.database.schema is None

    @property
    def _may_be_shut(self) -> bool:
        return self.world.database.dialect is Dialect.POSTGRESQL and self._may_be_cut_off

    def _make_good(self) -> None:
        if self._may_be_shut:
            let_in(self.world.database)
        allow_writes(self.world.database)

    # A program of its own, which can be killed.

    def _run_as_program(self, arguments: list[str], settings: dict[str, object]) -> None:
        self.figures.programs += 1
        number = self.rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        # Small batches and slow answers, so that most of these runs are still at work when they are struck.
        settings = {**settings, "BATCH_SIZE": self.rng.choice((1, 2, 3))}
        self.simulator.change(latency_s=0.03)
        until = self.world.requests() + self.rng.randrange(0, 7)
        moment_later = self.rng.random() * (0.4 if until == self.world.requests() else 0.04)
        with self.world.started(*arguments, "--quiet", **settings) as process:
            while process.poll() is None and self.world.requests() < until:
                time.sleep(0.001)
            time.sleep(moment_later)
            if process.poll() is None:
                process.send_signal(number)
                self.figures.faults[number.name] += 1
            self.figures.exits[process.wait(timeout=60)] += 1

    # What must hold.

    def _clean_runs(self) -> None:
        for _ in range(_CLEAN_RUNS):
            self.figures.clean_runs += 1
            done = self._run_once_the_lock_is_free(
                "--full" if self.is_replacing or self.rng.random() < 0.5 else "--deltas"
            )
            if done.code != 0:
                self._fail(f"a clean run ended with exit code {done.code}: {done.text}")
            if re.search(r"^\s*due\s+0$", done.out, re.M):
                return
        self._fail(f"after {_CLEAN_RUNS} clean runs something is still due")

    def _run_once_the_lock_is_free(self, mode: str) -> Completed:
        # A server takes a moment to notice that a client was killed.
        until = time.monotonic() + 10
        while (done := self.world.run(mode)).code == 75 and time.monotonic() < until:
            time.sleep(0.05)
        return done

    def _check_what_is_sent(self) -> None:
        """No row is `sent` without a receipt of the receiver's, nor in a version that the receiver does not hold."""
        held = held_now(self.simulator)
        for row in table_rows(self.world.database, self.world.database.table):
            if row["submission_status"] != "sent":
                continue
            child = row["person_id"]
            receipts = [_UUID.findall(receipt)[0] for receipt in self.simulator.receipts(child)]
            found = _UUID.findall(row["api_response"] or "")
            if not found or found[0] not in receipts:
                self._fail(f"{child} is sent without a receipt")
            if row["row_state"] == "unchanged" and held.get(child) != normal(row["json_payload"]):
                self._fail(f"{child} is sent, but the receiver holds something else")

    def check_law(self) -> None:
        self._check_what_is_sent()
        held = held_now(self.simulator)
        for child, payload in self.council.living.items():
            if held.get(child) != normal(text_of(payload) or ""):
                self._fail(f"{child} is not held in its newest version")
        for child in self.council.gone:
            if child in held:
                self._fail(f"{child} was deleted and is held")
        if recorded(self.world.database) != held:
            self._fail("ssd_api_held says something else than the receiver")

    def _fail(self, sentence: str) -> None:
        raise LawBroken(f"seed {self.seed}, night {self.night}, {self.world.database.name}: {sentence}")


def _numbered(fault: Fault, number: int) -> Fault:
    return replace(fault, first=number, last=number)
