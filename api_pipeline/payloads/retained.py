"""Parts of a record that left the payload only because they left the time window of `stage`.

Unless PURGE_LEFT_WINDOW is set, no record purges these retained parts, so that the receiver keeps them. They stay in
the baseline, so that they are purged once they vanish from the SSD as well. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from api_pipeline.model import ElementPath
from api_pipeline.payloads.content import Members
from api_pipeline.payloads.shape import KeyedShape, ObjectShape, record_shape


def read_paths(text: str) -> tuple[ElementPath, ...]:
    """Return the paths that `paths_text` wrote; none where the text is something else."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    paths = value if isinstance(value, list) else []
    return tuple(tuple(path) for path in paths if isinstance(path, list) and _is_path(path))


def paths_text(paths: Iterable[ElementPath]) -> str:
    """Return paths as they are stored: a JSON list of lists, the same for the same paths."""
    return orjson.dumps(sorted(paths)).decode()


def paths_in(payload: Members, shape: ObjectShape | None = None) -> set[ElementPath]:
    """Return the paths of all elements and blocks of a payload."""
    found: set[ElementPath] = set()
    for name, member in (shape or record_shape()).members.items():
        value = payload.get(name)
        if isinstance(member, KeyedShape) and isinstance(value, list):
            for element in value:
                if isinstance(element, dict) and isinstance(key := element.get(member.key), str):
                    found.add((name, key))
                    found.update((name, key, *path) for path in paths_in(element, member.element))
        elif isinstance(member, ObjectShape) and isinstance(value, dict):
            found.add((name,))
            found.update((name, *path) for path in paths_in(value, member))
    return found


def with_kept(payload: Members, held: Members, paths: Iterable[ElementPath]) -> Members:
    """Return a payload with those parts of `held` put in that left the time window; itself where there are none.

    A part within an element that the payload no longer has is not put in: it goes with that element.
    """
    result = payload
    for path in paths:
        result = _kept(result, held, path, record_shape())
    return result


def _kept(now: Members, held: Members, path: ElementPath, shape: ObjectShape) -> Members:
    name, rest = path[0], path[1:]
    member, value, before = shape.members.get(name), now.get(name), held.get(name)
    if isinstance(member, ObjectShape):
        is_kept = isinstance(before, dict) and name not in now and not rest
        return {**now, name: before} if is_kept else now
    if not (isinstance(member, KeyedShape) and rest and isinstance(before, list) and isinstance(value, list | None)):
        return now
    mine = value or []
    theirs, ours = _element(before, member.key, rest[0]), _element(mine, member.key, rest[0])
    if theirs is None or (ours is None and len(rest) > 1) or (ours is not None and len(rest) == 1):
        return now
    if ours is None:
        return {**now, name: [*mine, theirs]}
    inner = _kept(ours, theirs, rest[1:], member.element)
    return now if inner is ours else {**now, name: [inner if one is ours else one for one in mine]}


def _element(elements: list[Any], key: str, identifier: str) -> Members | None:
    return next((one for one in elements if isinstance(one, dict) and one.get(key) == identifier), None)


def _is_path(path: list[Any]) -> bool:
    return bool(path) and all(isinstance(step, str) for step in path)
