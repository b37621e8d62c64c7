"""The channels of notifications that the settings name; a message goes to all of them at once, in a limited time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from api_pipeline.errors import PipelineError
from api_pipeline.notify.ending import Ending
from api_pipeline.notify.messages import mail, webhook_body
from api_pipeline.notify.sending import TIME_S, Route, ping_address, post, send_mail
from api_pipeline.settings.notify import NotifySettings

_LOG = logging.getLogger(__name__)
_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


class Channel(NamedTuple):
    """One channel: `setting` names it, and `send` returns what went wrong ("" for nothing)."""

    setting: str
    send: Callable[[], str]


def ping(notify: NotifySettings, route: Route, signal: str, text: str = "", setting: str = "PING_URL") -> list[Channel]:
    """Return the channel of a check for a signal; none where it is not set. `setting` is what it is called."""
    if not notify.ping_url:
        return []
    address = ping_address(notify.ping_url, signal)
    return [Channel(setting, lambda: post(address, text.encode(), _TEXT, "ping", route))]


def messages(notify: NotifySettings, route: Route, ending: Ending) -> list[Channel]:
    """Return the channels of webhook and mail, as far as they are set."""
    found = []
    if notify.webhook:
        body = webhook_body(ending, notify.webhook_kind)
        found.append(Channel("NOTIFY_WEBHOOK", lambda: post(notify.webhook, body, _JSON, "webhook", route)))
    if email := notify.email:
        message = mail(ending, email)
        found.append(Channel("NOTIFY_EMAIL_SERVER", lambda: send_mail(message, email, route)))
    return found


class MessagesUnderWay:
    """Messages that are being sent, each in a thread; `wait` ends a limited time after the start, whatever comes."""

    def __init__(self, channels: Sequence[Channel], time_s: float = TIME_S) -> None:
        self._time_s = time_s
        self._until = time.monotonic() + time_s
        self._outcomes: dict[int, str] = {}
        self._channels = channels
        self._threads = [
            threading.Thread(target=self._send, args=(number,), name="notify", daemon=True)
            for number in range(len(channels))
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> list[tuple[Channel, str]]:
        """Return each channel with what went wrong; what has not ended in the time that all have together is late."""
        for thread in self._threads:
            thread.join(max(0.0, self._until - time.monotonic()))
        late = f"no answer within {self._time_s:g} s"
        return [(channel, self._outcomes.get(number, late)) for number, channel in enumerate(self._channels)]

    def _send(self, number: int) -> None:
        try:
            self._outcomes[number] = self._channels[number].send()
        except PipelineError as error:
            self._outcomes[number] = str(error)
        except Exception as error:  # a notification that fails, for whatever reason, stops no run
            self._outcomes[number] = f"unexpected {type(error).__name__}"


def warn(outcomes: Sequence[tuple[Channel, str]]) -> None:
    """Log a warning for each message that did not arrive; it changes no exit code."""
    for channel, problem in outcomes:
        if problem:
            _LOG.warning(
                "the notification by %s failed: %s; the run is not affected (try: d2i-csc-api test-notify)",
                channel.setting,
                problem,
            )
