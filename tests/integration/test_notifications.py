"""Who is told of a run, against a real HTTP server and a real mail server on this machine."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from importlib import resources
from pathlib import Path

import jsonschema_rs
import pytest

from api_pipeline.db import connect
from api_pipeline.db.run_lock import take
from api_pipeline.sandbox.simulator import Fault, Refusal
from tests.support.commands import Completed, invoke_cli
from tests.support.ports import HERE
from tests.support.sinks import HttpSink, MailSink, mail_sink
from tests.support.tls import authority
from tests.support.world import World

pytestmark = [
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
    pytest.mark.filterwarnings(
        "ignore:Requiring AUTH while not requiring TLS"
    ),  # TLS from the first byte is another way
]
SCHEMA = json.loads((resources.files("api_pipeline") / "data/schemas/notification.schema.json").read_text("utf-8"))
TOKEN = "T0p-secret-token-9f"


@pytest.fixture
def world(world: World) -> World:
    world.stage(3)
    return world


def hook(sink: HttpSink) -> str:
    return f"{sink.url}/hook/{TOKEN}?sig={TOKEN}"


def documents(sink: HttpSink) -> list[dict[str, object]]:
    return sink.documents(f"/hook/{TOKEN}?sig={TOKEN}")


def refuse_one(world: World) -> None:
    world.server.simulator.change(refusals=(Refusal(ids=frozenset({"P0001"}), message="P0001 Zephyrine"),))


def test_failed_run_is_told_with_counts_and_exit_code_and_no_child(world: World, sink: HttpSink) -> None:
    refuse_one(world)
    done = world.run(NOTIFY_WEBHOOK=hook(sink))
    assert done.code == 1
    (document,) = documents(sink)
    jsonschema_rs.validate(SCHEMA, document)
    assert (document["event"], document["exit_code"], document["mode"]) == ("failure", 1, "live")
    assert document["counts"]["accepted"] == 2  # type: ignore[index] # the schema says that it is an object
    assert document["counts"]["refused"] == 1  # type: ignore[index]
    (_, _, body) = sink.asked[0]
    assert not any(word in body for word in ("P0001", "Zephyrine", "P0002"))
    assert TOKEN not in done.text


@pytest.mark.parametrize(("when", "told"), [("failure", []), ("recovery", []), ("always", ["success"])])
def test_good_run_is_told_only_where_every_run_is(world: World, sink: HttpSink, when: str, told: list[str]) -> None:
    assert world.run(NOTIFY_WEBHOOK=hook(sink), NOTIFY_WHEN=when).code == 0
    assert [document["event"] for document in documents(sink)] == told


def test_first_good_run_after_a_failure_is_told_once(world: World, sink: HttpSink) -> None:
    settings = {"NOTIFY_WEBHOOK": hook(sink), "NOTIFY_WHEN": "recovery"}
    refuse_one(world)
    assert world.run(**settings).code == 1
    world.server.simulator.change(refusals=())
    # A rehearsal in between is another matter.
    assert world.run(TESTING_MODE="true").code == 0
    assert [world.run(**settings).code for _ in range(2)] == [0, 0]
    assert [document["event"] for document in documents(sink)] == ["failure", "recovery"]


def test_check_is_pinged_when_a_run_begins_and_when_it_went_well(world: World, sink: HttpSink) -> None:
    assert world.run(PING_URL=f"{sink.url}/ping/{TOKEN}/").code == 0
    assert sink.paths == [f"/ping/{TOKEN}/start", f"/ping/{TOKEN}/"]


def test_run_of_one_person_is_not_taken_for_the_night(world: World, sink: HttpSink) -> None:
    done = world.run("--person-id", "P0001", PING_URL=f"{sink.url}/ping", METRICS_FILE="csc.prom")
    assert (done.code, sink.paths) == (0, [])
    assert not (world.folder / "csc.prom").exists()


def test_check_hears_of_a_failure_with_the_exit_code(world: World, sink: HttpSink) -> None:
    world.server.simulator.add_fault(Fault(status=500, times=None))
    assert world.run(PING_URL=f"{sink.url}/ping/{TOKEN}").code == 5
    assert sink.paths == [f"/ping/{TOKEN}/start", f"/ping/{TOKEN}/fail"]
    assert "failed with exit code 5" in sink.asked[-1][2]


def test_settings_that_cannot_be_used_are_told_as_exit_code_2(world: World, sink: HttpSink) -> None:
    done = world.run(PING_URL=f"{sink.url}/ping", NOTIFY_WEBHOOK=hook(sink), BATCH_SIZE="x")
    assert done.code == 2
    assert sink.paths[0] == "/ping/start"
    assert sorted(sink.paths[1:]) == [f"/hook/{TOKEN}?sig={TOKEN}", "/ping/fail"]
    assert (documents(sink)[0]["exit_code"], documents(sink)[0]["counts"]) == (2, {})


def test_nobody_is_told_where_the_settings_of_notifications_are_wrong(world: World, sink: HttpSink) -> None:
    done = world.run(NOTIFY_WEBHOOK=hook(sink), NOTIFY_EMAIL_TO="team@council.example")
    assert done.code == 2
    assert "NOTIFY_EMAIL_SERVER is missing" in done.err
    assert sink.asked == []


def test_database_that_is_away_is_told_as_exit_code_3(world: World, sink: HttpSink) -> None:
    gone = f"sqlite:///{world.folder / 'gone.db'}"
    assert world.run(NOTIFY_WEBHOOK=hook(sink), DB_CONNECTION_STRING=gone).code == 3
    assert documents(sink)[0]["exit_code"] == 3


def test_run_that_finds_another_at_work_pings_no_end_and_is_no_failure(world: World, sink: HttpSink) -> None:
    refuse_one(world)
    assert world.run().code == 1
    connection = connect(world.database.connection_string)
    lock = take(connection, world.database.table, None)
    done = world.run(PING_URL=f"{sink.url}/ping", NOTIFY_WEBHOOK=hook(sink), NOTIFY_WHEN="recovery")
    lock.release()
    connection.close()
    assert done.code == 75
    assert sink.paths == ["/ping/start"]


@pytest.mark.parametrize("status", [404, 500, 302])
def test_notification_that_is_refused_is_a_warning_and_no_more(world: World, sink: HttpSink, status: int) -> None:
    sink.status = status
    done = world.run(NOTIFY_WEBHOOK=hook(sink), NOTIFY_WHEN="always")
    assert done.code == 0
    assert f"the notification by NOTIFY_WEBHOOK failed: HTTP {status}" in done.err
    assert TOKEN not in done.text


def test_server_that_is_away_is_a_warning_and_no_more(world: World) -> None:
    with socket.socket() as closed:
        closed.bind((HERE, 0))
        url = f"http://{HERE}:{closed.getsockname()[1]}/{TOKEN}"
        done = world.run(PING_URL=url, NOTIFY_WEBHOOK=url, NOTIFY_WHEN="always")
    assert done.code == 0
    assert done.err.count("failed: network error: the server of the") == 3
    assert TOKEN not in done.text


def test_testing_mode_tells_only_this_machine(world: World, sink: HttpSink) -> None:
    elsewhere = "https://hooks.example/x"
    done = world.run(TESTING_MODE="true", NOTIFY_WEBHOOK=elsewhere, PING_URL=f"{sink.url}/ping", NOTIFY_WHEN="always")
    assert (done.code, done.err) == (0, "")
    assert sink.paths == ["/ping/start", "/ping"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NOTIFY_WEBHOOK", f"http://hooks.example/{TOKEN}", "NOTIFY_WEBHOOK: expected https://"),
        ("PING_URL", f"https://user:{TOKEN}@hc.example/x", "PING_URL: expected a URL that begins with https://"),
        ("NOTIFY_WHEN", "sometimes", "NOTIFY_WHEN: expected one of failure, recovery, always"),
        ("NOTIFY_EMAIL_FROM", "a b", "NOTIFY_EMAIL_FROM: expected mail addresses"),
    ],
)
def test_setting_that_cannot_be_used_is_named_without_its_secret(
    world: World, name: str, value: str, said: str
) -> None:
    done = world.run(**{name: value})
    assert done.code == 2
    assert said in done.err
    assert TOKEN not in done.text


def mailed(sink: MailSink) -> email.message.EmailMessage:
    ((_, _, content),) = sink.mails
    return email.message_from_bytes(content, policy=email.policy.default)


def to_mail(sink: MailSink, **settings: object) -> dict[str, object]:
    return {
        "NOTIFY_EMAIL_TO": "team@council.example, lead@council.example",
        "NOTIFY_EMAIL_FROM": "csc-api@council.example",
        "NOTIFY_EMAIL_SERVER": HERE,
        "NOTIFY_EMAIL_PORT": sink.port,
        "NOTIFY_WHEN": "always",
        **settings,
    }


def test_mail_goes_out_encrypted_with_the_login(world: World, tmp_path: Path) -> None:
    made = authority(tmp_path)
    with mail_sink(made.issue(HERE), login=TOKEN) as sink:
        settings = to_mail(sink, NOTIFY_EMAIL_USER="csc", NOTIFY_EMAIL_PASSWORD=TOKEN, CA_BUNDLE=made.pem)
        done = world.run(**settings)
    assert (done.code, done.err) == (0, "")
    assert sink.logins == [("csc", TOKEN)]
    assert sink.mails[0][:2] == ("csc-api@council.example", ["team@council.example", "lead@council.example"])
    message = mailed(sink)
    assert "exit code 0" in message["Subject"]
    assert "Accepted: 3" in message.get_content()
    assert "P0001" not in message.get_content()


def test_mail_goes_over_tls_from_the_first_byte(world: World, tmp_path: Path) -> None:
    made = authority(tmp_path)
    with mail_sink(made.issue(HERE), is_tls=True) as sink:
        done = world.run(**to_mail(sink, NOTIFY_EMAIL_SECURITY="tls", CA_BUNDLE=made.pem))
    assert (done.code, done.err, len(sink.mails)) == (0, "", 1)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_server_with_a_foreign_certificate_gets_nothing(world: World, tmp_path: Path, security: str) -> None:
    with mail_sink(authority(tmp_path).issue(HERE), is_tls=security == "tls", login=TOKEN) as sink:
        settings = to_mail(sink, NOTIFY_EMAIL_SECURITY=security, NOTIFY_EMAIL_USER="a", NOTIFY_EMAIL_PASSWORD=TOKEN)
        done = world.run(**settings)
    assert (done.code, sink.mails, sink.logins) == (0, [], [])
    assert "the notification by NOTIFY_EMAIL_SERVER failed" in done.err


def test_mail_server_without_encryption_never_sees_the_password(world: World) -> None:
    with mail_sink() as sink:
        done = world.run(**to_mail(sink, NOTIFY_EMAIL_USER="csc", NOTIFY_EMAIL_PASSWORD=TOKEN))
        assert (done.code, sink.mails) == (0, [])
        assert "does not offer what NOTIFY_EMAIL_SECURITY" in done.err
        away = to_mail(
            sink, NOTIFY_EMAIL_PASSWORD=TOKEN, NOTIFY_EMAIL_SECURITY="none", NOTIFY_EMAIL_SERVER="mail.example"
        )
        assert "a password is never sent without encryption" in world.run(**away).err
        assert world.run(**to_mail(sink, NOTIFY_EMAIL_SECURITY="none")).code == 0
        assert len(sink.mails) == 1


def test_what_a_mail_server_says_is_not_repeated(world: World) -> None:
    with mail_sink() as sink:
        sink.refuses = True
        done = world.run(**to_mail(sink, NOTIFY_EMAIL_SECURITY="none"))
    assert (done.code, "hunter2" in done.text) == (0, False)
    assert "the mail server answered 554" in done.err


def try_all(world: World, **settings: object) -> Completed:
    return invoke_cli(["test-notify"], {name: str(value) for name, value in settings.items()}, world.folder)


def test_trial_sends_a_message_by_every_channel(world: World, sink: HttpSink) -> None:
    with mail_sink() as mails:
        settings = to_mail(mails, NOTIFY_EMAIL_SECURITY="none", NOTIFY_WEBHOOK=hook(sink), PING_URL=f"{sink.url}/ping")
        done = try_all(world, **settings)
    assert (done.code, done.out.count("the test message was sent")) == (0, 3)
    assert "test of the notifications" in mailed(mails)["Subject"]
    assert documents(sink)[0]["event"] == "test"
    assert "/ping/log" in sink.paths
    assert "skipped: none of NOTIFY_WEBHOOK" in try_all(world).out
    sink.status = 410
    refused = try_all(world, NOTIFY_WEBHOOK=hook(sink))
    assert (refused.code, "HTTP 410" in refused.out) == (5, True)
