"""One message on its way: what is sent, and how a failure is told without the address, which holds a token."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from api_pipeline.notify.channels import deliver, messages, ping
from api_pipeline.notify.messages import mail
from api_pipeline.notify.sending import Route, post, send_mail
from api_pipeline.settings.notify import EmailSettings, NotifySettings
from tests.support.hostile_receiver import HostileReceiver
from tests.support.scripted import hangs_up, says
from tests.support.sinks import HttpSink, http_sink, mail_sink
from tests.unit.notify.test_messages import FAILED

ROUTE = Route(None, "", "basic", "csc/1.0")
TOKEN = "Zq7-token-in-an-address"


def email(port: int, security: str = "none") -> EmailSettings:
    to = ("data.team@council.example", "duty@council.example")
    return EmailSettings(to, "csc@council.example", "127.0.0.1", port, security, "", "")  # type: ignore[arg-type]


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as made:
        yield made


def test_message_that_arrived_tells_nothing(sink: HttpSink) -> None:
    assert post(f"{sink.url}/{TOKEN}", b'{"a": 1}', "application/json", "webhook", ROUTE) == ""
    assert sink.asked == [("POST", f"/{TOKEN}", '{"a": 1}')]


@pytest.mark.parametrize(("status", "told"), [(204, ""), (302, "HTTP 302"), (404, "HTTP 404"), (503, "HTTP 503")])
def test_every_status_but_success_is_told(sink: HttpSink, status: int, told: str) -> None:
    sink.status = status
    assert post(sink.url, b"", "text/plain", "ping", ROUTE) == told
    assert len(sink.asked) == 1


def test_content_type_and_user_agent_go_out() -> None:
    with HostileReceiver() as server:
        server.pages["/hook"] = says(200)
        origin = server.settings["TOKEN_ENDPOINT"].removesuffix("/token")
        post(f"{origin}/hook", b"x", "text/plain; charset=utf-8", "ping", ROUTE)
    assert server.heard[0].headers["content-type"] == "text/plain; charset=utf-8"
    assert server.heard[0].headers["user-agent"] == "csc/1.0"


def test_lost_answer_is_told_without_the_address() -> None:
    with HostileReceiver() as server:
        server.pages[f"/{TOKEN}"] = hangs_up
        origin = server.settings["TOKEN_ENDPOINT"].removesuffix("/token")
        told = post(f"{origin}/{TOKEN}", b"x", "text/plain", "webhook", ROUTE)
    assert told == "network error: the connection was lost before an answer came"


def test_server_that_is_not_there_is_told_by_its_kind() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        told = post(f"http://127.0.0.1:{port}/{TOKEN}", b"x", "text/plain", "webhook", ROUTE)
        mailed = send_mail(mail(FAILED, email(port)), email(port), ROUTE)
    assert told == "network error: the server of the webhook could not be reached"
    assert mailed == "the mail server could not be reached or used (Connection refused)"


def test_mail_goes_to_everybody_with_its_subject() -> None:
    with mail_sink() as server:
        assert send_mail(mail(FAILED, email(server.port)), email(server.port), ROUTE) == ""
    ((sender, to, content),) = server.mails
    assert (sender, to) == ("csc@council.example", ["data.team@council.example", "duty@council.example"])
    assert b"Subject: csc-api: the run failed with exit code 5 (ssd_api_data_staging)" in content
    assert b"Auto-Submitted: auto-generated" in content


def test_words_of_a_mail_server_are_not_repeated() -> None:
    with mail_sink() as server:
        server.refuses = True
        told = send_mail(mail(FAILED, email(server.port)), email(server.port), ROUTE)
    assert told == "the mail server answered 554"


def test_mail_server_without_encryption_is_told_by_the_setting() -> None:
    with mail_sink() as server:
        told = send_mail(mail(FAILED, email(server.port)), email(server.port, "starttls"), ROUTE)
    assert "NOTIFY_EMAIL_SECURITY" in told
    assert server.mails == []


def test_only_channels_that_are_set_are_used(sink: HttpSink) -> None:
    nobody = NotifySettings()
    assert [*messages(nobody, ROUTE, FAILED), *ping(nobody, ROUTE, "start")] == []
    everybody = NotifySettings(webhook=f"{sink.url}/hook", ping_url=f"{sink.url}/check", email=email(25))
    channels = [*messages(everybody, ROUTE, FAILED), *ping(everybody, ROUTE, "start")]
    assert [channel.setting for channel in channels] == ["NOTIFY_WEBHOOK", "NOTIFY_EMAIL_SERVER", "PING_URL"]


def test_message_that_does_not_arrive_is_a_warning_that_names_its_setting(
    sink: HttpSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.status = 500
    settings = NotifySettings(webhook=f"{sink.url}/{TOKEN}", ping_url="")
    deliver(messages(settings, ROUTE, FAILED))
    assert "the notification by NOTIFY_WEBHOOK was not sent: HTTP 500" in caplog.text
    assert TOKEN not in caplog.text
