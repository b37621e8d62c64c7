"""The walk of one due row through the modules, as `python -m benchmarks.walk` traces it."""

from __future__ import annotations

from benchmarks.walk import Walk, walk_of

# How often these look whether an answer has come follows from how long it takes.
WAITING = ("delivery/run", "delivery/stop_token", "transport/")
# Measured: 48 modules and 128 moves, beside about 60 of those that wait.
MOST_MODULES = 48
MOST_MOVES = 129
# Measured for a second row of the batch: 15 modules and 20 moves, beside two of the run.
MOST_MODULES_FURTHER = 15
MOST_MOVES_FURTHER = 20


def moves_of(walk: Walk) -> dict[tuple[str, str], int]:
    """Return the moves that do not follow from how long answers take."""
    return {pair: count for pair, count in walk.moves.most_common() if not pair[0].startswith(WAITING)}


def fits(walk: Walk, most_modules: int, most_moves: int) -> bool:
    return len(walk.modules) <= most_modules and sum(moves_of(walk).values()) <= most_moves


def calmer(walk: Walk, other: Walk | None) -> Walk:
    """Return the walk with fewer calls: where answers are late, a few are added."""
    return walk if other is None or walk.calls.total() < other.calls.total() else other


def test_due_rows_pass_no_more_modules_and_moves_than_they_did() -> None:
    one, two = None, None
    for _ in range(4):
        one, two = calmer(walk_of(1), one), calmer(walk_of(2), two)
        walk, further = one, two.beyond(one)
        if fits(walk, MOST_MODULES, MOST_MOVES) and fits(further, MOST_MODULES_FURTHER, MOST_MOVES_FURTHER):
            break

    moves, more = moves_of(walk), moves_of(further)
    assert ("delivery/planner", "payloads/plan") in moves
    assert len(walk.modules) <= MOST_MODULES, sorted(walk.modules)
    assert sum(moves.values()) <= MOST_MOVES, moves
    assert ("delivery/planner", "payloads/plan") in more
    assert len(further.modules) <= MOST_MODULES_FURTHER, sorted(further.modules)
    assert sum(more.values()) <= MOST_MOVES_FURTHER, more
