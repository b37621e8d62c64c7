"""Answers requests from the simulator inside the process: testing mode, in which nothing leaves the machine."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from api_pipeline.simulator.core import Simulator


class InProcessAdapter(BaseAdapter):
    """Takes the place of the network in a `requests.Session`."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self._simulator = simulator

    def send(self, request: requests.PreparedRequest, *args: Any, **keywords: Any) -> requests.Response:
        """Gives the simulator's answer. Errors: requests.ConnectionError where it drops the connection."""
        body = request.body or b""
        url = urlsplit(request.url or "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._simulator.handle(
            request.method or "", url.path, headers, body.encode() if isinstance(body, str) else bytes(body)
        )
        if answer.is_dropped:
            raise requests.ConnectionError("the simulator dropped the connection", request=request)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.raw = HTTPResponse(body=io.BytesIO(answer.body), status=answer.status, preload_content=False)
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Nothing is open."""
