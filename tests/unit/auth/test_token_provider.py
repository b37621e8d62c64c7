"""The one token of a run: asked for once, kept, renewed in time, against a token service on this machine."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

import pytest
import requests

from api_pipeline.auth.token_provider import Credentials, Token, TokenProvider
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.single_request import Reach
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver, Reply, Talk
from tests.support.scripted import in_turn, says, token

REACH = Reach((2.0, 2.0), peer="the token service")
POLICY = RetryPolicy(3, 60.0, jitter=lambda _low, _high: 0.0)
REFUSED = says(401, b'{"error": "invalid_client"}')


@dataclass
class Office:
    """A token provider and what stands around it; `now` is its clock, in seconds."""

    server: HostileReceiver
    session: requests.Session
    credentials: Credentials
    now: float = 0.0
    told: list[str] = field(default_factory=list)
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(4, 0.0, time.monotonic))

    def provider(self, **changes: str | dict[str, str]) -> TokenProvider:
        return TokenProvider(
            self.session,
            replace(self.credentials, **changes),  # type: ignore[arg-type] # fields by name
            REACH,
            policy=POLICY,
            limiter=self.limiter,
            clock=lambda: self.now,
            on_token=self.told.append,
        )

    @property
    def asked(self) -> int:
        """How many token requests came."""
        return len(self.server.token_requests)

    def form(self) -> dict[str, list[str]]:
        """Return the form of the last token request."""
        return parse_qs(self.server.token_requests[-1].body.decode(), keep_blank_values=True)


@pytest.fixture
def office() -> Iterator[Office]:
    with HostileReceiver(token=in_turn(token("one"), token("two"))) as server, scripted.session() as session:
        yield Office(server, session, Credentials(server.settings["TOKEN_ENDPOINT"], "an id", "s&cret", "api/.default"))


def test_token_is_fetched_once_and_told_once(office: Office) -> None:
    provider = office.provider()
    assert [provider.token().value for _ in range(3)] == ["one"] * 3
    assert (office.asked, office.told) == (1, ["one"])


def test_many_senders_that_need_a_token_at_once_ask_once(office: Office) -> None:
    provider = office.provider()
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(provider.token().value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert got == ["one"] * 8
    assert office.asked == 1


@pytest.mark.parametrize(("lifetime", "renewed_at"), [(7200, 6900), (3600, 3300), (1000, 900), (10, 9)])
def test_token_is_renewed_a_tenth_or_five_minutes_before_its_end(
    office: Office, lifetime: int, renewed_at: int
) -> None:
    office.server.token = in_turn(token("one", lifetime), token("two", lifetime))
    provider = office.provider()
    provider.token()
    office.now = renewed_at - 0.5
    assert provider.token().value == "one"
    office.now = renewed_at
    assert provider.token() == Token("two", renewed_at * 2, 2)


def test_refused_token_is_replaced_by_one_that_all_senders_share(office: Office) -> None:
    provider = office.provider()
    first = provider.token()
    assert [provider.renew(first).value for _ in range(3)] == ["two"] * 3
    assert provider.token().value == "two"
    assert office.asked == 2


def test_replaced_token_counts_as_untried_until_it_is_accepted(office: Office) -> None:
    provider = office.provider()
    first = provider.token()
    assert not provider.is_untried_renewal(first)
    second = provider.renew(first)
    provider.note_taken(first)
    assert provider.is_untried_renewal(second)
    provider.note_taken(second)
    assert not provider.is_untried_renewal(second)


def test_token_that_another_sender_renewed_counts_as_renewal_of_the_refused(office: Office) -> None:
    office.server.token = in_turn(token("one", 1000), token("two", 1000), token("three", 1000))
    provider = office.provider()
    first = provider.token()
    provider.note_taken(first)
    office.now = 950
    renewed_by_another = provider.token()
    second = provider.renew(first)
    assert second is renewed_by_another
    assert provider.is_untried_renewal(second)
    provider.note_taken(second)
    third = provider.renew(second)
    provider.note_taken(third)
    assert not provider.is_untried_renewal(third)


def test_refusal_before_the_last_acceptance_says_nothing_about_a_later_renewal(office: Office) -> None:
    office.server.token = in_turn(*[token(name, 1000) for name in ("one", "two", "three")])
    provider = office.provider()
    provider.note_taken(provider.renew(provider.token()))
    office.now = 2000
    assert not provider.is_untried_renewal(provider.token())


def test_token_renewed_for_its_age_may_be_replaced_when_it_is_refused(office: Office) -> None:
    office.server.token = in_turn(token("one", 1000), token("two", 1000), token("three", 1000))
    provider = office.provider()
    provider.note_taken(provider.token())
    office.now = 950
    second = provider.token()
    assert (second.value, provider.is_untried_renewal(second)) == ("two", False)


def test_refusal_of_a_token_that_has_expired_says_nothing_about_the_next(office: Office) -> None:
    office.server.token = in_turn(token("one", 1000), token("two", 1000))
    provider = office.provider()
    second = provider.renew(provider.token())
    office.now = 899
    assert provider.is_untried_renewal(second)
    office.now = 900
    assert not provider.is_untried_renewal(second)


def test_id_and_secret_go_as_fields_of_a_form(office: Office) -> None:
    office.provider().token()
    assert office.form() == {
        "grant_type": ["client_credentials"],
        "client_id": ["an id"],
        "client_secret": ["s&cret"],
        "scope": ["api/.default"],
    }
    assert "authorization" not in office.server.token_requests[0].headers


def test_id_and_secret_go_as_a_basic_login_alone_where_that_is_set(office: Office) -> None:
    office.provider(client_auth="basic", client_id="a b").token()
    assert _basic_logins(office) == [b"a b:s&cret"]
    assert set(office.form()) == {"grant_type", "scope"}


def test_basic_login_that_is_refused_is_tried_encoded_and_kept_so(office: Office) -> None:
    office.server.token = in_turn(REFUSED, token("one"), token("two"))
    provider = office.provider(client_auth="basic", client_id="a:b")
    provider.renew(provider.token())
    assert _basic_logins(office) == [b"a:b:s&cret", b"a%3Ab:s%26cret", b"a%3Ab:s%26cret"]


def test_basic_login_that_was_accepted_is_not_tried_encoded_later(office: Office) -> None:
    office.server.token = in_turn(token("one"), REFUSED)
    provider = office.provider(client_auth="basic", client_id="a:b")
    accepted = provider.token()
    with pytest.raises(AuthenticationRefused):
        provider.renew(accepted)
    assert _basic_logins(office) == [b"a:b:s&cret"] * 2


def test_basic_login_without_signs_is_refused_once(office: Office) -> None:
    office.server.token = REFUSED
    with pytest.raises(AuthenticationRefused):
        office.provider(client_auth="basic", client_id="a", client_secret="b").token()
    assert office.asked == 1


def _basic_logins(office: Office) -> list[bytes]:
    given = (one.headers["authorization"].removeprefix("Basic ") for one in office.server.token_requests)
    return [base64.b64decode(one) for one in given]


def test_scope_that_is_empty_is_left_out_and_further_fields_are_added(office: Office) -> None:
    office.provider(scope="", extra={"resource": "https://api.example"}).token()
    assert office.form()["resource"] == ["https://api.example"]
    assert "scope" not in office.form()


def test_service_that_is_busy_is_asked_again(office: Office) -> None:
    office.server.token = in_turn(says(503), scripted.hangs_up, token("one"))
    assert office.provider().token().value == "one"
    assert office.asked == 3


def test_wait_that_the_service_asks_for_is_kept_before_the_next_token_request(office: Office) -> None:
    office.server.token = in_turn(says(429, b"", "Retry-After: 0.4\r\n"), token("one"))
    assert office.provider().token().value == "one"
    first, second = office.server.token_requests
    assert second.began - first.ended >= 0.39


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (says(502), "the token service answered HTTP 502"),
        (scripted.hangs_up, "could not be reached (the connection was lost before an answer came)"),
        (says(200, b" " * 65_537), "cannot be read (HTTP 200: the answer is larger than 65,536 bytes)"),
    ],
    ids=["502", "lost", "large"],
)
def test_service_that_stays_away_stops_every_sender_and_is_told_why(office: Office, reply: Reply, why: str) -> None:
    office.server.token = reply
    with pytest.raises(ServiceUnavailable) as told:
        office.provider().token()
    assert why in str(told.value)
    assert (office.asked, office.limiter.is_stopped) == (3, True)


def test_refused_credentials_stop_every_sender_and_are_not_tried_again(office: Office) -> None:
    office.server.token = REFUSED
    with pytest.raises(AuthenticationRefused, match="CLIENT_SECRET"):
        office.provider().token()
    assert (office.asked, office.limiter.is_stopped, office.told) == (1, True, [])


def test_sender_that_waited_for_a_refused_token_does_not_ask_again(office: Office) -> None:
    is_asked = threading.Event()

    def refuse_later(talk: Talk) -> None:
        is_asked.set()
        time.sleep(0.1)
        REFUSED(talk)

    office.server.token = refuse_later
    provider = office.provider()
    ends: list[type[Exception]] = []

    def ask() -> None:
        try:
            provider.token()
        except (AuthenticationRefused, Stopped) as error:
            ends.append(type(error))

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    is_asked.wait(5)
    second.start()
    for thread in (first, second):
        thread.join(10)
    assert ends == [AuthenticationRefused, Stopped]
    assert office.asked == 1


def test_service_that_asks_for_more_than_an_hour_is_not_waited_for(office: Office) -> None:
    office.server.token = says(429, b"", "Retry-After: 7200\r\n")
    with pytest.raises(ServiceUnavailable, match=r"The token service asks to wait 2\.0 hours"):
        office.provider().token()
    assert (office.asked, office.limiter.is_stopped) == (1, True)


def test_neither_token_nor_credentials_show_their_secret(office: Office) -> None:
    assert "one" not in repr(office.provider().token())
    assert "s&cret" not in repr(office.credentials)
