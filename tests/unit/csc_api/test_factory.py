"""The receiver as the settings name it: where, how and as whom it is reached."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api_pipeline.csc_api import factory
from api_pipeline.csc_api.answers import PermanentError, Receipts
from api_pipeline.csc_api.factory import RequestObservers, make_receiver
from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Settings
from api_pipeline.settings.sources import Sources
from api_pipeline.transport.rate_limit import RateLimiter
from tests.support.hostile_receiver import TOKEN, HostileReceiver
from tests.support.loaded_settings import LIVE
from tests.support.scripted import hangs_up, says

RECORD = b'{"la_child_id": "A"}'
GIVEN = {**LIVE, "CONNECT_TIMEOUT_S": "3", "READ_TIMEOUT_S": "7"}


def settings(folder: Path, **changes: str) -> Settings:
    return load_settings(Sources({}, {**GIVEN, **changes}, folder))


def limiter() -> RateLimiter:
    return RateLimiter(1, 0.0, time.monotonic)


def test_endpoint_and_credentials_are_those_of_the_settings(tmp_path: Path) -> None:
    given = settings(tmp_path)
    endpoint, credentials = factory.endpoint_of(given), factory.credentials_of(given)
    assert (endpoint.url, endpoint.supplier_key) == (given.children_url, "key-of-the-supplier")
    assert (credentials.token_endpoint, credentials.client_id) == (GIVEN["TOKEN_ENDPOINT"], "client-one")
    assert (credentials.client_secret, credentials.scope) == ("hush-hush-secret", GIVEN["SCOPE"])


def test_receiver_and_token_service_share_settings_and_have_own_names(tmp_path: Path) -> None:
    given = settings(tmp_path, PROXY_URL="http://proxy.example:8080")
    endpoint = factory.endpoint_of(given)
    tokens = factory.token_reach(endpoint)
    assert endpoint.reach.timeouts == tokens.timeouts == (3.0, 7.0)
    assert factory.transport_options(given).proxy_url == "http://proxy.example:8080"
    assert endpoint.reach.user_agent == tokens.user_agent == given.user_agent
    assert (endpoint.reach.peer, tokens.peer) == ("the receiver", "the token service")


def test_proxy_and_authorities_that_are_not_set_are_the_systems(tmp_path: Path) -> None:
    options = factory.transport_options(settings(tmp_path, MAX_IN_FLIGHT="3"))
    assert (options.ca_bundle, options.proxy_url, options.connections) == (None, None, 3)


def test_record_goes_to_the_childrens_url_and_is_told(tmp_path: Path) -> None:
    started: list[None] = []
    tokens: list[str] = []
    with HostileReceiver() as server:
        given = settings(tmp_path, **server.settings)
        observers = RequestObservers(lambda: started.append(None), tokens.append)
        answer = make_receiver(given, limiter(), observers).post([RECORD])
    assert isinstance(answer, Receipts)
    (heard,) = server.posts
    assert given.children_url.endswith(heard.path)
    assert heard.headers["supplierkey"] == "key-of-the-supplier"
    assert (len(started), tokens) == (1, [TOKEN])


def test_neither_token_nor_secrets_stay_in_a_reason(tmp_path: Path) -> None:
    with HostileReceiver(otherwise=says(404, f"no {TOKEN}, no key-of-the-supplier".encode())) as server:
        answer = make_receiver(settings(tmp_path, **server.settings), limiter(), RequestObservers()).post([RECORD])
    assert isinstance(answer, PermanentError)
    assert answer.reason.startswith("HTTP 404: no ")
    assert TOKEN not in answer.reason
    assert "key-of-the-supplier" not in answer.reason


def test_request_is_tried_as_often_as_set(tmp_path: Path) -> None:
    with HostileReceiver(otherwise=hangs_up) as server:
        given = settings(tmp_path, **server.settings, MAX_ATTEMPTS="1")
        make_receiver(given, limiter(), RequestObservers()).post([RECORD])
    assert len(server.posts) == 1


def test_authorities_that_cannot_be_read_are_found_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "council.pem").write_text("no certificate", encoding="utf-8")
    bundle = {"CA_BUNDLE": str(tmp_path / "council.pem")}
    with pytest.raises(SettingsError, match="CA_BUNDLE names"):
        factory.check_transport(settings(tmp_path, **bundle))
    factory.check_transport(settings(tmp_path, **bundle, TESTING_MODE="true"))
