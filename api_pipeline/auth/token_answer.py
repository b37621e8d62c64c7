"""What a token service's answer means (RFC 6749, 5): a token, a transient error, or a refusal. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.proxy import PROXY_LOGIN
from api_pipeline.transport.single_request import RawAnswer, Transient, asked_wait_s, transient

# Without a usable `expires_in` the lifetime of a token is not known; it is usually an hour or more.
LIFETIME_IF_UNKNOWN_S = 1800.0
_LONGEST_LIFETIME_S = 366 * 86_400.0
_HEADER_TEXT = re.compile(r"[!-~]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z_]{1,39}")
_PASSES = "temporarily_unavailable"
# Words of RFC 6749 and its kin that stay an answer about us, even under a status that otherwise passes.
_LASTING = frozenset(
    {
        *("access_denied", "consent_required", "interaction_required", "invalid_client", "invalid_grant"),
        *("invalid_request", "invalid_resource", "invalid_scope", "invalid_target", "unauthorized_client"),
        *("unsupported_grant_type", "unsupported_response_type"),
    }
)
_NO_SUCH_ADDRESS = frozenset({404, 405, 410})
_PROXY_REQUIRES_LOGIN = 407


class SettingNames(NamedTuple):
    """The names of a service's settings, and of the command that tests the way to it, for the sentences of errors."""

    token_endpoint: str = "TOKEN_ENDPOINT"  # noqa: S105 - the name of a setting
    client_id: str = "CLIENT_ID"
    client_secret: str = "CLIENT_SECRET"  # noqa: S105 - the name of a setting
    scope: str = "SCOPE"
    test: str = "test-endpoint"


class ProxyRequiresLogin(AuthenticationRefused):
    """A proxy on the way to the token service requires a login."""


class NoTokenService(AuthenticationRefused):
    """There is no token service at the address."""


class AnsweredByPage(AuthenticationRefused):
    """A web page came, which a proxy or firewall writes and no token service does."""


def read_token(answer: RawAnswer, names: SettingNames) -> tuple[str, float] | Transient:
    """Return the token and its lifetime in seconds, or the transient error.

    An answer with an `error` member is an error, whatever its HTTP status. Errors: AuthenticationRefused (the
    credentials or the address are wrong, or something on the way forbids it), ServiceUnavailable (the answer has no
    token).
    """
    members = _members(answer.body)
    error = members.get("error")
    if error:
        return _error(answer, error, names)
    passing = transient(answer, f"the token service answered HTTP {answer.status}")
    if passing is not None:
        return passing
    if answer.status == _PROXY_REQUIRES_LOGIN:
        raise ProxyRequiresLogin(
            f"A proxy on the way to the token service requires a login (HTTP {answer.status}); {PROXY_LOGIN}"
        )
    if answer.status in _NO_SUCH_ADDRESS:
        raise NoTokenService(
            f"There is no token service at the address in {names.token_endpoint} (HTTP {answer.status}); copy the "
            "address again from where the credentials were given out."
        )
    if 400 <= answer.status < 500 and answer.begins_with_tag:
        raise AnsweredByPage(
            f"The answer to the token request is a web page (HTTP {answer.status}), which a token service "
            "does not write: ask the network team whether a proxy or firewall forbids the way to it, and check "
            f"{names.token_endpoint}."
        )
    if 400 <= answer.status < 500:
        raise _refused(answer.status, "", names)
    value = members.get("access_token")
    # What cannot stand in a header is not a token, whatever it is called (RFC 6750).
    if answer.status != 200 or not isinstance(value, str) or not _HEADER_TEXT.fullmatch(value):
        raise ServiceUnavailable(
            f"The token service's answer (HTTP {answer.status}) holds no token; check {names.token_endpoint}, and "
            "whether a proxy shows a login page instead."
        )
    _check_type(members.get("token_type"), names)
    return value, _lifetime(members.get("expires_in"))


def _error(answer: RawAnswer, error: object, names: SettingNames) -> Transient:
    word = error if isinstance(error, str) and _WORD.fullmatch(error) else ""
    passing = transient(answer, f"the token service answered HTTP {answer.status}")
    if passing is not None and word not in _LASTING:
        return passing
    if word == _PASSES:
        reason = f"the token service is not available for a while (HTTP {answer.status}, {word})"
        return Transient(answer.status, reason, asked_wait_s(answer), may_have_arrived=False)
    raise _refused(answer.status, f", {word}" if word else "", names)


def _refused(status: int, word: str, names: SettingNames) -> AuthenticationRefused:
    return AuthenticationRefused(
        f"The token service refused the credentials (HTTP {status}{word}); check {names.client_id}, "
        f"{names.client_secret}, {names.scope} and {names.token_endpoint}, and whether the secret has expired."
    )


def _check_type(kind: object, names: SettingNames) -> None:
    if kind is None or (isinstance(kind, str) and kind.strip().lower() == "bearer"):
        return
    raise AuthenticationRefused(
        "The token service gave a token of a type other than Bearer, which cannot be used; check "
        f"{names.token_endpoint} and {names.scope}."
    )


def _lifetime(value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, (float, str)) else math.nan
    except ValueError:
        seconds = math.nan
    return seconds if 0 < seconds <= _LONGEST_LIFETIME_S else LIFETIME_IF_UNKNOWN_S


def _members(body: bytes) -> dict[str, Any]:
    try:
        # Whole numbers as floats: one of thousands of digits is absurd, but no reason to read nothing.
        value = json.loads(body.decode("utf-8-sig", "replace"), parse_int=float)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
