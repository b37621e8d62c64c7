"""One request over a real connection: what goes out, what comes back, and what kept an answer from coming."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests

from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.transport.single_request import (
    RawAnswer,
    Reach,
    Request,
    Transient,
    ask,
    asked_wait_s,
    transient,
)
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver, Reply, Talk
from tests.support.scripted import hangs_up, in_turn, says
from tests.support.tls import authority

REACH = Reach((2.0, 2.0), "csc/1.0")
SECRET = "Zq7-secret-in-an-address"


@pytest.fixture
def server() -> Iterator[HostileReceiver]:
    with HostileReceiver() as made:
        yield made


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with scripted.session() as made:
        yield made


def asking(server: HostileReceiver, reply: Reply) -> Request:
    """Return a request for a page of the server, which has this reply."""
    path = f"/page?key={SECRET}"
    server.pages[path] = reply
    origin = server.settings["TOKEN_ENDPOINT"].removesuffix("/token")
    return Request("GET", origin + path, "page")


def an_answer(got: RawAnswer | Transient) -> RawAnswer:
    assert isinstance(got, RawAnswer), got
    return got


def a_failure(got: RawAnswer | Transient) -> Transient:
    assert isinstance(got, Transient), got
    return got


def test_answer_comes_with_status_headers_and_body(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(418, b"short and stout", "X-Pot: a\r\nX-Pot: b\r\n"))
    answer = an_answer(ask(session, REACH, asked))
    assert (answer.status, answer.body, answer.size, answer.file) == (418, b"short and stout", 15, None)
    assert answer.headers["x-pot"] == "a, b"


def test_body_headers_and_user_agent_go_out_as_given(server: HostileReceiver, session: requests.Session) -> None:
    asked = replace(asking(server, says(200)), method="POST", headers={"X-Key": "k"}, body=b"\x00\xffabc")
    ask(session, REACH, asked)
    (heard,) = server.heard
    assert heard.body == b"\x00\xffabc"
    assert {name: heard.headers[name] for name in ("x-key", "user-agent", "accept", "accept-encoding")} == {
        "x-key": "k",
        "user-agent": "csc/1.0",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
    }


def test_login_of_a_netrc_file_never_goes_out(
    server: HostileReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    asked = asking(server, says(200))
    with make_session(TransportOptions()) as own:
        # requests itself would send it: the file is one that it reads.
        assert requests.utils.get_netrc_auth(asked.url) == ("someone", "hunter2")
        ask(own, REACH, asked)
    assert "authorization" not in server.heard[0].headers


def test_packed_body_is_unpacked(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, gzip.compress(b"receipt"), "Content-Encoding: gzip\r\n"))
    assert an_answer(ask(session, REACH, asked)).body == b"receipt"


def test_redirect_is_an_answer_and_is_not_followed(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(302, b"", "Location: /elsewhere\r\n"))
    assert an_answer(ask(session, REACH, asked)).status == 302
    assert len(server.heard) == 1


def test_cookie_is_not_sent_back(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, b"", "Set-Cookie: session=1; Path=/\r\n"))
    for _ in range(2):
        ask(session, REACH, asked)
    assert "cookie" not in server.heard[1].headers


def test_nothing_is_repeated(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, in_turn(hangs_up, says(200)))
    failure = a_failure(ask(session, REACH, asked))
    assert failure == Transient(
        None, "network error: the connection was lost before an answer came", None, may_have_arrived=True
    )
    assert len(server.heard) == 1


def test_service_that_is_not_there_got_nothing(session: requests.Session) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/"
        failure = a_failure(ask(session, REACH._replace(peer="the token service"), Request("GET", address, "page")))
    assert failure == Transient(
        None, "network error: the token service could not be reached", None, may_have_arrived=False
    )


def test_service_without_tls_got_nothing(session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_without_tls() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        server = threading.Thread(target=answer_without_tls)
        server.start()
        asked = Request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", "page")
        failure = a_failure(ask(session, REACH, asked))
        server.join(5)
    assert failure == Transient(
        None, "network error: the receiver's certificate or TLS was not accepted", None, may_have_arrived=False
    )


def test_tls_that_breaks_after_the_request_may_have_let_it_arrive(tmp_path: Path) -> None:
    known = authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*known.issue())
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_beside_tls() -> None:
            plain, _ = listener.accept()
            with plain.dup() as beside, context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(65_536)
                beside.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                beside.recv(1)

        server = threading.Thread(target=answer_beside_tls)
        server.start()
        asked = Request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", "page")
        with make_session(TransportOptions(str(known.pem))) as trusting:
            failure = a_failure(ask(trusting, REACH, asked))
        server.join(5)
    assert failure == Transient(
        None, "network error: the connection was lost before an answer came", None, may_have_arrived=True
    )


def test_server_that_wants_a_certificate_of_ours_refuses_our_tls(tmp_path: Path) -> None:
    known = authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*known.issue())
    context.load_verify_locations(known.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            plain, _ = listener.accept()
            with plain.dup() as beside:
                with contextlib.suppress(ssl.SSLError):
                    context.wrap_socket(plain, server_side=True)
                # To close before the request is read would reset the connection.
                beside.recv(65_536)

        server = threading.Thread(target=refuse)
        server.start()
        asked = Request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", "page")
        with make_session(TransportOptions(str(known.pem))) as trusting:
            failure = a_failure(ask(trusting, REACH, asked))
        server.join(5)
    assert failure.reason == "network error: the receiver's certificate or TLS was not accepted"


def test_proxy_that_breaks_off_before_the_tunnel_stands_passed_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def break_off() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 Conn")

        server = threading.Thread(target=break_off)
        server.start()
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with make_session(TransportOptions(proxy_url=proxy)) as tunnelled:
            failure = a_failure(ask(tunnelled, REACH, Request("GET", "https://receiver.example/", "page")))
        server.join(5)
    assert not failure.may_have_arrived


def test_silent_service_is_waited_for_no_longer_than_set(server: HostileReceiver, session: requests.Session) -> None:
    failure = a_failure(ask(session, REACH._replace(timeouts=(2.0, 0.1)), asking(server, Talk.wait_until_gone)))
    assert failure.reason == "network error: no answer within READ_TIMEOUT_S"
    assert failure.may_have_arrived
    assert server.heard[0].took_s < 1.0


def test_answer_that_drips_is_cut_off_as_a_whole(server: HostileReceiver, session: requests.Session) -> None:
    def drip(talk: Talk) -> None:
        with contextlib.suppress(OSError):
            talk.drip(b"HTTP/1.1 200 Fine\r\n" + b"X-More: 1\r\n" * 1000)

    began = time.monotonic()
    failure = a_failure(ask(session, REACH, replace(asking(server, drip), whole_s=0.15)))
    assert 0.1 < time.monotonic() - began < 1.5
    assert failure.may_have_arrived


HEAD = b"HTTP/1.1 204 Fine\r\nContent-Type: text/plain\r\nX-More: 1\r\n\r\n"


@pytest.mark.parametrize("length", [*range(0, len(HEAD), 9), len(HEAD) - 2, len(HEAD) - 1])
def test_head_that_breaks_off_is_a_lost_connection(
    server: HostileReceiver, session: requests.Session, length: int
) -> None:
    failure = a_failure(ask(session, REACH, asking(server, lambda talk: talk.send(HEAD[:length]))))
    assert failure == Transient(
        None, "network error: the connection was lost before an answer came", None, may_have_arrived=True
    )


def test_whole_head_without_a_body_is_an_answer(server: HostileReceiver, session: requests.Session) -> None:
    assert an_answer(ask(session, REACH, asking(server, lambda talk: talk.send(HEAD)))).status == 204


def test_answer_is_not_waited_for_once_it_is_abandoned(server: HostileReceiver, session: requests.Session) -> None:
    began = time.monotonic()
    reach = REACH._replace(timeouts=(2.0, 30.0), is_abandoned=lambda: True)
    assert a_failure(ask(session, reach, asking(server, Talk.wait_until_gone))).may_have_arrived
    assert time.monotonic() - began < 2.0


def test_body_beyond_its_bound_is_no_answer(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, b"x" * 1001))
    assert an_answer(ask(session, REACH, replace(asked, max_bytes=1001))).size == 1001
    assert ask(session, REACH, replace(asked, max_bytes=1000)) == Transient(
        200, "HTTP 200: the answer is larger than 1,000 bytes", None, may_have_arrived=True
    )


def test_large_body_comes_as_a_file_that_can_be_removed(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, b"x" * 1001))
    assert an_answer(ask(session, REACH, replace(asked, file_from_bytes=1001))).file is None
    answer = an_answer(ask(session, REACH, replace(asked, file_from_bytes=1000)))
    assert answer.file is not None
    assert (answer.body, answer.size, answer.file.read_bytes()) == (b"", 1001, b"x" * 1001)
    answer.remove_file()
    assert not answer.file.exists()
    answer.remove_file()


@pytest.mark.parametrize("reply", [says(200), hangs_up], ids=["answered", "lost"])
def test_log_and_reason_name_the_request_and_never_its_address(
    server: HostileReceiver, session: requests.Session, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api_pipeline")
    asked = asking(server, reply)
    got = ask(session, REACH, asked)
    assert caplog.text.count("page: ") == 1
    assert SECRET not in caplog.text + repr(got)


@pytest.mark.parametrize(
    ("status", "passes", "may_have_arrived"),
    [
        (200, False, False),
        (400, False, False),
        (404, False, False),
        (499, False, False),
        (408, True, True),
        (425, True, False),
        (429, True, False),
        (500, True, True),
        (502, True, True),
        (503, True, False),
        (504, True, True),
        (599, True, True),
    ],
)
def test_status_says_whether_an_error_passes(status: int, passes: bool, may_have_arrived: bool) -> None:
    found = transient(RawAnswer(status, {}, b""), "why")
    assert found == (Transient(status, "why", None, may_have_arrived) if passes else None)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b"", None),
        ({}, b"Rate limit is exceeded. Try again in 7 seconds.", 7.0),
        ({"retry-after": "30"}, b"Try again in 7 seconds.", 30.0),
        ({"retry-after": "0"}, b"Try again in 7 seconds.", 0.0),
        ({"retry-after": "soon"}, b"Try again in 7 seconds.", 7.0),
        ({"retry-after": "Sat, 31 Jan 2026 02:00:45 GMT"}, b"", 45.0),
    ],
)
def test_header_is_asked_for_a_wait_before_the_text(
    headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    now = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
    assert asked_wait_s(RawAnswer(503, headers, body), now) == seconds
    assert transient(RawAnswer(503, headers, body), "", now) == Transient(503, "", seconds, may_have_arrived=False)


@pytest.mark.parametrize("date", ["Fri, 27 Nov 2026 02:00:00 GMT", None])
def test_date_to_wait_for_is_compared_with_that_of_the_answer(date: str | None) -> None:
    headers = {"retry-after": "Fri, 27 Nov 2026 02:00:30 GMT", **({"date": date} if date else {})}
    wrong_clock = datetime(2026, 11, 27, 1, 0, tzinfo=timezone.utc)
    assert asked_wait_s(RawAnswer(503, headers, b""), wrong_clock) == (30.0 if date else 3630.0)
