"""One message on its way: what is sent, and how a failure is told without the address, which holds a token."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api_pipeline.notify.channels import MessagesUnderWay, messages, ping, warn
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


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"OK", ""),
        (b"OK (not found)", "HTTP 200, but the answer says: not found"),
        (b"OK (rate limited)\n", "HTTP 200, but the answer says: rate limited"),
        (b"1", ""),
        (
            b"Webhook message delivery failed with error: endpoint returned HTTP error 429 with ContextId tcid=0",
            "HTTP 200, but the answer says: delivery failed",
        ),
    ],
)
def test_answer_of_success_that_says_that_the_message_went_nowhere_is_told(answer: bytes, told: str) -> None:
    with HostileReceiver() as server:
        server.pages["/hook"] = says(200, answer)
        origin = server.settings["TOKEN_ENDPOINT"].removesuffix("/token")
        assert post(f"{origin}/hook", b"x", "text/plain", "ping", ROUTE) == told


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


def test_mail_that_one_address_does_not_get_is_told_with_how_many() -> None:
    with mail_sink() as server:
        server.unknown.add("duty@council.example")
        told = send_mail(mail(FAILED, email(server.port)), email(server.port), ROUTE)
    assert told == "the mail server refused 1 of 2 addresses of NOTIFY_EMAIL_TO"
    assert [to for _, to, _ in server.mails] == [["data.team@council.example"]]


def test_mail_that_was_taken_arrived_whatever_the_server_says_at_the_end() -> None:
    with mail_sink() as server:
        server.goodbye = "421 too busy to say goodbye"
        assert send_mail(mail(FAILED, email(server.port)), email(server.port), ROUTE) == ""
    assert len(server.mails) == 1


@pytest.mark.parametrize("without", ["LOGIN", "PLAIN"])
@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_login_with_signs_that_are_not_ascii_goes_out_as_utf_8(without: str) -> None:
    with mail_sink(login="p£ss wörd", without=without) as server:
        secret = email(server.port)._replace(user="csc", password="p£ss wörd")
        assert send_mail(mail(FAILED, secret), secret, ROUTE) == ""
        wrong = secret._replace(password="p£ss")
        assert send_mail(mail(FAILED, wrong), wrong, ROUTE) == "the mail server answered 535"
    assert server.logins == [("csc", "p£ss wörd"), ("csc", "p£ss")]


def test_words_of_a_mail_server_are_not_repeated() -> None:
    with mail_sink() as server:
        server.refuses = True
        told = send_mail(mail(FAILED, email(server.port)), email(server.port), ROUTE)
    assert told == "the mail server answered 554"


def test_service_that_is_no_mail_server_is_named_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with ThreadPoolExecutor() as pool:
            told = pool.submit(send_mail, mail(FAILED, email(port)), email(port), ROUTE)
            with other.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                assert told.result() == (
                    "what answers at NOTIFY_EMAIL_SERVER and NOTIFY_EMAIL_PORT is not a mail server"
                )


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
    warn(MessagesUnderWay(messages(settings, ROUTE, FAILED)).wait())
    assert "the notification by NOTIFY_WEBHOOK failed: HTTP 500" in caplog.text
    assert TOKEN not in caplog.text
