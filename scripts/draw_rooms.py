"""Draw the rooms of the program and who uses whom, from the imports in the code, into docs/images/rooms.svg.

An arrow that follows from others is left out: where A uses B and B uses C, that A uses C as well is not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import pairwise
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
PACKAGE = "api_pipeline"
# What every room may use and no picture needs.
LEFT_OUT = frozenset({"_version", "__main__"})
# Rooms that one due row passes, and the two other services.
WAY = frozenset({"commands", "assembly", "delivery", "outbox", "csc_api", "auth", "transport", "payloads", "db"})
WINGS = frozenset({"sdr", "xporter"})
COLOURS = {"way": ("#d5ece6", "#0f4c47"), "wing": ("#eee5f5", "#5b3d7a"), "room": ("#ffffff", "#33424f")}
GAP, HEIGHT, STEP, EDGE, LETTER = 16, 30, 66, 20, 8.4
Arrows = Mapping[str, frozenset[str]]


def rooms() -> Arrows:
    """Return for each room those that it imports from."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    uses: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        if (user := room_of(module)) is not None:
            found = map(room_of, graph.find_modules_directly_imported_by(module))
            uses.setdefault(user, set()).update(room for room in found if room not in (None, user))
    return {room: frozenset(used) for room, used in sorted(uses.items())}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] not in LEFT_OUT else None


def without_what_follows(uses: Arrows) -> Arrows:
    """Return the arrows that no other arrows imply."""
    reached = {room: reach(uses, room) for room in uses}
    return {
        room: frozenset(one for one in used if not any(one in reached[other] for other in used if other != one))
        for room, used in uses.items()
    }


def reach(uses: Arrows, room: str) -> set[str]:
    seen: set[str] = set()
    to_see = [room]
    while to_see:
        new = uses[to_see.pop()] - seen
        seen |= new
        to_see.extend(new)
    return seen


def ranks(uses: Arrows) -> dict[str, int]:
    """Return in which line each room stands: one below the lowest of those that use it."""
    users = {room: [user for user, used in uses.items() if room in used] for room in uses}
    found: dict[str, int] = {}

    def rank(room: str) -> int:
        if room not in found:
            found[room] = 1 + max(map(rank, users[room]), default=-1)
        return found[room]

    return {room: rank(room) for room in uses}


