"""Steering and asking a simulator over HTTP, under `/_control/`.

| request | what it does |
|---|---|
| `GET stats`, `GET log` | the counts; the last requests |
| `GET held`, `GET held/{la_child_id}` | every child held; one (404: nothing is held); the children's service alone |
| `GET receipts/{la_child_id}`, `GET accepted` | a child's receipts; every accepted record as its very text; likewise |
| `GET conditions`, `POST conditions` | what holds; changes it (an object of some of its members) |
| `POST faults`, `DELETE faults` | programs a fault, or a list of them; takes all out |
| `POST expire-tokens`, `POST reset`, `POST die` | expires all tokens; forgets everything; ends the receiver |

A service adds routes of its own (`Shell.routes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, Ending, error_answer, json_answer
from api_pipeline.sandbox.simulator.faults import Fault
from api_pipeline.sandbox.simulator.from_json import made, members
from api_pipeline.sandbox.simulator.options import CommonConditions
from api_pipeline.sandbox.simulator.request_log import LoggedRequest

PREFIX = "/_control/"
_Route: TypeAlias = "Callable[[Any, str, bytes], Answer]"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Steered(Protocol):
    """What control asks of a simulated service; `Shell` is one."""

    @property
    def routes(self) -> Mapping[tuple[str, str, bool], _Route]:
        """Return the service's own routes."""

    @property
    def conditions(self) -> CommonConditions:
        """Return what holds until it is changed."""

    @property
    def log(self) -> list[LoggedRequest]:
        """Return the last requests."""

    def counts(self) -> dict[str, Any]:
        """Return the counts since the last reset."""

    def change(self, **changes: Any) -> None:
        """Change conditions by the names of their members."""

    def add_fault(self, *faults: Fault) -> None:
        """Program faults."""

    def clear_faults(self) -> None:
        """Take every fault out."""

    def expire_tokens(self) -> None:
        """Make every access token that was issued worthless."""

    def reset(self) -> None:
        """Forget everything."""


def answer(simulator: Steered, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return the answer to a request under `/_control/`. `headers` has lower-case names."""
    # A page in a browser on this machine could otherwise reach us under a name of its own that resolves to loopback.
    if urlsplit(f"//{headers.get('host', '')}").hostname not in _LOOPBACK:
        return error_answer(403, "Control is for this machine only; name it 127.0.0.1 or localhost.")
    what, _, of_whom = path[len(PREFIX) :].partition("?")[0].partition("/")
    key = (method, what, bool(of_whom))
    route = simulator.routes.get(key) or _ROUTES.get(key)
    if route is None:
        return error_answer(404, f"There is no {method} of {what} under {PREFIX}.")
    try:
        return route(simulator, unquote(of_whom), body)
    except (ValueError, TypeError) as error:
        return error_answer(400, str(error))


def _stats(simulator: Steered, _: str, __: bytes) -> Answer:
    return json_answer(200, simulator.counts())


def _log(simulator: Steered, _: str, __: bytes) -> Answer:
    return json_answer(200, [asdict(request) for request in simulator.log])


def _conditions(simulator: Steered, _: str, __: bytes) -> Answer:
    return json_answer(200, asdict(simulator.conditions))


def _change(simulator: Steered, _: str, body: bytes) -> Answer:
    simulator.change(**members(type(simulator.conditions), orjson.loads(body)))
    return _conditions(simulator, "", b"")


def _add_faults(simulator: Steered, _: str, body: bytes) -> Answer:
    value = orjson.loads(body)
    simulator.add_fault(*(made(Fault, item) for item in (value if isinstance(value, list) else [value])))
    return _DONE


def _doing(act: Callable[[Steered], None]) -> _Route:
    """Return the route that does something with the simulator and has nothing to tell."""

    def route(simulator: Steered, _: str, __: bytes) -> Answer:
        act(simulator)
        return _DONE

    return route


def _die(_: Steered, __: str, ___: bytes) -> Answer:
    return replace(_DONE, ending=Ending.ANSWER_AND_DIE)


_DONE = json_answer(200, {"done": True})
_ROUTES: Mapping[tuple[str, str, bool], _Route] = {
    ("GET", "stats", False): _stats,
    ("GET", "log", False): _log,
    ("GET", "conditions", False): _conditions,
    ("POST", "conditions", False): _change,
    ("POST", "faults", False): _add_faults,
    ("DELETE", "faults", False): _doing(lambda simulator: simulator.clear_faults()),
    ("POST", "expire-tokens", False): _doing(lambda simulator: simulator.expire_tokens()),
    ("POST", "reset", False): _doing(lambda simulator: simulator.reset()),
    ("POST", "die", False): _die,
}
