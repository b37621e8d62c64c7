"""What the simulator remembers of requests and records."""

from __future__ import annotations

from api_pipeline.sandbox.simulator import LA_CODE, Conditions, Fault, FaultTarget, Options, Reading
from tests.support.simulated import PATH, Client, child


def test_request_log_includes_rejected_requests() -> None:
    client = Client()
    client.simulator.add_fault(Fault(status=500))
    client.post(child("A1"), child("A2"), child("A3"))
    client.post(child("A1"), child("A2"))
    client.post_text(b"not json")
    entries = [entry for entry in client.simulator.log if entry.target is FaultTarget.CHILDREN]
    assert [(entry.number, entry.status, entry.records) for entry in entries] == [(1, 500, 3), (2, 200, 2), (3, 400, 0)]
    assert {entry.path for entry in entries} == {PATH}


def test_accepted_records_are_kept_as_the_very_bytes_in_which_they_came() -> None:
    client = Client()
    texts = ['{ "la_child_id" : "A1" }', '{"la_child_id":"A2","child_details":{"surname":"O\'Br\\u00edan ]}, \\"🌟"}}']
    assert client.post_text(f"[{texts[0]} ,\n{texts[1]}]".encode()).status == 200
    assert client.post_text(f" [ {texts[0]} ] ".encode()).status == 200
    assert client.simulator.accepted_records == [texts[0].encode(), texts[1].encode(), texts[0].encode()]


def test_children_held_are_counted_over_deletions_and_returns() -> None:
    client = Client()
    client.post(child("A1"), child("A2"), child("A3"), child("A1", purge=True), child("A2", purge=True), child("A2"))
    assert client.simulator.stats().children_held == len(client.simulator.all_held()) == 2
    client.post(child("A1"), child("A2", purge=True))
    assert client.simulator.stats().children_held == len(client.simulator.all_held()) == 2


def test_without_payloads_only_counts_are_kept() -> None:
    client = Client(Options(keep_payloads=False))
    client.post(child("A1"), child("A2"))
    stats = client.simulator.stats()
    assert (stats.batches_accepted, stats.records_accepted, stats.children_held) == (1, 2, 0)
    assert client.simulator.accepted_records == []
    assert client.simulator.receipts("A1") == []


def test_authorities_hold_children_of_their_own() -> None:
    client = Client(Options(la_codes=("901", "902")))
    client.post(child("A1"), path=PATH.replace(LA_CODE, "901"))
    client.post(child("A1", mis_child_id="M2"), path=PATH.replace(LA_CODE, "902"))
    assert client.simulator.held("A1") == child("A1")
    assert client.simulator.held("A1", "902") == child("A1", mis_child_id="M2")
    assert len(client.simulator.receipts("A1", "902")) == 1


def test_reset_forgets_everything() -> None:
    client = Client()
    client.simulator.change(reading=Reading.REPLACE, rate_limit=1.0)
    client.post(child())
    client.simulator.add_fault(Fault(status=500))
    client.simulator.reset()
    assert client.simulator.conditions == Conditions()
    assert client.simulator.log == []
    assert client.simulator.all_held() == {}
    assert client.post(child()).status == 401
    client.renew()
    assert client.post(child()).status == 200
