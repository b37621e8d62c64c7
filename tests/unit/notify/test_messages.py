"""What others are told, in the forms that Teams and Slack take, and in time."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime

import pytest

from api_pipeline.notify.channels import Channel, MessagesUnderWay
from api_pipeline.notify.ending import Ending
from api_pipeline.notify.messages import plain_text, webhook_body
from api_pipeline.notify.sending import ping_address
from api_pipeline.settings.notify import kind_of

BEGAN, ENDED = datetime.fromisoformat("2026-01-31 02:00:00"), datetime.fromisoformat("2026-01-31 02:01:05")
FAILED = Ending("run-1", "ssd_api_data_staging", "live", 5, BEGAN, ENDED, {"due": 9, "accepted": 4, "undelivered": 5})


@pytest.mark.parametrize(
    ("webhook", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://prod-1.uksouth.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sig=y", "teams"),
        ("https://default.1.environment.api.powerplatform.com/powerautomate/x", "teams"),
        ("https://council.webhook.office.com/webhookb2/x", "teams"),
        ("https://hooks.slack.com.elsewhere.example/x", "json"),
        ("https://logic.azure.com.elsewhere.example/x", "json"),
        ("", "json"),
    ],
)
def test_kind_of_webhook_is_told_by_its_host(webhook: str, kind: str) -> None:
    assert kind_of(webhook) == kind


def test_teams_gets_an_adaptive_card() -> None:
    (attachment,) = json.loads(webhook_body(FAILED, "teams"))["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    title, facts = card["body"]
    assert title["text"] == "csc-api: the run failed with exit code 5"
    assert {"title": "Not delivered", "value": "5"} in facts["facts"]
    assert all(fact["value"] for fact in facts["facts"])


def test_slack_gets_a_text() -> None:
    assert json.loads(webhook_body(FAILED, "slack"))["text"].startswith("csc-api: the run failed with exit code 5\n")


def test_message_names_the_shard() -> None:
    of_shard = FAILED._replace(shard="2/4")
    assert "ssd_api_data_staging (live, shard 2/4)" in plain_text(of_shard)
    assert (of_shard.document["shard"], FAILED.document["shard"]) == ("2/4", None)


@pytest.mark.parametrize(
    ("code", "is_recovery", "event"),
    [
        (0, False, "success"),
        (0, True, "recovery"),
        (75, False, "skipped"),
        (1, False, "failure"),
        (130, False, "failure"),
    ],
)
def test_event_follows_from_the_exit_code(code: int, is_recovery: bool, event: str) -> None:
    assert Ending("r", "t", "live", code, BEGAN, ENDED, is_recovery=is_recovery).event == event


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://hc.example/ping/u", "https://hc.example/ping/u/fail"),
        ("https://hc.example/ping/u/", "https://hc.example/ping/u/fail"),
        ("https://hc.example/ping/u?create=1", "https://hc.example/ping/u/fail?create=1"),
    ],
)
def test_signal_ends_the_path_of_a_ping(url: str, address: str) -> None:
    assert ping_address(url, "fail") == address
    assert ping_address(url, "") == url


def test_server_that_never_answers_delays_the_end_by_the_bound_alone() -> None:
    release = threading.Event()

    def hang() -> str:
        release.wait(30)
        return ""

    began = time.monotonic()
    outcomes = MessagesUnderWay([Channel("PING_URL", hang), Channel("NOTIFY_WEBHOOK", lambda: "")], time_s=0.1).wait()
    assert time.monotonic() - began < 5
    assert [problem for _, problem in outcomes] == ["no answer within 0.1 s", ""]
    release.set()


def test_time_of_a_message_runs_from_when_it_is_sent_and_not_from_the_wait() -> None:
    release = threading.Event()
    under_way = MessagesUnderWay([Channel("PING_URL", lambda: str(release.wait(30)))], time_s=0.3)
    time.sleep(0.4)
    began = time.monotonic()
    assert [problem for _, problem in under_way.wait()] == ["no answer within 0.3 s"]
    assert time.monotonic() - began < 0.2
    release.set()


def test_error_of_a_channel_is_a_sentence_without_its_text() -> None:
    def fail() -> str:
        raise RuntimeError("https://hooks.example/secret")

    ((_, problem),) = MessagesUnderWay([Channel("PING_URL", fail)]).wait()
    assert problem == "unexpected RuntimeError"
