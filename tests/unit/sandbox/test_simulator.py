"""The simulator answers as the published receiver does: tokens, envelopes, rejections and receipts."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import (
    BASE_PATH,
    LA_CODE,
    TOKEN_PATH,
    Conditions,
    Fault,
    FaultKind,
    FaultTarget,
    Options,
    ReceiptShape,
    Refusal,
    RefusalForm,
    invented,
)
from api_pipeline.sandbox.simulator.adapter import in_process_session
from tests.support.simulated import FORM, PATH, Client, child

RECEIPT = re.compile(r"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d\d_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json")


def test_each_record_gets_a_receipt_in_the_receivers_format_and_in_order() -> None:
    client = Client()
    answer = client.post(child("A1"), child("A2"))
    receipts = json.loads(answer.body)
    assert answer.status == 200
    assert all(RECEIPT.fullmatch(receipt) for receipt in receipts)
    assert receipts[0].startswith("2026-03-01_12:00:00.43_")
    assert [client.simulator.receipts("A1"), client.simulator.receipts("A2")] == [[receipts[0]], [receipts[1]]]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_id": "someone-else"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "api://other/.default"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": ""}, 400, "invalid_request"),
        ({"method": "GET"}, 405, "invalid_request"),
    ],
)
def test_token_is_refused_with_its_oauth_error(changes: dict[str, str], status: int, error: str) -> None:
    answer = Client().ask_token(**changes)
    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)


def test_token_must_be_asked_for_by_a_form() -> None:
    answer = Client().simulator.handle("POST", TOKEN_PATH, {"Content-Type": "application/json"}, b"{}")
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(("lifetime", "told"), [(3600.0, 3600), (0.5, 0.5)])
def test_token_lives_as_long_as_it_says(lifetime: float, told: float) -> None:
    client = Client(Options(token_lifetime_s=lifetime))
    assert json.loads(client.ask_token().body)["expires_in"] == told
    assert client.post(child()).status == 200
    client.clock.move(lifetime)
    assert client.post(child()).status == 401
    client.renew()
    assert client.post(child()).status == 200


def test_expired_tokens_are_refused_until_renewed() -> None:
    client = Client()
    client.simulator.expire_tokens()
    assert client.post(child()).status == 401
    client.renew()
    assert client.post(child()).status == 200
    assert client.simulator.stats().tokens_issued == 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET"}, 405),
        ({"path": f"{BASE_PATH}/children"}, 404),
        ({"path": f"{BASE_PATH}/children_social_care_data/{LA_CODE}/children/"}, 404),
        ({"path": f"{BASE_PATH}/children_social_care_data/children_social_care_data/{LA_CODE}/children"}, 404),
        ({"path": f"{BASE_PATH}/../1/children_social_care_data/{LA_CODE}/children"}, 404),
        ({"path": f"/receiver%2Dtest/children_social_care_data/{LA_CODE}/children"}, 404),
        ({"path": PATH.replace(LA_CODE, "123")}, 403),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer guessed"}, 401),
        ({"Authorization": "Basic guessed"}, 401),
        ({"SupplierKey": "wrong"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/json; charset=latin-1"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"path": PATH.replace(BASE_PATH, "")}, 200),
        ({"path": f"{PATH}?trace=1"}, 200),
    ],
)
def test_envelope_is_checked(request_: dict[str, str], status: int) -> None:
    assert Client().post(child(), **request_).status == status


def test_supplier_key_is_checked_before_the_body() -> None:
    client = Client()
    assert client.post().status == 400
    assert client.post(SupplierKey="wrong").status == 403
    client.simulator.change(refuse_supplier_key=True)
    assert client.post().status == 403
    assert client.simulator.stats().records_accepted == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xef\xbb\xbf[]", b'[{"la_child_id": "\xff"}]', b"[NaN]", b"{}", b"null"])
def test_body_that_is_no_json_array_in_utf_8_is_refused(body: bytes) -> None:
    assert Client().post_text(body).status == 400


def test_a_hundred_records_are_taken_and_one_more_is_too_many() -> None:
    client = Client()
    assert client.post(*(child(f"A{n}") for n in range(100))).status == 200
    assert client.post(*(child(f"B{n}") for n in range(101))).status == 413
    assert len(client.simulator.all_held()) == 100


def test_body_over_the_size_limit_is_refused() -> None:
    client = Client()
    size = len(json.dumps([child()]))
    client.simulator.change(max_body_bytes=size)
    assert client.post(child()).status == 200
    assert client.post(child("A12")).status == 413


BROKEN = [
    child("A1"),
    child("A2", social_care_episodes=[{"social_care_episode_id": "E1", "closure_date": "2024-02-30"}]),
    child("A3", child_details={"first_name": None}),
    {"mis_child_id": "M1"},
    child("A5", no_such_member=1),
]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("form", [RefusalForm.LIST, RefusalForm.PROBLEM, RefusalForm.TEXT])
def test_breaches_of_the_schema_are_named_by_position_and_nothing_is_taken(form: RefusalForm, status: int) -> None:
    client = Client(Options(conditions=Conditions(refusal_form=form, refusal_status=status)))
    answer = client.post(*BROKEN)
    text = answer.body.decode()
    assert answer.status == status
    assert "[1].social_care_episodes[0].closure_date" in text
    assert "[2].child_details.first_name" in text
    assert re.search(r"\[3\]\W", text)
    assert re.search(r"\[4\]\W", text)
    assert "[0]:" not in text.replace("episodes[0]", "")
    assert client.simulator.all_held() == {}


def test_unnamed_rejection_has_no_position() -> None:
    client = Client(Options(conditions=Conditions(refusal_form=RefusalForm.UNNAMED)))
    answer = client.post(*BROKEN)
    assert answer.status == 400
    assert b"[" not in answer.body


def test_without_the_schema_only_the_child_id_is_asked_for() -> None:
    client = Client(Options(check_schema=False))
    assert client.post(child("A_1", no_such_member=1)).status == 200
    nameless_ones: list[Any] = [{}, {"la_child_id": ""}, {"la_child_id": None}, [], "A1"]
    for nameless in nameless_ones:
        answer = client.post(child(), nameless)
        assert (answer.status, b"[1]" in answer.body) == (400, True)


@pytest.mark.parametrize(
    "refusal",
    [Refusal(ids=frozenset({"A2"})), Refusal(surnames=frozenset({"Świerk"})), Refusal(contains="wierk")],
    ids=["by id", "by surname", "by text"],
)
def test_rejected_records_fail_their_batch_and_are_named(refusal: Refusal) -> None:
    client = Client()
    client.simulator.change(refusals=(refusal,))
    good, bad = child("A1", child_details={"surname": "Oak"}), child("A2", child_details={"surname": "Świerk"})
    answer = client.post(good, bad)
    assert (answer.status, json.loads(answer.body)["errors"]) == (400, ["[1]: the record was refused"])
    assert client.simulator.all_held() == {}
    assert client.post(good).status == 200


def test_rejected_records_can_be_unnamed_or_blocked_by_firewall() -> None:
    client = Client()
    client.simulator.change(refusals=(Refusal(ids=frozenset({"A2"}), status=422, is_named=False),))
    answer = client.post(child("A1"), child("A2"))
    assert (answer.status, b"[" in answer.body) == (422, False)
    client.simulator.change(refusals=(Refusal(ids=frozenset({"A2"}), status=403),))
    answer = client.post(child("A1"), child("A2"))
    assert (answer.status, b"<html" in answer.body) == (403, True)


@pytest.mark.parametrize("marker", ["0x41", "0X41"])
def test_firewall_answers_a_page_to_any_body_with_its_marker_in_any_case(marker: str) -> None:
    client = Client()
    client.simulator.change(firewall_markers=("nowhere", marker))
    answer = client.post(child("A1"), child("B0X41"))
    assert (answer.status, b"<html" in answer.body) == (403, True)
    assert client.post(child("B0x41")).status == 403
    assert client.post(child("A1")).status == 200


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (ReceiptShape.LIST, lambda body: len(json.loads(body)) == 2),
        (ReceiptShape.TEXT, lambda body: all(RECEIPT.fullmatch(token) for token in body.decode().split())),
        (ReceiptShape.SINGLE, lambda body: re.fullmatch(r"[0-9a-f-]{36}", json.loads(body))),
        (ReceiptShape.SHORT, lambda body: len(json.loads(body)) == 1),
        (ReceiptShape.LONG, lambda body: len(json.loads(body)) == 3),
        (ReceiptShape.EMPTY, lambda body: body == b""),
        (ReceiptShape.LOGIN_PAGE, lambda body: b"<html" in body),
        (ReceiptShape.MALFORMED, lambda body: json.loads(body) == ["accepted"] * 2),
    ],
)
def test_acceptance_has_the_configured_shape_and_stores_records(shape: ReceiptShape, expected: Any) -> None:
    client = Client()
    client.simulator.change(receipt_shape=shape, accept_status=201)
    answer = client.post(child("A1"), child("A2"))
    assert answer.status == 201
    assert expected(answer.body)
    assert set(client.simulator.all_held()) == {"A1", "A2"}


def test_odd_receipts_can_be_set_for_one_request() -> None:
    client = Client()
    client.simulator.add_fault(Fault(FaultKind.RECEIPTS, shape=ReceiptShape.SHORT, status=202))
    assert (client.post(child()).status, client.post(child()).status) == (202, 200)


def test_eight_senders_at_once_lose_nothing() -> None:
    client = Client()
    client.simulator.add_fault(Fault(status=503, times=10))
    statuses: list[int] = []

    def send(sender: int) -> None:
        for batch in range(10):
            records = [child(f"S{sender}B{batch}R{n}") for n in range(3)]
            statuses.append(client.post(*records, child("shared", mis_child_id=f"S{sender}")).status)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = client.simulator.stats()
    assert sorted(statuses) == [200] * 70 + [503] * 10
    assert (stats.requests, stats.batches_accepted, stats.records_accepted) == (80, 70, 280)
    assert len(client.simulator.all_held()) == 70 * 3 + 1
    assert len(client.simulator.receipts("shared")) == 70
    assert len({entry.number for entry in client.simulator.log if entry.target is FaultTarget.CHILDREN}) == 80


def test_testing_mode_is_answered_inside_the_process() -> None:
    simulator = invented.simulator()
    with in_process_session(simulator) as inside:
        token = inside.post(invented.TOKEN_URL, data=FORM).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "SupplierKey": invented.SUPPLIER_KEY}
        answer = inside.post(invented.CHILDREN_URL, json=[child()], headers=headers)
        assert (answer.status_code, len(answer.json())) == (200, 1)
        simulator.add_fault(Fault(status=302, headers={"Location": invented.CHILDREN_URL}))
        moved = inside.post(invented.CHILDREN_URL, json=[child()], headers=headers, allow_redirects=False)
        assert moved.status_code == 302
    assert simulator.stats().records_accepted == 1
