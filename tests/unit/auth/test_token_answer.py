"""Every form of token answer that services were seen to give, and forms that are near them."""

import json
from typing import Any

import pytest

from api_pipeline.auth.token_answer import LIFETIME_IF_UNKNOWN_S, ProxyRequiresLogin, SettingNames, read_token
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.single_request import RawAnswer, Transient

TOKEN = "eyJ-invented.token_1234"
NAMES = SettingNames()


def answer(members: Any, status: int = 200, **headers: str) -> RawAnswer:
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return RawAnswer(status, headers, body)


@pytest.mark.parametrize("kind", [None, "Bearer", "bearer", " BEARER "])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\r\n  "])
def test_token_is_read_whatever_stands_around_it(kind: str | None, mark: bytes) -> None:
    body = mark + json.dumps({"token_type": kind, "expires_in": 1200, "access_token": TOKEN, "error": None}).encode()
    assert read_token(answer(body), NAMES) == (TOKEN, 1200.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3599", 3599.0),
        ('"900"', 900.0),
        ("59.5", 59.5),
        ("0.5", 0.5),
        ("null", None),
        ("0", None),
        ("-7", None),
        ('"soon"', None),
        ("true", None),
        ("[3600]", None),
        ('{"s": 3600}', None),
        ("1e999", None),
        ("NaN", None),
        ("9" * 400, None),
        ("9" * 9000, None),
        ("99999999999", None),
    ],
)
def test_unusable_lifetime_counts_as_unknown(text: str, seconds: float | None) -> None:
    body = f'{{"access_token": "{TOKEN}", "expires_in": {text}}}'.encode()
    assert read_token(answer(body), NAMES) == (TOKEN, seconds or LIFETIME_IF_UNKNOWN_S)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 500, 503])
@pytest.mark.parametrize("word", ["invalid_client", "unauthorized_client", "invalid_scope"])
def test_error_about_us_is_a_refusal_under_any_status(status: int, word: str) -> None:
    with pytest.raises(AuthenticationRefused, match=f"{status}, {word}.*CLIENT_SECRET"):
        read_token(answer({"error": word, "error_description": "secret text", "access_token": TOKEN}, status), NAMES)


@pytest.mark.parametrize("body", [b"<html>Blocked", b"\xef\xbb\xbf\r\n<!-- edge --><!DOCTYPE html>"])
def test_page_of_a_firewall_says_nothing_about_the_credentials(body: bytes) -> None:
    with pytest.raises(
        AuthenticationRefused, match=r"a web page .HTTP 403.*proxy or firewall.*check TOKEN_ENDPOINT"
    ) as told:
        read_token(answer(body, 403), NAMES)
    assert "CLIENT_SECRET" not in str(told.value)
    with pytest.raises(AuthenticationRefused, match="no token service at the address"):
        read_token(answer(body, 404), NAMES)


@pytest.mark.parametrize("status", [200, 400, 401, 503])
def test_temporarily_unavailable_passes_under_any_status(status: int) -> None:
    read = read_token(answer({"error": "temporarily_unavailable"}, status, **{"retry-after": "3, 9"}), NAMES)
    assert isinstance(read, Transient)
    assert read.retry_after_s == 9.0


@pytest.mark.parametrize(
    "error", ["Service Unavailable", {"code": "503", "message": "busy"}, "server_error", "slow_down", True]
)
def test_gateway_error_in_json_passes_with_its_status(error: object) -> None:
    assert isinstance(read_token(answer({"error": error}, 503), NAMES), Transient)
    word = f", {error}" if error in ("server_error", "slow_down") else ""
    with pytest.raises(AuthenticationRefused, match=rf"refused the credentials \(HTTP 400{word}\);"):
        read_token(answer({"error": error}, 400), NAMES)


@pytest.mark.parametrize("status", [400, 401, 403, 499])
@pytest.mark.parametrize("body", [b"", b'{"message": "Denied"}', b"Denied", b'{"access_token": "eyJ"}'])
def test_refusal_that_gives_no_error_is_one_of_the_credentials(status: int, body: bytes) -> None:
    with pytest.raises(AuthenticationRefused, match=rf"refused the credentials \(HTTP {status}\); check CLIENT_ID"):
        read_token(answer(body, status), NAMES)


@pytest.mark.parametrize("status", [201, 204, 302])
def test_token_under_another_status_than_200_is_not_used(status: int) -> None:
    with pytest.raises(ServiceUnavailable, match=rf"\(HTTP {status}\) holds no token"):
        read_token(answer({"access_token": TOKEN}, status), NAMES)


@pytest.mark.parametrize("body", [b"", b"<html>Authenticate</html>", b"Proxy login needed"])
def test_login_that_a_proxy_requires_says_nothing_about_the_credentials(body: bytes) -> None:
    with pytest.raises(ProxyRequiresLogin, match=r"A proxy .* requires a login .HTTP 407.*PROXY_URL") as told:
        read_token(answer(body, 407), NAMES)
    assert "CLIENT_SECRET" not in str(told.value)


@pytest.mark.parametrize("status", [404, 405, 410])
def test_address_without_a_token_service_names_the_setting(status: int) -> None:
    with pytest.raises(AuthenticationRefused, match=r"no token service.*SDR_TOKEN_URL"):
        read_token(answer(b"<h1>Not found</h1>", status), SettingNames(token_endpoint="SDR_TOKEN_URL"))


@pytest.mark.parametrize("kind", ["mac", "DPoP", "N_A", "", 7, ["Bearer"]])
def test_token_of_another_type_is_refused(kind: object) -> None:
    with pytest.raises(AuthenticationRefused, match="other than Bearer"):
        read_token(answer({"access_token": TOKEN, "token_type": kind}), NAMES)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"<html>Sign in</html>",
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"access_token": 5}',
        b'{"access_token": ""}',
        b'{"access_token": "two words"}',
        b'{"access_token": "line\\nbreak"}',
        b'{"access_token": "\\ud83d"}',
        b"\xff\xfe\x00",
    ],
)
def test_answer_without_a_usable_token_is_the_services_error(body: bytes) -> None:
    with pytest.raises(ServiceUnavailable, match="holds no token; check TOKEN_ENDPOINT"):
        read_token(answer(body), NAMES)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 504, 599])
def test_status_that_may_pass_is_tried_again(status: int) -> None:
    assert isinstance(read_token(answer(b"<html>busy</html>", status), NAMES), Transient)
