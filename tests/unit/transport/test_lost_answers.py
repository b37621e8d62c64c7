"""What kept an answer from coming, and whether the request may have arrived."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.transport.single_request import Request, Transient, ask
from tests.support.hostile_receiver import HostileReceiver, Talk
from tests.support.ports import closed_port
from tests.support.scripted import hangs_up, in_turn, says
from tests.support.tls import authority, raw_server
from tests.unit.transport.asking import REACH, SECRET, a_failure, an_answer, asking


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


@pytest.mark.parametrize("host", ["receiver..example", "x" * 64 + ".example"])
def test_name_that_cannot_be_one_is_not_reached(session: requests.Session, host: str) -> None:
    failure = a_failure(ask(session, REACH, Request("GET", f"https://{host}/1", "page")))
    assert failure == Transient(None, "network error: the receiver could not be reached", None, may_have_arrived=False)


@pytest.mark.parametrize("login", ["basic", "integrated"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "the proxy requires a login, HTTP 407; check PROXY_URL and PROXY_AUTH"),
        (403, "the proxy forbids the way to the receiver, HTTP 403; ask the network team to allow it"),
        (503, "the proxy could not reach the receiver itself, HTTP 503; ask the network team if it stays so"),
        (429, "the proxy did not open a way to the receiver, HTTP 429; check PROXY_URL"),
    ],
)
def test_proxy_that_opens_no_way_is_quoted_by_its_status_alone(status: int, words: str, login: str) -> None:
    answer = f"HTTP/1.1 {status} {SECRET} 407 403\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(greeting=answer) as port:
        options = TransportOptions(proxy_url=f"http://user:{SECRET}@127.0.0.1:{port}", proxy_auth=login)
        failure = a_failure(ask(make_session(options), REACH, Request("GET", "https://receiver.example/1", "page")))
    assert failure == Transient(None, f"network error: {words}", None, may_have_arrived=False)


def test_proxy_that_is_not_there_is_named_as_what_is_missing() -> None:
    options = TransportOptions(proxy_url=f"http://user:{SECRET}@127.0.0.1:{closed_port()}")
    failure = a_failure(ask(make_session(options), REACH, Request("GET", "https://receiver.example/1", "page")))
    assert failure.reason == "network error: the proxy could not be reached; check PROXY_URL, or the system's proxy"


@contextlib.contextmanager
def serving(reply: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield host and port of a server that deals with one connection by `reply`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                reply(connection)

        server = threading.Thread(target=serve)
        server.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        server.join(5)


def with_tls(folder: Path) -> tuple[ssl.SSLContext, requests.Session]:
    """Return what a server speaks TLS with, and a session that trusts it."""
    known = authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*known.issue())
    context.load_verify_locations(known.pem)
    return context, make_session(TransportOptions(str(known.pem)))


def test_service_without_tls_got_nothing(session: requests.Session) -> None:
    def answer_without_tls(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(answer_without_tls) as server:
        failure = a_failure(ask(session, REACH, Request("GET", f"https://{server}/", "page")))
    assert failure == Transient(
        None, "network error: the receiver's certificate or TLS was not accepted", None, may_have_arrived=False
    )


def test_connection_closed_within_the_handshake_is_no_refused_certificate(session: requests.Session) -> None:
    def close_when_greeted(connection: socket.socket) -> None:
        connection.recv(65_536)

    with serving(close_when_greeted) as server:
        failure = a_failure(ask(session, REACH, Request("GET", f"https://{server}/", "page")))
    assert failure == Transient(
        None, "network error: the connection was lost before an answer came", None, may_have_arrived=False
    )


def test_tls_that_breaks_after_the_request_may_have_let_it_arrive(tmp_path: Path) -> None:
    context, trusting = with_tls(tmp_path)

    def answer_beside_tls(plain: socket.socket) -> None:
        with plain.dup() as beside, context.wrap_socket(plain, server_side=True) as secured:
            secured.recv(65_536)
            beside.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            beside.recv(1)

    with serving(answer_beside_tls) as server, trusting:
        failure = a_failure(ask(trusting, REACH, Request("GET", f"https://{server}/", "page")))
    assert failure == Transient(
        None, "network error: the connection was lost before an answer came", None, may_have_arrived=True
    )


def test_server_that_wants_a_certificate_of_ours_refuses_our_tls(tmp_path: Path) -> None:
    context, trusting = with_tls(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(plain: socket.socket) -> None:
        with plain.dup() as beside:
            with contextlib.suppress(ssl.SSLError):
                context.wrap_socket(plain, server_side=True)
            # To close before the request is read would reset the connection.
            beside.recv(65_536)

    with serving(refuse) as server, trusting:
        failure = a_failure(ask(trusting, REACH, Request("GET", f"https://{server}/", "page")))
    assert failure.reason == "network error: the receiver's certificate or TLS was not accepted"


def test_proxy_that_breaks_off_before_the_tunnel_stands_passed_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def break_off(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 Conn")

    with serving(break_off) as server, make_session(TransportOptions(proxy_url=f"http://{server}")) as tunnelled:
        failure = a_failure(ask(tunnelled, REACH, Request("GET", "https://receiver.example/", "page")))
    assert not failure.may_have_arrived


def test_silent_service_is_waited_for_no_longer_than_set(server: HostileReceiver, session: requests.Session) -> None:
    failure = a_failure(ask(session, REACH._replace(timeouts=(2.0, 0.1)), asking(server, Talk.wait_until_gone)))
    assert failure.reason == "network error: no answer within READ_TIMEOUT_S"
    assert failure.may_have_arrived
    assert server.heard[0].took_s < 1.0


def test_service_that_stops_taking_the_request_is_waited_for_no_longer_than_set(session: requests.Session) -> None:
    is_over = threading.Event()

    def take_nothing(_: socket.socket) -> None:
        is_over.wait(30)

    with serving(take_nothing) as address:
        large = Request("POST", f"http://{address}/", "page", body=bytes(32 * 1024 * 1024))
        began = time.monotonic()
        failure = a_failure(ask(session, REACH._replace(timeouts=(20.0, 0.1)), large))
        is_over.set()
    assert time.monotonic() - began < 5.0
    assert failure.may_have_arrived


def test_answer_that_drips_is_cut_off_as_a_whole(server: HostileReceiver, session: requests.Session) -> None:
    def drip(talk: Talk) -> None:
        with contextlib.suppress(OSError):
            talk.drip(b"HTTP/1.1 200 Fine\r\n" + b"X-More: 1\r\n" * 1000)

    began = time.monotonic()
    failure = a_failure(ask(session, REACH, replace(asking(server, drip), whole_s=0.15)))
    assert 0.1 < time.monotonic() - began < 10
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
    assert time.monotonic() - began < 10
