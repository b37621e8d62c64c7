"""`test-endpoint` walks the way to the receiver: names, ports, tokens and answers; contract 1 and 5."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, FaultTarget, ReceiptShape, SimulatorServer
from api_pipeline.transport.proxy import PROXY_LOGIN
from tests.support.diagnosing import NETWORK_TEAM, diagnose, walk
from tests.support.ports import closed_port


def test_whole_way_is_walked_and_no_record_is_sent(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path)

    assert found.code == 0
    assert list(found.steps) == ["settings", "DNS", "TCP", "proxy", "TLS", "token", "request"]
    assert found.steps["request"]["detail"] == (
        "the receiver granted access (HTTP 400 to an empty array, no record was sent)"
    )
    stats = server.simulator.stats()
    assert (stats.requests, stats.records_accepted, stats.children_held) == (1, 0, 0)


def test_record_is_sent_only_when_asked_for(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, "--send-test-record")

    assert found.code == 0
    (receipt,) = server.simulator.receipts("Fake1234999")
    said = found.steps["test record"]["detail"]
    assert said.startswith("the invented child was accepted, receipt ")
    assert said.rpartition(" ")[2] in receipt
    assert list(server.simulator.all_held()) == ["Fake1234999"]


def test_test_record_goes_to_no_live_endpoint(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, "--send-test-record", API_ENDPOINT="https://receiver.invalid/1")

    assert (found.code, found.failed) == (2, "settings")
    assert found.sentence.startswith("--send-test-record sends an invented child, and API_ENDPOINT is neither a test")
    assert server.simulator.stats().token_requests == 0


@pytest.mark.parametrize("status", [204, 403, 404, 422])
def test_rejected_test_record_is_reported(server: SimulatorServer, tmp_path: Path, status: int) -> None:
    server.simulator.add_fault(Fault(status=status, body="[0].child_details: no", first=2, last=2))
    found = walk(server, tmp_path, "--send-test-record")

    assert (found.code, found.failed) == (1, "test record")
    assert found.sentence.startswith(f"The invented child was refused (HTTP {status}")


def test_missing_settings_are_listed_before_anything_is_opened(tmp_path: Path) -> None:
    found = diagnose("test-endpoint", {}, tmp_path)

    assert (found.code, found.failed) == (2, "settings")
    for name in ("API_ENDPOINT", "TOKEN_ENDPOINT", "CLIENT_ID", "CLIENT_SECRET", "SCOPE", "SUPPLIER_KEY", "LA_CODE"):
        assert f"{name} is missing" in found.sentence
    assert "Error: 7 settings cannot be used" in found.err


def test_name_that_nobody_knows(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, API_ENDPOINT="https://receiver.invalid/1")

    assert (found.code, found.failed) == (5, "DNS")
    assert found.sentence == "The name receiver.invalid was not found."
    assert "check its spelling" in found.advice
    assert NETWORK_TEAM in found.advice


def test_name_that_cannot_be_one_fails_in_the_search_for_its_address(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, API_ENDPOINT=f"https://{'x' * 70}.example/1")

    assert (found.code, found.failed) == (5, "DNS")


def test_closed_port_is_named_with_what_to_do(server: SimulatorServer, tmp_path: Path) -> None:
    port = closed_port()
    found = walk(server, tmp_path, API_ENDPOINT=f"https://127.0.0.1:{port}/1")

    assert (found.code, found.failed) == (5, "TCP")
    assert found.sentence == f"The connection to 127.0.0.1:{port} was refused."
    assert found.advice == (
        f"nothing listens on that port, or a firewall turns it away: check the port, then ask {NETWORK_TEAM}."
    )


def test_closed_token_service_port_is_reported_separately(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, TOKEN_ENDPOINT=f"https://127.0.0.1:{closed_port()}/token")

    assert (found.code, found.failed) == (5, "TCP (token service)")
    assert found.steps["TCP"]["status"] == "ok"


def test_la_code_of_another_authority(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, LA_CODE="998")

    assert (found.code, found.failed) == (4, "request")
    assert found.advice.startswith("check SUPPLIER_KEY, SCOPE and LA_CODE;")


@pytest.mark.parametrize(
    ("settings", "status"), [({"CLIENT_SECRET": "another"}, 401), ({"SCOPE": "api://another/.default"}, 400)]
)
def test_token_that_is_refused(settings: dict[str, str], status: int, server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, **settings)

    assert (found.code, found.failed) == (4, "token")
    assert found.sentence.startswith(f"The token service refused the credentials (HTTP {status}, invalid_")
    assert "check CLIENT_ID, CLIENT_SECRET, SCOPE and TOKEN_ENDPOINT" in found.sentence
    assert found.advice == (
        "whoever holds the council's account at the DfE portal can look up client id, secret and scope, and make a new "
        "secret where it has run out."
    )
    assert server.simulator.stats().requests == 0


def test_proxy_that_answers_the_token_request_is_blamed(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=407, body="<html>Authenticate</html>"))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (4, "token")
    assert found.sentence == (f"A proxy on the way to the token service requires a login (HTTP 407); {PROXY_LOGIN}")
    assert found.advice == "this says nothing about client id and secret: leave them as they are."


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (403, "<html>Blocked</html>", "ask the council's network team to allow the host of TOKEN_ENDPOINT"),
        (404, "<html>Not Found</html>", "compare TOKEN_ENDPOINT with what the DfE portal shows"),
        (405, "", "compare TOKEN_ENDPOINT with what the DfE portal shows"),
    ],
)
def test_answer_that_is_no_token_services_gets_advice_about_the_way(
    status: int, body: str, advice: str, server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=status, body=body))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (4, "token")
    assert found.advice.startswith(f"this says nothing about client id and secret: {advice}")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(target=FaultTarget.TOKEN, kind=FaultKind.DROP, times=None), "Could not get an access token: "),
        (
            Fault(target=FaultTarget.TOKEN, status=503, times=None),
            "Could not get an access token: the token service answered HTTP",
        ),
        (
            Fault(target=FaultTarget.TOKEN, status=200, body="<html>Log in</html>"),
            "The token service's answer (HTTP 200)",
        ),
    ],
)
def test_token_service_that_is_dead(fault: Fault, said: str, server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(fault)
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "token")
    assert found.sentence.startswith(said)
    assert found.advice.startswith("check TOKEN_ENDPOINT; if it is right, try later")


def test_refusal_of_the_authorised_request(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.change(refuse_supplier_key=True)
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (4, "request")
    assert found.sentence == "The receiver refused access (HTTP 403), although the token service gave a token."
    assert found.advice.startswith("check SUPPLIER_KEY, SCOPE and LA_CODE; whoever holds the council's account")


def test_token_that_the_receiver_does_not_take(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=401, times=None))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (4, "request")
    assert found.sentence.startswith("The receiver refused a fresh token (HTTP 401)")


def test_address_where_no_receiver_is(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=404))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence.startswith("There is no receiver at this address (HTTP 404")
    assert "check API_ENDPOINT and LA_CODE against what the DfE portal shows" in found.advice


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (413, "a firewall or proxy on the way may have answered in its place: ask the council's network team"),
        (451, "a firewall or proxy on the way may have answered in its place: ask the council's network team"),
    ],
)
def test_refusal_that_says_nothing_of_the_address_names_no_wrong_one(
    status: int, advice: str, server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(status=status))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence.startswith(f"The receiver did not answer as it should (HTTP {status}")
    assert found.advice.startswith(advice)


def test_proxy_that_answers_in_the_receivers_place_is_blamed(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=407))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence == "A proxy on the way to the receiver requires a login (HTTP 407)."
    assert found.advice == PROXY_LOGIN


def test_token_service_that_dies_before_the_request_is_answered_gets_advice(
    server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(status=401))
    server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=503, first=2, last=2))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence.startswith("Could not get an access token: the token service answered HTTP 503")
    assert found.advice.startswith("such errors usually pass: try again later")


def test_receiver_that_is_out_of_order(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=503, times=None))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence.startswith("The receiver did not answer as it should (HTTP 503")
    assert "try again later" in found.advice


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (413, "The receiver did not answer as it should (HTTP 413"),
        (511, "What answered is a web page, not the receiver"),
    ],
)
def test_answer_of_what_stands_before_the_receiver_shows_no_access(
    status: int, sentence: str, server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(status=status))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence.startswith(sentence)


def test_secret_that_the_receiver_quotes_is_hidden_whole(server: SimulatorServer, tmp_path: Path) -> None:
    # The words of this key that have no capital and no digit are none that masking takes out.
    key = "only-words-and-9"
    server.simulator.add_fault(Fault(status=404, body=f"no route for SupplierKey {key}"))
    found = walk(server, tmp_path, SUPPLIER_KEY=key)

    assert found.failed == "request"
    assert "only-words" not in found.sentence


def test_login_page_in_the_receivers_place(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=200, body="<html><h1>Log in to the network</h1></html>"))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence == "What answered is a web page, not the receiver (HTTP 200)."
    assert found.advice.startswith("a proxy's login page usually does that")


def test_redirect_to_a_login_page_is_not_followed(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=302, headers={"Location": server.token_url}))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (5, "request")
    assert found.sentence.startswith("There is no receiver at this address (HTTP 302")
    assert found.advice.startswith("a proxy's login page usually does that")
    assert server.simulator.stats().token_requests == 1


@pytest.mark.parametrize(
    ("body", "status"), [('{"status": "up"}', "remark"), ("OK", "remark"), (" [ ]", "ok"), ("", "ok")]
)
def test_success_of_another_service_gets_a_remark(
    body: str, status: str, server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(status=200, body=body))
    found = walk(server, tmp_path)

    assert found.code == 0
    assert found.steps["request"]["status"] == status
    assert ("granted access" in found.steps["request"]["detail"]) is (status == "ok")


def test_firewall_page_gets_a_remark(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(status=400, body="<html>Request blocked</html>"))
    found = walk(server, tmp_path)

    assert found.code == 0
    assert found.steps["request"]["status"] == "remark"
    assert "whether a firewall or proxy answers in its place" in found.steps["request"]["advice"]


def test_accepted_test_record_without_a_receipt_gets_a_remark(server: SimulatorServer, tmp_path: Path) -> None:
    server.simulator.add_fault(Fault(kind=FaultKind.RECEIPTS, shape=ReceiptShape.MALFORMED, first=2, last=2))
    found = walk(server, tmp_path, "--send-test-record")

    assert found.code == 0
    assert found.steps["test record"]["status"] == "remark"
    assert "holds no receipt" in found.steps["test record"]["detail"]


def test_firewall_that_swallows_the_connection(server: SimulatorServer, tmp_path: Path) -> None:
    found = walk(server, tmp_path, API_ENDPOINT="https://192.0.2.1/1", CONNECT_TIMEOUT_S="0.5")

    assert (found.code, found.failed) == (5, "TCP")
    # A machine without any way out says so at once.
    assert found.sentence in (
        "192.0.2.1:443 did not answer within 0.5 s.",
        "192.0.2.1:443 cannot be reached.",
        "The connection to 192.0.2.1:443 was refused.",
    )
    assert NETWORK_TEAM in found.advice
