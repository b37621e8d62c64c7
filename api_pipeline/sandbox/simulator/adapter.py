"""Answer the requests of a `requests` session inside the process: no socket is opened, nothing leaves the machine."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from api_pipeline.sandbox.simulator.answer import Answer, Ending
from api_pipeline.sandbox.simulator.shell import Shell


class InProcessAdapter(BaseAdapter):
    """Carry requests to a simulator.

    A dropped connection is raised as `requests.ConnectionError`, a request that is never answered as
    `requests.ReadTimeout` at once.
    """

    def __init__(self, simulator: Shell[Any]) -> None:
        super().__init__()
        self._simulator = simulator

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the simulator's answer to a prepared request. Errors: requests.ConnectionError and its kin."""
        parts = urlsplit(request.url or "")
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        answer = self._simulator.handle(request.method or "", path, dict(request.headers), _bytes(request.body))
        if answer.ending is Ending.HANG:
            raise requests.ReadTimeout("the simulator does not answer", request=request)
        if answer.ending in (Ending.DROP, Ending.DIE):
            raise requests.ConnectionError("the simulator closed the connection", request=request)
        return _response(request, answer)

    def close(self) -> None:
        """Nothing is open."""


def in_process_session(simulator: Shell[Any]) -> requests.Session:
    """Return a session that can reach nothing but a simulator inside the process, at whatever https address."""
    session = requests.Session()
    session.adapters.clear()
    session.trust_env = False
    session.mount("https://", InProcessAdapter(simulator))
    return session


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = io.BytesIO(answer.body)
    response.url = request.url or ""
    response.request = request
    return response


def _bytes(body: bytes | str | Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else b"".join(body)
