"""The embedded receiver over real HTTP: the wire and its faults."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest
import requests

from api_pipeline.sandbox.simulator import (
    Fault,
    FaultKind,
    SimulatorServer,
    When,
)
from tests.support.simulated import PATH, child
from tests.support.simulator_client import Client, wait_for_simulator_threads, wait_until


def test_records_are_accepted_over_one_connection_kept_alive(client: Client) -> None:
    assert [client.post(child(f"A{n}")).status_code for n in range(5)] == [200] * 5
    assert set(client.ask("held")) == {f"A{n}" for n in range(5)}
    wait_for_simulator_threads(2)


def test_names_arrive_byte_for_byte(server: SimulatorServer, client: Client) -> None:
    text = json.dumps(child(child_details={"surname": "Ŵyn 'Ó' \"🌟\""}), ensure_ascii=False)
    body = f"[{text}]".encode()
    headers = {**client.headers, "Content-Type": "application/json"}
    assert client.session.post(client.url, data=body, headers=headers).status_code == 200
    assert server.simulator.accepted_records == [text.encode()]
    assert client.ask("accepted") == [text]


@pytest.mark.parametrize("when", list(When))
def test_dropped_connection_gives_no_answer_and_the_next_request_passes(client: Client, when: When) -> None:
    assert client.control("POST", "faults", {"kind": "drop", "when": when.value}).status_code == 200
    with pytest.raises(requests.ConnectionError):
        client.post(child())
    held = client.control("GET", "held/A1")
    assert held.status_code == (200 if when is When.AFTER_ACCEPTING else 404)
    assert client.post(child()).status_code == 200


def test_connection_dropped_before_a_large_body_is_read_gives_no_answer(
    client: Client, server: SimulatorServer
) -> None:
    server.simulator.add_fault(Fault(FaultKind.DROP, when=When.BEFORE_READING))
    with pytest.raises(requests.ConnectionError):
        client.post(*(child(f"A{n}", child_details={"surname": "x" * 50_000}) for n in range(100)))
    assert server.simulator.stats().answers == {0: 1}


@pytest.mark.parametrize("when", [When.BEFORE_ACCEPTING, When.AFTER_ACCEPTING])
def test_hanging_request_is_never_answered(client: Client, server: SimulatorServer, when: When) -> None:
    server.simulator.add_fault(Fault(FaultKind.HANG, when=when))
    with pytest.raises(requests.ReadTimeout):
        client.post(child(), timeout=0.2)
    # The client may have gone before the request was looked at.
    wait_until(lambda: server.simulator.stats().answers == {0: 1})
    assert (server.simulator.held("A1") is not None) is (when is When.AFTER_ACCEPTING)
    assert client.post(child()).status_code == 200


@pytest.mark.parametrize("over_http", [True, False])
def test_dead_receiver_refuses_connections_and_another_on_its_port_goes_on(
    client: Client, server: SimulatorServer, over_http: bool
) -> None:
    assert client.post(child("A1")).status_code == 200
    if over_http:
        assert client.control("POST", "die").status_code == 200
    else:
        server.simulator.add_fault(Fault(FaultKind.DIE, when=When.AFTER_ACCEPTING))
        with pytest.raises(requests.ConnectionError):
            client.post(child("A2"))
    server.stop()
    with pytest.raises(requests.ConnectionError):
        client.post(child("A3"))
    with SimulatorServer(server.simulator, port=server.port):
        assert client.post(child("A3")).status_code == 200
    assert set(server.simulator.all_held()) == ({"A1", "A3"} if over_http else {"A1", "A2", "A3"})


def test_answers_without_a_body_leave_the_connection_usable(client: Client, server: SimulatorServer) -> None:
    server.simulator.add_fault(Fault(status=204), Fault(status=304), Fault(status=302, headers={"Location": "/x"}))
    answers = [client.post(child()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [204, 304, 302, 200]
    assert answers[0].content == b""
    assert answers[2].headers["Location"] == "/x"


def test_latency_is_waited_for_and_requests_overlap(server: SimulatorServer) -> None:
    server.simulator.change(latency_s=0.15)
    clients = [Client(server) for _ in range(8)]
    began = time.monotonic()
    threads = [threading.Thread(target=sender.post, args=(child(f"A{n}"),)) for n, sender in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.15
    stats = server.simulator.stats()
    assert (stats.records_accepted, stats.children_held) == (8, 8)
    assert stats.most_at_once > 1
    for sender in clients:
        sender.session.close()


def test_server_ends_at_once_and_leaves_no_thread_behind(server: SimulatorServer, client: Client) -> None:
    server.simulator.add_fault(Fault(FaultKind.SLOW, delay_s=60.0), Fault(FaultKind.HANG))
    outcomes: list[type[BaseException]] = []

    def send() -> None:
        try:
            client.post(child(), timeout=30)
        except requests.RequestException as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: server.simulator.stats().requests == 2)
    began = time.monotonic()
    server.stop()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 20
    assert outcomes == [requests.ConnectionError] * 2
    wait_for_simulator_threads(0)


def test_client_that_disconnects_is_not_logged(
    client: Client, server: SimulatorServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.simulator.add_fault(Fault(FaultKind.SLOW, delay_s=0.2))
    with pytest.raises(requests.ReadTimeout):
        client.post(child(), timeout=0.05)
    with socket.create_connection(("127.0.0.1", server.port)) as halfway:
        halfway.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[".encode())
    with socket.create_connection(("127.0.0.1", server.port)) as nonsense:
        nonsense.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        nonsense.recv(100)
    server.stop()
    assert capfd.readouterr() == ("", "")


def test_body_in_chunks_is_read_as_one(client: Client) -> None:
    text = json.dumps([child("A1"), child("A2")]).encode()
    headers = {**client.headers, "Content-Type": "application/json"}
    answer = client.session.post(client.url, data=iter([text[:7], text[7:]]), headers=headers)
    assert (answer.status_code, len(answer.json())) == (200, 2)
    assert client.post(child("A3")).status_code == 200


def test_client_that_waits_before_its_body_is_told_to_go_on(client: Client, server: SimulatorServer) -> None:
    body = json.dumps([child()]).encode()
    lines = [f"POST {PATH} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Expect: 100-continue"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in client.headers.items()), "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("length", ["many", "-1", str(10**12)])
def test_body_of_unreadable_length_is_refused(server: SimulatorServer, length: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("DELETE", 405), ("HEAD", 405)])
def test_other_methods_are_not_allowed(client: Client, method: str, status: int) -> None:
    answer = client.session.request(method, client.url, headers=client.headers)
    assert (answer.status_code, answer.headers["Allow"]) == (status, "POST")
    assert client.post(child()).status_code == 200
