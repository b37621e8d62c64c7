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
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, Ending, error_answer, json_answer
from api_pipeline.sandbox.simulator.faults import Fault
from api_pipeline.sandbox.simulator.from_json import made, members

if TYPE_CHECKING:
    from api_pipeline.sandbox.simulator.shell import Shell

PREFIX = "/_control/"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def answer(simulator: Shell[Any], method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
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


def _stats(simulator: Shell[Any], _: str, __: bytes) -> Answer:
    return json_answer(200, simulator.counts())


def _log(simulator: Shell[Any], _: str, __: bytes) -> Answer:
    return json_answer(200, [asdict(request) for request in simulator.log])


def _conditions(simulator: Shell[Any], _: str, __: bytes) -> Answer:
    return json_answer(200, asdict(simulator.conditions))


def _change(simulator: Shell[Any], _: str, body: bytes) -> Answer:
    simulator.change(**members(type(simulator.conditions), orjson.loads(body)))
    return _conditions(simulator, "", b"")


def _add_faults(simulator: Shell[Any], _: str, body: bytes) -> Answer:
    value = orjson.loads(body)
    simulator.add_fault(*(made(Fault, item) for item in (value if isinstance(value, list) else [value])))
    return _done()


def _clear_faults(simulator: Shell[Any], _: str, __: bytes) -> Answer:
    simulator.clear_faults()
    return _done()


def _expire_tokens(simulator: Shell[Any], _: str, __: bytes) -> Answer:
    simulator.expire_tokens()
    return _done()


def _reset(simulator: Shell[Any], _: str, __: bytes) -> Answer:
    simulator.reset()
    return _done()


def _die(_: Shell[Any], __: str, ___: bytes) -> Answer:
    return replace(_done(), ending=Ending.ANSWER_AND_DIE)


def _done() -> Answer:
    return json_answer(200, {"done": True})


_ROUTES: Mapping[tuple[str, str, bool], Callable[[Any, str, bytes], Answer]] = {
    ("GET", "stats", False): _stats,
    ("GET", "log", False): _log,
    ("GET", "conditions", False): _conditions,
    ("POST", "conditions", False): _change,
    ("POST", "faults", False): _add_faults,
    ("DELETE", "faults", False): _clear_faults,
    ("POST", "expire-tokens", False): _expire_tokens,
    ("POST", "reset", False): _reset,
    ("POST", "die", False): _die,
}
