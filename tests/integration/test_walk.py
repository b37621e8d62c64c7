"""The walk of one due row through the modules, as `python -m benchmarks.walk` traces it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.walk import walk_of_one_row

# How often these look whether an answer has come follows from how long it takes.
WAITING = ("delivery/run", "delivery/stop_token", "transport/")
# Measured: 56 modules and 202 moves, beside about 80 of those that wait.
MOST_MODULES = 56
MOST_MOVES = 205


def test_one_due_row_passes_no_more_modules_and_moves_than_it_did(tmp_path: Path) -> None:
    walk = walk_of_one_row(tmp_path)

    moves = {pair: count for pair, count in walk.moves.most_common() if not pair[0].startswith(WAITING)}
    assert ("delivery/planner", "payloads/plan") in moves
    assert len(walk.modules) <= MOST_MODULES, sorted(walk.modules)
    assert sum(moves.values()) <= MOST_MOVES, moves
