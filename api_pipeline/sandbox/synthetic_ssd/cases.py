"""The cases of the mapping that a synthetic SSD holds: each a name, its section of the mapping, and what makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from api_pipeline.sandbox.synthetic_ssd.life import Life, Row
from api_pipeline.sandbox.synthetic_ssd.ordinary import ordinary_child, ordinary_episode

Make: TypeAlias = "Callable[[Life], None]"
WithEpisode: TypeAlias = "Callable[[Life, Row], None]"


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `section` of the mapping, what is special as a `name`, and the function that makes the person so."""

    section: str
    name: str
    make: Make


def bare_case(section: str, make: Make) -> Case:
    """Return the case of a child to whom nothing has happened yet: what `make` adds is all there is."""

    def whole(life: Life) -> None:
        ordinary_child(life)
        make(life)

    return Case(section, _words(make), whole)


def episode_case(section: str, make: WithEpisode, name: str = "") -> Case:
    """Return the case of a child with one open recent CIN episode, which is in the cohort without doubt."""

    def whole(life: Life) -> None:
        ordinary_child(life)
        # Not too recent: what a case adds in the weeks after it must not lie in the future.
        episode = ordinary_episode(life, life.today - timedelta(days=life.rng.randint(150, 400)))
        episode.update(cine_close_date=None, cine_close_reason=None)
        make(life, episode)

    return Case(section, name or _words(make), whole)


def _words(make: object) -> str:
    return str(getattr(make, "__name__", "")).strip("_").replace("_", " ")
