"""Control of the embedded receiver from another process, and the server that `simulate-api` runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from api_pipeline.errors import SettingsError
from api_pipeline.sandbox.simulator import (
    SUPPLIER_KEY,
    Conditions,
    Fault,
    FaultKind,
    Options,
    Reading,
    SimulatorServer,
    run_server,
)
from tests.support.simulated import FORM, child
from tests.support.simulator_client import Client, wait_for_simulator_threads, wait_until


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
    thread = threading.Thread(target=run_server, args=(0, options, lines.append, stop))
    thread.start()
    wait_until(lambda: any("/_control/" in line for line in lines))
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    token = requests.post(settings["TOKEN_ENDPOINT"], data={**FORM, "client_id": settings["CLIENT_ID"]}, timeout=5)
    assert token.status_code == 200
    assert settings["SUPPLIER_KEY"] == SUPPLIER_KEY
    assert "replace" in lines[-1]
    stop.set()
    thread.join(5)
    assert lines[-1] == "Stopped. Requests: 0, records accepted: 0, children that the receiver holds: 0."
    wait_for_simulator_threads(0)


def test_server_for_rehearsals_ends_on_the_die_command() -> None:
    lines: list[str] = []
    thread = threading.Thread(target=run_server, args=(0, Options(), lines.append, threading.Event()))
    thread.start()
    wait_until(lambda: any("/_control/" in line for line in lines))
    origin = (
        next(line for line in lines if line.startswith("TOKEN_ENDPOINT="))
        .split("=")[1]
        .removesuffix("/oauth2/v2.0/token")
    )
    assert requests.post(f"{origin}/_control/die", timeout=5).status_code == 200
    thread.join(5)
    assert lines[-1].startswith("Stopped.")
