"""What is measured: the nouns, and the named sets of cases."""

from __future__ import annotations

from dataclasses import dataclass, replace

UPSTREAM = "today's tool"
# What is measured beside ours, and the module of each: the floor and today's tool know PostgreSQL only.
OTHER_PROGRAMS = {"reference": "reference", "floor": "floor", UPSTREAM: "upstream"}


@dataclass(frozen=True, slots=True)
class Case:
    """One run to be measured.

    `database` is "postgresql" or "sqlite", `mode` "full", "deltas" or "changed" (full payloads on a
    later night, every child changed), `program` "ours" or a name of `OTHER_PROGRAMS`; `latency_ms` is
    the receiver's wait before each answer, `shards` how many runs share the table. `checks` and `control_tables` are
    false where the schema check is switched off, or the control tables are not there.
    """

    rows: int
    database: str = "postgresql"
    mode: str = "full"
    latency_ms: int = 0
    in_flight: int = 4
    size: int = 6500
    program: str = "ours"
    shards: int = 1
    checks: bool = True
    control_tables: bool = True

    @property
    def name(self) -> str:
        """Return what the line is called in the table."""
        notes = [self.program]
        if self.shards > 1:
            notes.append(f"{self.shards} shards")
        if not self.checks:
            notes.append("no schema check")
        if not self.control_tables:
            notes.append("no control tables")
        return ", ".join(notes)

    @property
    def ideal_rate(self) -> float | None:
        """Records a second that a receiver of this latency can take; None where it answers at once."""
        return 1000 * 100 * self.in_flight * self.shards / self.latency_ms if self.latency_ms else None


# Each program, each database and each mode, but not each with each: what counts is that measuring works.
SMOKE = tuple(
    Case(rows=300, database=database, mode=mode, program=program, in_flight=2)
    for database, mode, program in (
        ("sqlite", "full", "ours"),
        ("sqlite", "deltas", "reference"),
        ("postgresql", "deltas", "ours"),
        ("postgresql", "full", "reference"),
        ("postgresql", "full", UPSTREAM),
    )
)

_BASE = Case(rows=10_000)

SIZES = tuple(
    replace(_BASE, rows=rows, database=database, mode=mode)
    for database in ("postgresql", "sqlite")
    for mode in ("full", "deltas")
    for rows in (2_000, 10_000, 100_000)
)
REFERENCE = (
    *(replace(_BASE, program="reference", mode=mode) for mode in ("full", "deltas")),
    replace(_BASE, program="reference", database="sqlite"),
)
# 500 ms with one in flight would only show a waiting program for ten times as long.
LATENCY = (
    *(replace(_BASE, latency_ms=latency, in_flight=in_flight) for latency in (0, 50, 500) for in_flight in (1, 4, 8)),
    # Long enough that the start and the last, half empty round of requests weigh little.
    replace(_BASE, rows=40_000, latency_ms=500, in_flight=8),
)
SHARDS = tuple(replace(_BASE, latency_ms=500, in_flight=2, shards=shards) for shards in (1, 2, 4))
_WHOLE = replace(_BASE, rows=20_000, size=6000)
# By the receiver's latency: at once, where everything the program does is seen, and as one that has work of its own.
PARTS = tuple(
    (whole, replace(whole, checks=False), replace(whole, control_tables=False))
    for whole in (_WHOLE, replace(_WHOLE, latency_ms=200))
)
# Each by turns on one server and one receiver: the floor has no deltas, so they are compared with today's tool alone.
FLOOR = (
    *(
        replace(_BASE, program=program, mode=mode)
        for mode, programs in (
            ("full", ("ours", "floor", UPSTREAM)),
            ("deltas", ("ours", UPSTREAM)),
            ("changed", ("ours", "floor", UPSTREAM)),
        )
        for program in programs
    ),
    # What is left without our checks and our own tables, which the floor does not have or only fills.
    replace(_BASE, checks=False, control_tables=False),
)
LARGE = (replace(_BASE, rows=4_000, size=50_000), replace(_BASE, rows=4_000, size=50_000, mode="deltas"))

SETS: dict[str, tuple[Case, ...]] = {
    "smoke": SMOKE,
    "sizes": SIZES,
    "reference": REFERENCE,
    "latency": LATENCY,
    "shards": SHARDS,
    "large": LARGE,
}
