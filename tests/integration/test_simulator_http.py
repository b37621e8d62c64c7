"""The embedded receiver over real HTTP: the wire, its faults, and control from another process."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from api_pipeline.errors import SettingsError
from api_pipeline.sandbox.simulator import (
    LA_CODE,
    SUPPLIER_KEY,
    Conditions,
    Fault,
    FaultKind,
    Options,
    Reading,
    SimulatorServer,
    When,
    run_server,
)
from tests.support.simulated import FORM, PATH, child


class Client:
    """One session to a server, with a token."""

    def __init__(self, server: SimulatorServer, verify: str | bool = True) -> None:
        self.origin = server.origin
        self.url = f"{server.base_url}/children_social_care_data/{LA_CODE}/children"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = verify
        token = self.session.post(server.token_url, data=FORM).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}", "SupplierKey": SUPPLIER_KEY}

    def post(self, *records: Any, timeout: float = 5.0) -> requests.Response:
        return self.session.post(self.url, json=records, headers=self.headers, timeout=timeout, allow_redirects=False)

    def control(self, method: str, what: str, value: Any = None, **headers: str) -> requests.Response:
        return self.session.request(method, f"{self.origin}/_control/{what}", json=value, headers=headers, timeout=5)

    def ask(self, what: str) -> Any:
        return self.control("GET", what).json()


@pytest.fixture
def client(server: SimulatorServer) -> Iterator[Client]:
    made = Client(server)
    yield made
    made.session.close()


def simulator_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("simulator")]


def wait_for_simulator_threads(count: int) -> None:
    """See that so many threads are left; one that ends takes a moment for it."""
    wait_until(lambda: len(simulator_threads()) == count)
    assert len(simulator_threads()) == count


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait up to five seconds for what the test then asserts."""
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)


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
    assert time.monotonic() - began < 3
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


def test_conditions_are_changed_and_read_over_http(client: Client) -> None:
    change = {
        "reading": "replace",
        "receipt_shape": "single",
        "refusals": [{"ids": ["A2"], "surnames": ["Oak"], "status": 422, "is_named": False}],
        "firewall_markers": ["0x41"],
        "max_body_bytes": None,
        "latency_s": 0,
    }
    told = client.control("POST", "conditions", change).json()
    assert told == client.ask("conditions")
    assert {name: told[name] for name in change if name != "refusals"} == {
        name: value for name, value in change.items() if name != "refusals"
    }
    assert isinstance(client.post(child("A1")).json(), str)
    assert client.post(child("A2")).status_code == 422
    assert client.post(child("B0x41")).status_code == 403


