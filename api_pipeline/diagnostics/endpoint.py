"""`test-endpoint`: the whole way to the receiver, by the session, token and request that a run uses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import requests

from api_pipeline.auth.token_answer import AnsweredByPage, NoTokenService, ProxyRequiresLogin
from api_pipeline.auth.token_provider import TokenProvider
from api_pipeline.csc_api.answers import Answer, Unreadable
from api_pipeline.csc_api.client import CscReceiver
from api_pipeline.csc_api.factory import RequestObservers, assemble, credentials_of, endpoint_of, transport_options
from api_pipeline.diagnostics.network_path import walk_to_all
from api_pipeline.diagnostics.receiver_answer import PORTAL, TRY_LATER, judge, judge_page, judge_record
from api_pipeline.diagnostics.steps import Report, Status, StepFailed, StepWalk
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable, SettingsError
from api_pipeline.settings.model import Settings
from api_pipeline.settings.safety import TEST_MARK, is_loopback, is_test_endpoint
from api_pipeline.transport.proxy import check_proxy
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.session import make_session, trusted_by_environment
from api_pipeline.transport.single_request import RawAnswer


def check_endpoint(settings: Settings, on_token: Callable[[str], None], *, send_test_record: bool = False) -> Report:
    """Walk settings, DNS, TCP, proxy, TLS, token and a request with an empty array; stop at the first failure.

    `send_test_record` also sends the one invented child (see `check_may_send_record`). `on_token` gets each token.
    """
    walk = StepWalk("test-endpoint")
    with suppress(StepFailed):
        options = transport_options(settings)
        addresses = (("", settings.children_url), ("token service", settings.token_endpoint))
        with walk.step("settings") as finding:
            session = make_session(options)
            for _, url in addresses:
                check_proxy(options.proxy_url, url)
            finding.detail = (
                f"POST to {settings.children_url}\ntoken from {settings.token_endpoint}{_unexpected(settings)}"
            )
        with session:
            walk_to_all(walk, options, addresses, settings.connect_timeout_s)
            _ask(walk, settings, session, on_token, send_test_record=send_test_record)
    return walk.report()


def _unexpected(settings: Settings) -> str:
    """Return further lines of the first step: what a reader of the settings would not expect."""
    lines = ["TESTING_MODE is on, so a run would not connect to them; this test does"] if settings.testing_mode else []
    file = None if settings.ca_bundle else trusted_by_environment()
    if file:
        lines.append(f"trusted certificates come from SSL_CERT_FILE or SSL_CERT_DIR of the environment: {file}")
    return "".join(f"\n{line}" for line in lines)


def check_may_send_record(settings: Settings) -> None:
    """Check that a test record would go to a test endpoint or to this machine. Errors: SettingsError."""
    if not (is_test_endpoint(settings.api_endpoint) or is_loopback(settings.api_endpoint)):
        raise SettingsError(
            f"--send-test-record sends an invented child, and API_ENDPOINT is neither a test endpoint (its URL would "
            f"contain {TEST_MARK}) nor this machine; nothing was sent. Leave the option out to test this endpoint."
        )


def invented_record(la_code: str) -> bytes:
    """Return the one invented child that is safe for the test receiver; its ids contain the authority's code."""
    details = {
        "unique_pupil_number": "A123456789012",
        "first_name": "John",
        "surname": "Doe",
        "date_of_birth": "2022-06-14",
        "sex": "M",
        "ethnicity": "WBRI",
        "postcode": "AB12 3DE",
        "purge": False,
    }
    record = {"la_child_id": f"Fake1234{la_code}", "mis_child_id": f"MIS{la_code}", "purge": False}
    return json.dumps({**record, "child_details": details}).encode()


class _Pages:
    """Record whether the last answer was a web page: a proxy's or a firewall's, since the receiver writes none.

    `was_odd` says that it holds something, and no list of receipts, not even an empty one.
    """

    was_last = False
    was_odd = False

    def __call__(self, answer: RawAnswer) -> None:
        self.was_last = answer.is_page
        self.was_odd = bool(b"".join(answer.body.split()).strip(b'[]"'))


def _ask(
    walk: StepWalk,
    settings: Settings,
    session: requests.Session,
    on_token: Callable[[str], None],
    *,
    send_test_record: bool,
) -> None:
    pages = _Pages()
    receiver = assemble(
        replace(settings, max_attempts=1),
        session,
        endpoint_of(settings),
        credentials_of(settings),
        RateLimiter(1, 0.0, time.monotonic),
        RequestObservers(on_token=on_token, on_answer=pages),
    )
    with walk.step("token") as finding:
        _fetch_token(receiver.tokens, settings)
        finding.detail = f"{urlsplit(settings.token_endpoint).hostname} gave a token"
    with walk.step("request") as finding:
        answer = _post(receiver, [])
        judge(answer, finding)
        if pages.was_last:
            judge_page(answer, finding)
        elif isinstance(answer, Unreadable) and pages.was_odd:
            finding.status = Status.REMARK
            finding.detail = f"something answered an empty array with HTTP {answer.code}, but not with receipts"
            finding.advice = "check API_ENDPOINT: this may be another service than the receiver. No record was sent."
    if send_test_record:
        with walk.step("test record") as finding:
            judge_record(_post(receiver, [invented_record(settings.la_code)]), finding)


def _fetch_token(tokens: TokenProvider, settings: Settings) -> None:
    try:
        tokens.token()
    except AuthenticationRefused as error:
        otherwise = f"{PORTAL} can look up client id, secret and scope, and make a new secret where it has run out."
        raise StepFailed(str(error), _refusal_advice(error, otherwise), error.exit_code) from None
    except ServiceUnavailable as error:
        host = urlsplit(settings.token_endpoint).hostname
        advice = f"check TOKEN_ENDPOINT; if it is right, try later, or ask the council's network team about {host}."
        raise StepFailed(str(error), advice, error.exit_code) from None


def _refusal_advice(error: AuthenticationRefused, otherwise: str) -> str:
    """Return what to do after a refusal: `otherwise` where it came from the token service or the receiver itself."""
    match error:
        case ProxyRequiresLogin():
            return "this says nothing about client id and secret: leave them as they are."
        case AnsweredByPage():
            return (
                "this says nothing about client id and secret: ask the council's network team to allow the host of "
                "TOKEN_ENDPOINT for this server and account, once the address is known to be right."
            )
        case NoTokenService():
            return (
                "this says nothing about client id and secret: compare TOKEN_ENDPOINT with what the DfE portal shows."
            )
        case _:
            return otherwise


def _post(receiver: CscReceiver, records: list[bytes]) -> Answer:
    try:
        return receiver.post(records)
    except AuthenticationRefused as error:
        advice = _refusal_advice(error, f"{PORTAL} can look up scope and subscription key.")
        raise StepFailed(str(error), advice, error.exit_code) from None
    except ServiceUnavailable as error:
        raise StepFailed(str(error), TRY_LATER, error.exit_code) from None
