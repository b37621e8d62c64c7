"""`python -m benchmarks.walk`: which modules one due row passes on its way, and how often it moves between them.

A run of one row is traced: from reading the table to the write-back, in every thread of the run. A move is a call from
a function of one module to a function of another, counted by what was called last of ours in the same thread. A run
does much once, whatever its number of rows; so a run of two rows is traced beside it, and what it does more is what one
more row of a batch costs.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from api_pipeline.delivery.run import Run
from api_pipeline.interface import load_settings, run
from api_pipeline.sandbox.simulator import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY, SimulatorServer
from benchmarks.cases import Case
from benchmarks.data import TABLE, SqliteShop, dataset_of
from benchmarks.measure import BenchmarkFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = str(Path(sys.modules["api_pipeline"].__file__ or "").parent)
_OF_A_RUN = ("MainThread", "sender-")


class Walk:
    """Count, while it is on, the modules entered, the functions called and the moves between modules."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()
        self.threads: set[str] = set()

    @property
    def modules(self) -> set[str]:
        """Return the modules that were entered."""
        return {module for module, _ in self.calls}

    def beyond(self, other: Walk) -> Walk:
        """Return what this walk did more than another."""
        more = Walk()
        more.calls, more.moves = self.calls - other.calls, self.moves - other.moves
        return more

    @contextmanager
    def on(self) -> Iterator[None]:
        """Trace this thread, and those of the run that start meanwhile."""
        threading.setprofile(self._see)
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _see(self, frame: FrameType, event: str, _argument: Any) -> None:
        thread = threading.current_thread().name
        module = _module_of(frame)
        if event != "call" or module is None or not thread.startswith(_OF_A_RUN):
            return
        self.threads.add(thread)
        # Before Python 3.11 code knows its bare name alone.
        self.calls[module, getattr(frame.f_code, "co_qualname", frame.f_code.co_name)] += 1
        caller = frame.f_back
        while caller is not None and _module_of(caller) is None:
            caller = caller.f_back
        if caller is not None and (before := _module_of(caller)) is not None and before != module:
            self.moves[before, module] += 1


def _module_of(frame: FrameType) -> str | None:
    name = frame.f_code.co_filename
    return name[len(_PACKAGE) + 1 :].removesuffix(".py") if name.startswith(_PACKAGE) else None


def walk_of(rows: int) -> Walk:
    """Return the traced run of so many due rows on SQLite. Errors: BenchmarkFailed where a row is not sent."""
    walk = Walk()
    execute = Run.execute

    def traced(self: Run) -> None:
        with walk.on():
            execute(self)

    with (
        tempfile.TemporaryDirectory(prefix="d2i-csc-api-walk-") as folder,
        SimulatorServer() as server,
        SqliteShop(Path(folder), "").staging(dataset_of(Case(rows=rows))) as staging,
    ):
        settings = load_settings(
            DB_CONNECTION_STRING=staging.connection_string,
            TABLE_NAME=TABLE,
            API_ENDPOINT=server.base_url,
            TOKEN_ENDPOINT=server.token_url,
            CLIENT_ID=CLIENT_ID,
            CLIENT_SECRET=CLIENT_SECRET,
            SCOPE=SCOPE,
            SUPPLIER_KEY=SUPPLIER_KEY,
            LA_CODE=LA_CODE,
            TESTING_MODE=False,
        )
        Run.execute = traced  # type: ignore[method-assign] # the whole run is set up as ever; only this part is traced
        try:
            run(settings)
        finally:
            Run.execute = execute  # type: ignore[method-assign]
        if staging.count("submission_status = 'sent'") != rows:
            raise BenchmarkFailed("a row was not sent")
    return walk


def main() -> None:
    """Print the figures, and the moves by pair of modules."""
    one, two = walk_of(1), walk_of(2)
    _print("a run of one due row", one)
    _print("each further row", two.beyond(one))


def _print(what: str, walk: Walk) -> None:
    modules, moves = len(walk.modules), walk.moves.total()
    sys.stdout.write(f"{what}: {modules} modules, {len(walk.calls)} functions, {moves} moves between modules\n")
    for (before, after), count in walk.moves.most_common():
        sys.stdout.write(f"{count:5} {before} -> {after}\n")


if __name__ == "__main__":
    main()
