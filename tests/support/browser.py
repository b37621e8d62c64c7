"""A real browser without a window: Chromium, spoken to through its debugging pipe, so that pages can be measured."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.databases import missing

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Root in a container may not make Chromium's sandbox; what is opened here are pages of the tests' own.
_SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
)


class Page:
    """One tab. Sizes are CSS pixels."""

    def __init__(self, to_browser: Any, from_browser: Any) -> None:
        self._to = to_browser
        self._from = from_browser
        self._number = 0
        self._heard = b""
        target = self._call("Target.createTarget", session="", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", session="", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def open(self, path: Path, *, width: int, dark: bool, medium: str = "screen") -> None:
        """Open a file in a window of this width (900 high) with light or dark colours preferred."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media=medium, features=[scheme])
        self._call("Page.navigate", url=path.resolve().as_uri())
        self._await_event("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, which the page itself could not run."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """Return the whole page as a PNG."""
        answer = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def _call(self, method: str, *, session: str | None = None, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        session = self._session if session is None else session
        if session:
            message["sessionId"] = session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._read()).get("id") != self._number:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _await_event(self, name: str) -> None:
        while self._read().get("method") != name:
            pass

    def _read(self) -> dict[str, Any]:
        pieces = [self._heard]
        while b"\0" not in pieces[-1]:
            pieces.append(self._from.read1(1 << 16))
            assert pieces[-1], "the browser ended"
        data, _, self._heard = b"".join(pieces).partition(b"\0")
        message: dict[str, Any] = json.loads(data)
        return message


@contextmanager
def browser_page(profile: Path) -> Iterator[Page]:
    """Yield a tab of a browser with an empty profile; skip the test where no browser is installed."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        missing("no Chromium is installed")
    commands, answers = os.pipe(), os.pipe()
    line = shlex.join([program, *_SWITCHES, f"--user-data-dir={profile}", "about:blank"])
    process = subprocess.Popen(
        # The protocol wants the descriptors 3 and 4, whatever numbers the pipes have here; sh takes none above 9.
        ["bash", "-c", f"exec {line} 3<&{commands[0]} 4>&{answers[1]}"],
        pass_fds=(commands[0], answers[1]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands[0])
    os.close(answers[1])
    try:
        with os.fdopen(commands[1], "wb") as to_browser, os.fdopen(answers[0], "rb") as from_browser:
            yield Page(to_browser, from_browser)
    finally:
        process.kill()
        process.wait(timeout=20)
