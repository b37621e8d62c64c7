"""Requests with a token, against a token service and a receiver that answer as they are told, on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from api_pipeline.auth.token_provider import Credentials, Token, TokenProvider
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.exchange import Answered, Exchange, RetryPolicy, Unauthorised
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.single_request import RawAnswer, Reach, Request, Transient, transient
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver, Reply, Talk
from tests.support.scripted import hangs_up, in_turn, says, token

REACH = Reach((2.0, 2.0), peer="the library")
POLICY = RetryPolicy(3, 60.0, jitter=lambda _low, _high: 0.0)
RECORDS = b'[{"la_child_id": "A"}]'
UNAUTHORISED = says(401)
FINE = says(200, b"fine")


def read(raw: RawAnswer) -> str | Transient | Unauthorised:
    """Read what this service says, which is a text; a 401 with a text is final."""
    if raw.status == 401:
        return Unauthorised(401, "HTTP 401", may_renew=not raw.body)
    return transient(raw, f"HTTP {raw.status}") or f"{raw.status} {raw.body.decode()}"


class Service:
    """A service of the test's own with everything an exchange needs; `server` plays both it and its token service."""

    def __init__(self, server: HostileReceiver, session: requests.Session, limiter: RateLimiter) -> None:
        self.server = server
        self.limiter = limiter
        self.started = 0
        settings = server.settings
        self._request = Request("POST", settings["API_ENDPOINT"], "records", {"X-Kind": "any"}, RECORDS)
        credentials = Credentials(settings["TOKEN_ENDPOINT"], "id", "secret", "")
        tokens = TokenProvider(session, credentials, REACH, policy=POLICY, limiter=limiter, clock=time.monotonic)
        self._exchange: Exchange[Token] = Exchange(
            session,
            REACH,
            tokens,
            policy=POLICY,
            limiter=limiter,
            refused=lambda answer: AuthenticationRefused(f"the library: {answer.reason}"),
            scheme="Card",
            header="X-Library",
            on_request=self._count,
        )

    def send(self, max_attempts: int | None = None) -> Answered[str]:
        return self._exchange.send(self._request, read, max_attempts)

    @property
    def cards(self) -> list[str]:
        """The tokens as they came, by request."""
        return [heard.headers["x-library"] for heard in self.server.posts]

    def _count(self) -> None:
        self.started += 1


@pytest.fixture
def service() -> Iterator[Service]:
    tokens = in_turn(token("one"), token("two"), token("three"))
    with HostileReceiver(token=tokens) as server, scripted.session() as session:
        yield Service(server, session, RateLimiter(2, 0.0, time.monotonic))


def test_exchange_returns_the_answer_and_sends_the_token_in_its_header(service: Service) -> None:
    service.server.otherwise = says(404, b"no such book")
    assert service.send() == Answered("404 no such book", may_have_arrived=False)
    assert service.cards == ["Card one"]
    assert service.server.posts[0].headers["x-kind"] == "any"
    assert service.server.posts[0].body == RECORDS


def test_token_is_asked_for_once_for_many_requests(service: Service) -> None:
    service.server.otherwise = FINE
    for _ in range(3):
        service.send()
    assert service.cards == ["Card one"] * 3
    assert len(service.server.token_requests) == 1


@pytest.mark.parametrize(
    ("first", "may_have_arrived"),
    [(says(503), False), (says(429), False), (says(500), True), (hangs_up, True)],
    ids=["503", "429", "500", "lost"],
)
def test_transient_error_is_tried_again_and_its_possible_effect_is_kept(
    service: Service, first: Reply, may_have_arrived: bool
) -> None:
    service.server.otherwise = in_turn(first, FINE)
    assert service.send() == Answered("200 fine", may_have_arrived)
    assert len(service.server.posts) == service.started == 2


def test_last_error_remembers_that_an_earlier_try_may_have_arrived(service: Service) -> None:
    service.server.otherwise = in_turn(says(503), says(500), says(503))
    answered = service.send()
    assert answered == Answered(Transient(503, "HTTP 503", None, may_have_arrived=True), may_have_arrived=True)
    assert len(service.server.posts) == 3


def test_nothing_may_have_arrived_where_every_try_was_turned_away(service: Service) -> None:
    service.server.otherwise = says(503)
    assert service.send() == Answered(Transient(503, "HTTP 503", None, may_have_arrived=False), may_have_arrived=False)


