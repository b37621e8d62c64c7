"""A POST to the receiver and what is made of its answer, over a real connection on this machine."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import requests

from api_pipeline.auth.token_provider import Credentials, TokenProvider
from api_pipeline.csc_api.answers import (
    REASON_LIMIT,
    Forbidden,
    Malformed,
    PermanentError,
    Receipts,
    TooLarge,
    Transient,
    Unreadable,
)
from api_pipeline.csc_api.client import CscReceiver, Endpoint
from api_pipeline.errors import AuthenticationRefused
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.single_request import RawAnswer, Reach
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver, Reply, honest
from tests.support.scripted import hangs_up, in_turn, says, token

KEY = "a-supplier-key"
REACH = Reach((2.0, 2.0))
POLICY = RetryPolicy(3, 60.0, jitter=lambda _low, _high: 0.0)
RECORDS = [b'{"la_child_id": "A", "n": 1.50}', b'{"la_child_id": "B"}']


@dataclass
class Bench:
    """A receiver of ours and what stands around it."""

    server: HostileReceiver
    session: requests.Session
    started: list[None] = field(default_factory=list)
    answers: list[RawAnswer] = field(default_factory=list)
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(4, 0.0, time.monotonic))

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.server.settings["API_ENDPOINT"], KEY, REACH)

    def receiver(self, hide: Callable[[str], str] = lambda text: text) -> CscReceiver:
        credentials = Credentials(self.server.settings["TOKEN_ENDPOINT"], "id", "secret", "")
        tokens = TokenProvider(
            self.session, credentials, REACH, policy=POLICY, limiter=self.limiter, clock=time.monotonic
        )
        return CscReceiver(
            self.session,
            self.endpoint,
            tokens,
            policy=POLICY,
            limiter=self.limiter,
            on_request=lambda: self.started.append(None),
            on_answer=self.answers.append,
            hide=hide,
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    with HostileReceiver(token=in_turn(token("one"), token("two"))) as server, scripted.session() as session:
        yield Bench(server, session)


def test_records_go_out_byte_by_byte_with_key_and_token(bench: Bench) -> None:
    answer = bench.receiver().post(RECORDS)
    (heard,) = bench.server.posts
    assert heard.body == b'[{"la_child_id": "A", "n": 1.50},{"la_child_id": "B"}]'
    assert heard.path == "/hostile/1"
    assert {name: heard.headers[name] for name in ("supplierkey", "content-type", "authorization")} == {
        "supplierkey": KEY,
        "content-type": "application/json",
        "authorization": "Bearer one",
    }
    assert isinstance(answer, Receipts)
    given = [bench.server.receipts[child][0] for child in ("A", "B")]
    assert [receipt.id for receipt in answer.receipts] == given


def test_no_records_are_an_empty_array(bench: Bench) -> None:
    bench.receiver().post([])
    assert bench.server.heard[-1].body == b"[]"


def test_no_records_may_be_answered_with_one_receipt_for_the_batch(bench: Bench) -> None:
    answer = says(200, b'"2026-11-28_02:00:00.00_2f6d9f0e-7a4c-4c57-9b0a-5f4b1d7f3a11.json"')
    bench.server.pages[urlsplit(bench.endpoint.url).path] = answer
    receiver = bench.receiver()
    assert [receiver.post([]) for _ in range(2)] == [Receipts(200, ())] * 2


def receipts(*numbers: int) -> list[str]:
    return [f"2f6d9f0e-7a4c-4c57-9b0a-5f4b1d7f3a{number:02}" for number in numbers]


@pytest.mark.parametrize("again", [receipts(1, 2), receipts(1, 3)])
def test_receipts_of_an_earlier_answer_are_not_taken_again(bench: Bench, again: list[str]) -> None:
    lists = (receipts(1, 2), again, receipts(4, 5))
    bench.server.otherwise = in_turn(*(says(200, json.dumps(one).encode()) for one in lists))
    receiver = bench.receiver()
    kinds = [type(receiver.post(RECORDS)) for _ in lists]
    assert kinds == [Receipts, Unreadable, Receipts]


def test_one_receipt_for_a_batch_may_come_again(bench: Bench) -> None:
    bench.server.otherwise = says(200, json.dumps(receipts(1)[0]).encode())
    receiver = bench.receiver()
    assert [type(receiver.post(RECORDS)) for _ in range(2)] == [Receipts] * 2


def test_each_request_and_each_answer_is_told(bench: Bench) -> None:
    bench.server.otherwise = in_turn(says(503), honest)
    bench.receiver().post(RECORDS)
    assert len(bench.started) == 2
    assert [answer.status for answer in bench.answers] == [503, 200]


def test_last_of_all_tries_is_told_as_an_error_that_may_pass(bench: Bench) -> None:
    bench.server.otherwise = says(500, b"out of order")
    assert bench.receiver().post(RECORDS) == Transient(500, "HTTP 500: out of order", None, may_have_arrived=True)
    assert len(bench.started) == 3


def test_fewer_tries_may_be_allowed(bench: Bench) -> None:
    bench.server.otherwise = says(500)
    bench.receiver().post(RECORDS, max_attempts=1)
    assert len(bench.started) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Malformed), (403, Forbidden), (413, TooLarge), (404, PermanentError)]
)
@pytest.mark.parametrize("is_lost_first", [True, False])
def test_refusal_after_a_lost_answer_may_follow_an_acceptance(
    bench: Bench, status: int, kind: type[Malformed], is_lost_first: bool
) -> None:
    bench.server.otherwise = in_turn(*([hangs_up] if is_lost_first else []), says(status))
    answer = bench.receiver().post(RECORDS)
    assert isinstance(answer, kind)
    assert answer.may_have_arrived is is_lost_first


@pytest.mark.parametrize("status", [400, 403, 404, 503])
def test_secret_that_an_answer_quotes_is_taken_out_of_the_reason(bench: Bench, status: int) -> None:
    bench.server.otherwise = says(status, f'{{"errors": {{"[1].surname": ["not {KEY}"]}}}}'.encode())
    answer = bench.receiver(hide=lambda text: text.replace(KEY, "***")).post(RECORDS, max_attempts=1)
    assert not isinstance(answer, Receipts)
    assert "not ***" in answer.reason
    assert KEY not in repr(answer)
    if isinstance(answer, Malformed):
        assert list(answer.named) == [1]


@pytest.mark.parametrize("before", ["x" * (REASON_LIMIT - 12), " " * (2 * REASON_LIMIT - 12)], ids=["text", "blanks"])
def test_secret_at_the_end_of_what_is_kept_of_a_reason_is_taken_out_whole(bench: Bench, before: str) -> None:
    bench.server.otherwise = in_turn(
        says(404, f"{before}{KEY} is the key".encode()),
        says(400, json.dumps({"errors": {"[1].surname": [f"{before}{KEY} is the key"]}}).encode()),
    )
    receiver = bench.receiver(hide=lambda text: text.replace(KEY, "***"))
    answers = [receiver.post(RECORDS), receiver.post(RECORDS)]
    assert KEY[:4] not in repr(answers)
    assert all(not isinstance(one, Receipts) and len(one.reason) <= REASON_LIMIT for one in answers)


@pytest.mark.parametrize("status", [403, 503])
def test_pause_that_an_answer_asks_for_begins_before_its_secrets_are_looked_for(bench: Bench, status: int) -> None:
    has_begun = threading.Event()

    def begin() -> None:
        with contextlib.suppress(Stopped), bench.limiter.passage():
            has_begun.set()

    other = threading.Thread(target=begin)

    def hide(text: str) -> str:
        other.start()
        assert not has_begun.wait(0.1)
        return text

    bench.server.pages[urlsplit(bench.endpoint.url).path] = says(status, b"busy", "Retry-After: 30\r\n")
    bench.receiver(hide).post(RECORDS, max_attempts=1)
    bench.limiter.stop()
    other.join(5)
    assert not has_begun.is_set()


def test_token_refused_twice_names_scope_and_stops_every_sender(bench: Bench) -> None:
    bench.server.otherwise = says(401)
    with pytest.raises(AuthenticationRefused, match=r"refused a fresh token \(HTTP 401\); check SCOPE"):
        bench.receiver().post(RECORDS)
    assert (len(bench.started), bench.limiter.is_stopped) == (2, True)


@pytest.mark.parametrize(
    "reply",
    [
        says(401, b'{"message": "Access denied due to invalid subscription key."}'),
        says(401, b"", 'WWW-Authenticate: AzureApiManagementKey realm="x"\r\n'),
    ],
    ids=["text", "header"],
)
def test_refused_key_is_named_and_no_new_token_asked_for(bench: Bench, reply: Reply) -> None:
    bench.server.otherwise = reply
    with pytest.raises(AuthenticationRefused, match="check SUPPLIER_KEY"):
        bench.receiver().post(RECORDS)
    assert (len(bench.server.token_requests), bench.limiter.is_stopped) == (1, True)


def test_quota_that_is_used_up_holds_every_sender(bench: Bench) -> None:
    bench.server.otherwise = says(403, b"", "Retry-After: 0.15\r\n")
    bench.receiver().post(RECORDS)
    with bench.limiter.passage():
        assert time.monotonic() - bench.server.posts[0].ended >= 0.1


def test_endpoint_does_not_show_its_key(bench: Bench) -> None:
    assert KEY not in repr(bench.endpoint)


def test_receiver_that_nobody_uses_any_more_is_gone_at_once(bench: Bench) -> None:
    receiver = bench.receiver()
    receiver.post(RECORDS)
    left = weakref.ref(receiver)
    gc.disable()
    try:
        # Held by nothing but itself it would stay, and with it its connections.
        del receiver
        assert left() is None
    finally:
        gc.enable()
