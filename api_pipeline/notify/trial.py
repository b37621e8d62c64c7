"""Send a test message by every channel that the settings name."""

from __future__ import annotations

from datetime import datetime, timezone

from api_pipeline.diagnostics.steps import Report, Status, StepFailed, StepWalk
from api_pipeline.errors import ServiceUnavailable
from api_pipeline.notify.channels import Channel, MessagesUnderWay, messages, ping
from api_pipeline.notify.ending import Ending
from api_pipeline.notify.messages import plain_text
from api_pipeline.notify.sending import Route
from api_pipeline.settings.model import Settings

_ADVICE = "Check the address and the network; what was sent holds no child's data."


def try_notifications(settings: Settings, run_id: str) -> Report:
    """Send a test message by each channel that is set, and return each as a step; one that fails stops no other.

    A check gets a log entry (/log), which changes nothing of its state.
    """
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    mode = "testing" if settings.testing_mode else "live"
    ending = Ending(run_id, settings.table_name, mode, 0, now, now, is_test=True)
    route = Route.of(settings)
    channels = messages(settings.notify, route, ending)
    for setting in ("PING_URL", *settings.notify.other_pings):
        channels += ping(settings.notify.pinging(setting), route, "log", plain_text(ending), setting)
    walk = StepWalk("test-notify")
    for channel in channels:
        _try(walk, channel)
    if not channels:
        walk.add("settings", Status.SKIPPED, "none of NOTIFY_WEBHOOK, NOTIFY_EMAIL_TO and PING_URL is set")
    return walk.report()


def _send(channel: Channel) -> None:
    # As a run does it: in limited time, whatever goes wrong.
    ((_, problem),) = MessagesUnderWay([channel]).wait()
    if problem:
        raise StepFailed(f"the test message failed: {problem}", _ADVICE, ServiceUnavailable.exit_code)


def _try(walk: StepWalk, channel: Channel) -> None:
    try:
        with walk.step(channel.setting) as step:
            _send(channel)
            step.detail = "the test message was sent"
    except StepFailed:
        pass  # the step says so; the next channel is tried all the same