def test_fewer_tries_may_be_asked_for(service: Service) -> None:
    service.server.otherwise = says(503)
    service.send(max_attempts=1)
    assert len(service.server.posts) == 1


def test_refused_token_is_replaced_once_and_the_request_repeated(service: Service) -> None:
    service.server.otherwise = in_turn(UNAUTHORISED, FINE)
    assert service.send() == Answered("200 fine", may_have_arrived=False)
    assert service.cards == ["Card one", "Card two"]
    assert service.started == 2


def test_second_refusal_of_a_token_ends_it_in_the_words_of_the_service(service: Service) -> None:
    service.server.otherwise = UNAUTHORISED
    with pytest.raises(AuthenticationRefused, match="the library: HTTP 401"):
        service.send()
    assert service.cards == ["Card one", "Card two"]


def test_refusal_that_another_token_would_not_help_ends_it_at_once(service: Service) -> None:
    service.server.otherwise = says(401, b"the card is blocked")
    with pytest.raises(AuthenticationRefused):
        service.send()
    assert service.cards == ["Card one"]


def test_new_token_that_was_never_accepted_is_not_replaced_by_a_third(service: Service) -> None:
    service.server.otherwise = in_turn(UNAUTHORISED, says(503), UNAUTHORISED)
    with pytest.raises(AuthenticationRefused):
        service.send()
    assert service.cards == ["Card one", "Card two", "Card two"]
    assert len(service.server.token_requests) == 2


def test_new_token_that_expired_before_its_request_could_start_is_replaced(service: Service) -> None:
    service.server.token = in_turn(token("one"), token("two", 0.2), token("three"))

    def refuse_while_another_sender_is_asked_to_wait(talk: Talk) -> None:
        service.limiter.hold(0.5)
        UNAUTHORISED(talk)

    service.server.otherwise = in_turn(refuse_while_another_sender_is_asked_to_wait, UNAUTHORISED, FINE)
    assert service.send() == Answered("200 fine", may_have_arrived=False)
    assert service.cards == ["Card one", "Card two", "Card three"]


def test_token_that_was_accepted_once_may_be_replaced_later(service: Service) -> None:
    service.server.otherwise = in_turn(UNAUTHORISED, FINE, UNAUTHORISED, FINE)
    for _ in range(2):
        assert service.send().answer == "200 fine"
    assert service.cards == ["Card one", "Card two", "Card two", "Card three"]


def test_wait_that_an_answer_asks_for_is_kept_before_the_next_try(service: Service) -> None:
    service.server.otherwise = in_turn(says(429, b"", "Retry-After: 0.1\r\n"), FINE)
    service.send()
    first, second = service.server.posts
    assert second.began - first.began >= 0.1


def test_wait_beyond_an_hour_ends_it_without_another_try(service: Service) -> None:
    service.server.otherwise = says(503, b"", "Retry-After: 7200\r\n")
    with pytest.raises(ServiceUnavailable, match=r"The library asks to wait 2\.0 hours"):
        service.send()
    assert len(service.server.posts) == 1


def test_success_lets_more_requests_be_under_way_again(service: Service) -> None:
    # So that a limiter that stays narrow fails here instead of waiting for ever.
    until = time.monotonic() + 5
    limiter = RateLimiter(2, 0.0, time.monotonic, is_asked_to_stop=lambda: time.monotonic() > until)
    limiter.hold(0.0)
    service.server.otherwise = FINE
    with scripted.session() as session:
        Service(service.server, session, limiter).send()
    with limiter.passage(), limiter.passage():
        assert time.monotonic() < until


def test_repeated_request_goes_before_new_ones() -> None:
    class Limiter(RateLimiter):
        @contextmanager
        def passage(self, *, retried: bool = False) -> Iterator[float]:
            passed.append(retried)
            with super().passage(retried=retried) as started:
                yield started

    passed: list[bool] = []
    tokens = in_turn(token("one"), token("two"))
    with HostileReceiver(token=tokens) as server, scripted.session() as session:
        server.otherwise = in_turn(says(503), UNAUTHORISED, FINE)
        Service(server, session, Limiter(2, 0.0, time.monotonic)).send()
    assert passed[-3:] == [False, True, True]


def test_nothing_is_sent_once_the_run_is_stopped(service: Service) -> None:
    service.send()
    service.limiter.stop()
    with pytest.raises(Stopped):
        service.send()
    assert (len(service.server.posts), service.started) == (1, 1)