def test_faults_are_programmed_and_taken_out_over_http(client: Client) -> None:
    faults = [
        {"status": 429, "retry_after_s": 3, "times": 2},
        {"kind": "receipts", "shape": "login_page", "first": 3, "last": 3},
        {"status": 500, "target": "token", "times": None},
    ]
    assert client.control("POST", "faults", faults).status_code == 200
    answers = [client.post(child()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 200, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert b"<html" in answers[2].content
    token_url = f"{client.origin}/oauth2/v2.0/token"
    assert client.session.post(token_url, data=FORM).status_code == 500
    assert client.control("DELETE", "faults").status_code == 200
    assert client.session.post(token_url, data=FORM).status_code == 200


def test_received_records_can_be_read_over_http(client: Client) -> None:
    client.post(child("A1"), child("A2"))
    client.post({})
    stats, log = client.ask("stats"), client.ask("log")
    assert (stats["requests"], stats["answers"], stats["records_accepted"]) == (2, {"200": 1, "400": 1}, 2)
    assert [(entry["target"], entry["status"], entry["records"]) for entry in log] == [
        ("token", 200, 0),
        ("children", 200, 2),
        ("children", 400, 1),
    ]
    assert len(client.ask("receipts/A1")) == 1
    assert client.control("POST", "expire-tokens").status_code == 200
    assert client.post(child()).status_code == 401
    assert client.control("POST", "reset").status_code == 200
    assert client.ask("held") == {}


@pytest.mark.parametrize(
    ("what", "value", "word"),
    [
        ("faults", {"status": "500"}, "status"),
        ("faults", {"status": True}, "status"),
        ("faults", {"statuz": 500}, "statuz"),
        ("faults", {"kind": "explode"}, "kind"),
        ("faults", {"headers": ["x"]}, "headers"),
        ("faults", {"times": 0}, "times"),
        ("faults", [1], "object"),
        ("conditions", {"refusals": {}}, "refusals"),
        ("conditions", {"refusals": [{"ids": [1]}]}, "ids"),
        ("conditions", {"rate_limit": 0}, "rate_limit"),
    ],
)
def test_control_reports_what_it_cannot_read(client: Client, what: str, value: Any, word: str) -> None:
    answer = client.control("POST", what, value)
    assert answer.status_code == 400
    assert word in answer.json()["message"]


def test_control_is_for_names_of_this_machine_only(client: Client, server: SimulatorServer) -> None:
    assert client.control("GET", "stats", Host=f"localhost:{server.port}").status_code == 200
    assert client.control("GET", "stats", Host="evil.example").status_code == 403
    assert client.control("GET", "no-such-thing").status_code == 404


def test_tls_with_a_certificate_of_ones_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    authority = trustme.CA()
    pem, trusted = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(trusted))
    with SimulatorServer(certfile=pem) as server:
        assert server.base_url.startswith("https://127.0.0.1:")
        client = Client(server, verify=str(trusted))
        assert client.post(child()).status_code == 200
        server.simulator.add_fault(Fault(FaultKind.DROP), Fault(FaultKind.HANG))
        with pytest.raises(requests.ConnectionError):
            client.post(child())
        with pytest.raises(requests.ReadTimeout):
            client.post(child(), timeout=0.2)
        with pytest.raises(requests.exceptions.SSLError):
            Client(server)
        client.session.close()
    wait_for_simulator_threads(0)
    assert capfd.readouterr().err == ""


def test_unreadable_certificate_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing", encoding="ascii")
    for name in ("no.pem", "absent.pem"):
        with pytest.raises(SettingsError, match=name):
            SimulatorServer(certfile=tmp_path / name)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org"])
def test_only_this_machine_is_listened_on(host: str) -> None:
    with pytest.raises(SettingsError, match="this machine only"):
        SimulatorServer(host=host)


def test_port_that_is_taken_is_named(server: SimulatorServer) -> None:
    with pytest.raises(SettingsError, match=str(server.port)):
        SimulatorServer(port=server.port)


def test_server_for_rehearsals_prints_its_settings_and_stops() -> None:
    stop, lines = threading.Event(), list[str]()
    options = Options(keep_payloads=False, conditions=Conditions(reading=Reading.REPLACE))
    thread = threading.Thread(target=run_server, args=("127.0.0.1", 0, options, lines.append, stop))
    thread.start()
    wait_until(lambda: any("/_control/" in line for line in lines))
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    token = requests.post(settings["TOKEN_ENDPOINT"], data={**FORM, "client_id": settings["CLIENT_ID"]}, timeout=5)
    assert token.status_code == 200
    assert settings["SUPPLIER_KEY"] == SUPPLIER_KEY
    assert "replace" in lines[-1]
    stop.set()
    thread.join(5)
    assert lines[-1] == "Stopped: 0 requests came, 0 records were accepted, 0 children are held."
    wait_for_simulator_threads(0)


def test_server_for_rehearsals_ends_on_the_die_command() -> None:
    lines: list[str] = []
    thread = threading.Thread(target=run_server, args=("127.0.0.1", 0, Options(), lines.append))
    thread.start()
    wait_until(lambda: any("/_control/" in line for line in lines))
    origin = (
        next(line for line in lines if line.startswith("TOKEN_ENDPOINT="))
        .split("=")[1]
        .removesuffix("/oauth2/v2.0/token")
    )
    assert requests.post(f"{origin}/_control/die", timeout=5).status_code == 200
    thread.join(5)
    assert lines[-1].startswith("Stopped:")
