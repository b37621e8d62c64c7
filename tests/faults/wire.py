"""Lines of the wire table (contract 4) that hold for a whole batch: each a fault, and what becomes of the batch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from api_pipeline.sandbox.simulator import Fault, FaultKind, ReceiptShape, When
from tests.support.world import World

IN_TIME_S = 1.0  # a busy machine answers within this, and a test that waits for it does not last long


@dataclass(frozen=True)
class Line:
    """One line of the wire table: the fault, and what becomes of the records of the batch that it applies to.

    `tries` is how many requests of that batch are met by the fault; `requests` how many requests the batch takes;
    `probes` how many empty arrays are sent beside them.
    """

    name: str
    fault: Fault
    becomes: str
    exit_code: int
    requests: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    probes: int = 0

    def __str__(self) -> str:
        return self.name

    def is_met(self, status: str, said: str) -> bool:
        """Return whether a row stands as this line has it."""
        if self.becomes == "sent":
            return status == "sent"
        return status == "error" and re.search(self.becomes.removeprefix("error: "), said) is not None


def answer(status: int, **members: Any) -> Fault:
    return Fault(FaultKind.ANSWER, status=status, **members)


def receipts(shape: ReceiptShape, status: int = 200) -> Fault:
    return Fault(FaultKind.RECEIPTS, shape=shape, status=status)


ACCEPTED = [
    Line(f"{status} with {shape.value} receipts", receipts(shape, status), "sent", 0)
    for status, shape in (
        (200, ReceiptShape.LIST),
        (201, ReceiptShape.LIST),
        (202, ReceiptShape.LIST),
        (200, ReceiptShape.TEXT),
        (201, ReceiptShape.TEXT),
        (200, ReceiptShape.SINGLE),
        (202, ReceiptShape.SINGLE),
    )
]
UNKNOWN = [
    Line(f"{status} with {shape.value} receipts", receipts(shape, status), f"error: ^HTTP {status}: .*unknown", 1)
    for status, shape in (
        (200, ReceiptShape.SHORT),
        (202, ReceiptShape.SHORT),
        (200, ReceiptShape.LONG),
        (200, ReceiptShape.EMPTY),
        (201, ReceiptShape.EMPTY),
        (200, ReceiptShape.LOGIN_PAGE),
        (200, ReceiptShape.MALFORMED),
    )
]
# Whatever a proxy makes of an answer of success, the records may have been taken.
UNKNOWN += [Line(str(status), answer(status), f"error: ^HTTP {status}: .*unknown", 1) for status in (203, 207)]
FINAL = [
    Line(str(status), answer(status), f"error: ^HTTP {status}", 1) for status in (204, 402, 404, 405, 409, 415, 451)
] + [
    Line(
        f"{status}, which is not followed",
        answer(status, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
        f"error: ^HTTP {status}: redirected",
        1,
    )
    for status in (301, 302, 303, 307, 308)
]
PASSING = [Line(f"one {status}", answer(status), "sent", 0, 2) for status in (408, 425, 429, 500, 502, 503, 504, 599)]
PASSING += [
    Line("a drop before anything is read", Fault(FaultKind.DROP, when=When.BEFORE_READING), "sent", 0, 2),
    Line("a drop before anything is accepted", Fault(FaultKind.DROP), "sent", 0, 2),
    Line("a drop after all was accepted", Fault(FaultKind.DROP, when=When.AFTER_ACCEPTING), "sent", 0, 2),
    Line("a 500 after all was accepted", answer(500, when=When.AFTER_ACCEPTING), "sent", 0, 2),
    Line("one 401", answer(401), "sent", 0, 2),
    Line("one 413", answer(413), "sent", 0, 3),
]
LATE = [
    Line("no answer in time", Fault(FaultKind.HANG), "sent", 0, 2, {"READ_TIMEOUT_S": IN_TIME_S}),
    Line(
        "no answer in time though all was accepted",
        Fault(FaultKind.HANG, when=When.AFTER_ACCEPTING),
        "sent",
        0,
        2,
        {"READ_TIMEOUT_S": IN_TIME_S},
    ),
]
# Each ends a run in one way, whatever else of the table is in it: with every row sent, or with rows in error.
TABLES = {"accepted": ACCEPTED, "unknown": UNKNOWN, "final": FINAL, "passing": PASSING, "late": LATE}
OUTLASTING = [
    *(Line(str(code), answer(code, times=None), f"error: ^HTTP {code}", 5) for code in (425, 429)),
    *(Line(str(code), answer(code, times=None), f"error: ^HTTP {code}", 5, probes=1) for code in (408, 500, 503, 504)),
    Line("drops", Fault(FaultKind.DROP, times=None), "error: ^network error: the connection was lost", 5, probes=1),
    Line(
        "drops after accepting",
        Fault(FaultKind.DROP, times=None, when=When.AFTER_ACCEPTING),
        "error: ^network error: the connection was lost",
        5,
        probes=1,
    ),
    Line(
        "no answer",
        Fault(FaultKind.HANG, times=None),
        "error: ^network error: no answer within READ_TIMEOUT_S",
        5,
        settings={"READ_TIMEOUT_S": IN_TIME_S},
        probes=1,
    ),
]


def finish(world: World) -> None:
    """Let every fault pass and see that a clean run leaves nothing due."""
    world.server.simulator.clear_faults()
    world.server.simulator.change(latency_s=0.0, refusals=(), refuse_supplier_key=False)
    done = world.run()
    assert done.code == 0, done.text
    world.check(dict.fromkeys(world.before, "sent"))