class Drawing:
    """Places rooms in lines and arrows between them; a long arrow has a place of its own in each line it passes."""

    def __init__(self, uses: Arrows) -> None:
        self.rank = ranks(uses)
        self.chains = [
            [user, *(f"{user}>{used}>{line}" for line in range(self.rank[user] + 1, self.rank[used])), used]
            for user in uses
            for used in sorted(uses[user])
        ]
        self.lines: list[list[str]] = [[] for _ in range(max(self.rank.values()) + 1)]
        for room, line in self.rank.items():
            self.lines[line].append(room)
        for chain in self.chains:
            for place, line in enumerate(range(self.rank[chain[0]] + 1, self.rank[chain[-1]]), start=1):
                self.lines[line].append(chain[place])
        self.above: dict[str, list[str]] = {}
        self.below: dict[str, list[str]] = {}
        for chain in self.chains:
            for upper, lower in pairwise(chain):
                self.above.setdefault(lower, []).append(upper)
                self.below.setdefault(upper, []).append(lower)
        self._order()
        self.x = self._places()
        self.width = round(max(self.x[one] + self.half(one) for line in self.lines for one in line) + EDGE)
        self.height = EDGE * 2 + HEIGHT + STEP * (len(self.lines) - 1)

    def half(self, one: str) -> float:
        return 5 if ">" in one else len(one) * LETTER / 2 + 12

    def y(self, line: int) -> float:
        return EDGE + STEP * line

    def _order(self) -> None:
        # Each line goes by the middle of its neighbours above, then below, until it settles: fewer arrows cross.
        for turn in range(24):
            downwards = turn % 2 == 0
            near = self.above if downwards else self.below
            for line in self.lines if downwards else reversed(self.lines):
                at = {one: place / max(1, len(row) - 1) for row in self.lines for place, one in enumerate(row)}
                line.sort(key=lambda one, at=at: (middle([at[x] for x in near.get(one, [])], at[one]), one))  # type: ignore[misc]

    def _places(self) -> dict[str, float]:
        x: dict[str, float] = {}
        for line in self.lines:
            edge = float(EDGE)
            for one in line:
                x[one] = edge + self.half(one)
                edge = x[one] + self.half(one) + GAP
        for turn in range(40):
            near = self.above if turn % 2 == 0 else self.below
            for line in self.lines if turn % 2 == 0 else reversed(self.lines):
                wish = [middle([x[one] for one in near.get(each, [])], x[each]) for each in line]
                self._settle(line, wish, x)
        least = min(x[one] - self.half(one) for line in self.lines for one in line)
        return {one: place - least + EDGE for one, place in x.items()}

    def _settle(self, line: list[str], wish: list[float], x: dict[str, float]) -> None:
        # Once from the left, once from the right; the mean of both keeps every distance.
        left: list[float] = []
        for one, place in zip(line, wish, strict=True):
            left.append(place if not left else max(place, left[-1] + self._apart(line[len(left) - 1], one)))
        right: list[float] = []
        for one, place in zip(reversed(line), reversed(wish), strict=True):
            right.append(place if not right else min(place, right[-1] - self._apart(one, line[-len(right)])))
        for one, a, b in zip(line, left, reversed(right), strict=True):
            x[one] = (a + b) / 2

    def _apart(self, one: str, other: str) -> float:
        return self.half(one) + GAP + self.half(other)

    def svg(self) -> str:
        """Return the picture."""
        names = ", ".join(f"{room} line {line + 1}" for room, line in sorted(self.rank.items(), key=lambda i: i[::-1]))
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}" role="img" aria-labelledby="t d">',
                '<title id="t">The rooms of the program and who uses whom</title>',
                f'<desc id="d">Each room uses only rooms below it, from top to bottom: {names}.</desc>',
                '<defs><marker id="a" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="6" markerHeight="6" '
                'orient="auto"><path d="M0 0 10 5 0 10z" fill="#6b7883"/></marker></defs>',
                f'<rect width="{self.width}" height="{self.height}" rx="8" fill="#f6f8f9"/>',
                '<g stroke="#8996a1" stroke-width="1.2" fill="none">',
                *(self._arrow(chain) for chain in self.chains),
                "</g>",
                '<g font-family="ui-monospace, Consolas, DejaVu Sans Mono, monospace" font-size="13" '
                'text-anchor="middle">',
                *(self._box(room, line) for room, line in self.rank.items()),
                "</g>\n</svg>\n",
            ]
        )

    def _arrow(self, chain: list[str]) -> str:
        points = [(self.x[one], self.y(self.rank[chain[0]] + place)) for place, one in enumerate(chain)]
        (x, y), parts = points[0], []
        y += HEIGHT
        parts.append(f"M{x:.0f} {y:.0f}")
        for place, (next_x, top) in enumerate(points[1:], start=1):
            bend = (top + y) / 2
            parts.append(f"C{x:.0f} {bend:.0f} {next_x:.0f} {bend:.0f} {next_x:.0f} {top:.0f}")
            x, y = next_x, top
            if place < len(points) - 1:
                y += HEIGHT
                parts.append(f"V{y:.0f}")
        return f'<path d="{"".join(parts)}" marker-end="url(#a)"/>'

    def _box(self, room: str, line: int) -> str:
        fill, stroke = COLOURS["way" if room in WAY else "wing" if room in WINGS else "room"]
        half, x, y = self.half(room), self.x[room], self.y(line)
        return (
            f'<rect x="{x - half:.0f}" y="{y:.0f}" width="{2 * half:.0f}" height="{HEIGHT}" rx="5" fill="{fill}" '
            f'stroke="{stroke}"/><text x="{x:.0f}" y="{y + 20:.0f}" fill="#16202a" '
            f'textLength="{len(room) * LETTER:.0f}">{escape(room)}</text>'
        )


def middle(of: Iterable[float], otherwise: float) -> float:
    numbers = sorted(of)
    return sum(numbers) / len(numbers) if numbers else otherwise


def picture() -> str:
    """Return the picture of the rooms as they are."""
    return Drawing(without_what_follows(rooms())).svg()
