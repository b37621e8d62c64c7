"""One POST to the Children's Social Care API: the request, its repetition, and what the answer means.

The only module that knows this receiver's wire format (contract 4). `CscReceiver.post` gives a value for everything
that the network can do wrong; only faults that end the run are raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import requests

from api_pipeline.auth import Token, TokenProvider
from api_pipeline.csc_api.answers import (
    Answer,
    Forbidden,
    Malformed,
    PermanentError,
    TooLarge,
    Transient,
    Unauthorised,
    classify,
)
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.transport.rate_limit import LONGEST_RETRY_AFTER_S, RateLimiter
from api_pipeline.transport.retry import RetryPolicy, TransientError, retrying
from api_pipeline.transport.session import BearerAuth, proxies_for, read_within

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where records go and what travels with them: URL, supplier key (a secret), user agent, timeouts in seconds."""

    url: str
    supplier_key: str
    user_agent: str
    timeouts: tuple[float, float]
    proxy_url: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r})"


class CscReceiver:
    """Posts batches of records. Safe to use from several threads at once."""

    def __init__(
        self,
        session: requests.Session,
        endpoint: Endpoint,
        tokens: TokenProvider,
        *,
        policy: RetryPolicy,
        gate: RateLimiter,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._tokens = tokens
        self._policy = policy
        self._gate = gate
        self._on_request = on_request

    def post(self, records: Sequence[bytes]) -> Answer:
        """Sends 0 to BATCH_SIZE records (JSON objects as UTF-8) as one array and gives what came of it.

        A fault that may pass is repeated; after the last try it is given as `Transient`. A first 401 is met with a new
        token. Errors: AuthenticationRefused, ServiceUnavailable (the token service), Stopped.
        """
        body = b"[" + b",".join(records) + b"]"
        arrived = [False]
        retried = [False]

        def attempt() -> Answer:
            answer = self._attempt_with_token(body, len(records), retried=retried[0])
            retried[0] = True
            if isinstance(answer, Transient):
                arrived[0] = arrived[0] or answer.may_have_arrived
                raise TransientError(
                    answer.reason, answer.code, answer.retry_after_s, may_have_arrived=answer.may_have_arrived
                )
            self._gate.widen()
            return answer

        try:
            answer = retrying(self._policy, self._gate)(attempt)
        except TransientError as fault:
            _check_patience(fault)
            return Transient(fault.http_code, fault.reason, fault.retry_after_s, may_have_arrived=arrived[0])
        if arrived[0] and isinstance(answer, (Malformed, Forbidden, TooLarge, PermanentError)):
            return replace(answer, may_have_arrived=True)
        return answer

    def _attempt_with_token(self, body: bytes, records: int, *, retried: bool) -> Answer:
        token = self._tokens.token()
        answer = self._attempt(body, records, token, retried=retried)
        if isinstance(answer, Unauthorised) and not self._tokens.is_untried_renewal(token):
            token = self._tokens.renew(token)
            answer = self._attempt(body, records, token, retried=True)
        if isinstance(answer, Unauthorised):
            # At once: another sender must not begin a request, or fetch a token, that can only be refused as well.
            self._gate.stop()
            raise AuthenticationRefused(
                f"The receiver refused a fresh token (HTTP {answer.code}); check SCOPE and API_ENDPOINT, and whether "
                "this machine's clock is right."
            )
        if not isinstance(answer, Transient):
            self._tokens.note_taken(token)
        return answer

    def _attempt(self, body: bytes, records: int, token: Token, *, retried: bool) -> Answer:
        endpoint = self._endpoint
        headers = {
            "Authorization": f"Bearer {token.value}",
            "SupplierKey": endpoint.supplier_key,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": endpoint.user_agent,
        }
        with self._gate.passage(retried=retried):
            self._on_request()
            began = time.monotonic()
            try:
                response = self._session.post(
                    endpoint.url,
                    data=body,
                    auth=BearerAuth(headers),
                    timeout=endpoint.timeouts,
                    allow_redirects=False,
                    proxies=proxies_for(endpoint.proxy_url, endpoint.url),
                    stream=True,
                )
                content = read_within(response, endpoint.timeouts[1])
            except requests.RequestException as error:
                fault = _network_fault(error)
                _LOG.info("POST of %d records: %s after %.2f s", records, fault.reason, time.monotonic() - began)
                return fault
            _LOG.info("POST of %d records: HTTP %d in %.2f s", records, response.status_code, time.monotonic() - began)
            lowered = {name.lower(): value for name, value in response.headers.items()}
            answer = classify(response.status_code, lowered, content, records, datetime.now(timezone.utc))
            # Before this request counts as over: who waits for its place would start within the pause asked for.
            if isinstance(answer, Transient) and answer.retry_after_s is not None:
                self._gate.hold(answer.retry_after_s)
            return answer


def _network_fault(error: requests.RequestException) -> Transient:
    """Gives a connection fault as a value; its text could quote a URL with a password, so only its kind is told."""
    never_left = isinstance(
        error, (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.SSLError)
    )
    refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
    kinds = (
        (requests.ConnectTimeout, "no connection within CONNECT_TIMEOUT_S"),
        (requests.exceptions.ReadTimeout, "no answer within READ_TIMEOUT_S"),
        (requests.exceptions.ProxyError, "the proxy refused the connection"),
        (requests.exceptions.SSLError, "the receiver's certificate or TLS was not accepted"),
    )
    what = next((text for kind, text in kinds if isinstance(error, kind)), None)
    if what is None:
        what = "the receiver could not be reached" if refused else "the connection was lost before an answer came"
    return Transient(None, f"network fault: {what}", None, may_have_arrived=not (never_left or refused))


def _check_patience(fault: TransientError) -> None:
    if fault.retry_after_s is not None and fault.retry_after_s > LONGEST_RETRY_AFTER_S:
        raise ServiceUnavailable(
            f"The receiver asks to wait {fault.retry_after_s / 3600:.1f} hours (HTTP {fault.http_code}), longer than a "
            "run waits; run again after that."
        )
