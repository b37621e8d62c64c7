"""One POST to the Children's Social Care API: the request as this receiver expects it, and what a refused token means.

With `answers` the only module that knows this receiver's wire format (contract 4). `CscReceiver.post` returns a value
for everything that the network can do wrong; only errors that end the run are raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from threading import Lock

import requests

from api_pipeline.auth.token_provider import Token, TokenProvider
from api_pipeline.csc_api.answers import (
    REASON_LIMIT,
    Answer,
    Forbidden,
    Malformed,
    PermanentError,
    Receipts,
    TooLarge,
    Unauthorised,
    Unreadable,
    classify,
)
from api_pipeline.errors import AuthenticationRefused
from api_pipeline.transport.exchange import Answered, Exchange, RetryPolicy
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.single_request import RawAnswer, Reach, Request


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where records go and what travels with them: URL, supplier key (a secret), and how the receiver is reached."""

    url: str
    supplier_key: str
    reach: Reach

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r})"


class CscReceiver:
    """Post batches of records. Safe to use from several threads at once.

    `on_request` is called as each request starts, `on_answer` with each answer. `hide` takes our secrets out of the
    reason of a rejection, because the reason is stored in the staging table, which more people can read.
    """

    def __init__(
        self,
        session: requests.Session,
        endpoint: Endpoint,
        tokens: TokenProvider,
        *,
        policy: RetryPolicy,
        limiter: RateLimiter,
        on_request: Callable[[], None] = lambda: None,
        on_answer: Callable[[RawAnswer], None] = lambda _answer: None,
        hide: Callable[[str], str] = lambda text: text,
    ) -> None:
        self.tokens = tokens
        self._session = session
        self._endpoint = endpoint
        self._limiter = limiter
        self._on_answer = on_answer
        self._hide = hide
        self._first_receipts: set[str] = set()
        self._receipts_lock = Lock()
        self._exchange: Exchange[Token] = Exchange(
            session,
            endpoint.reach,
            tokens,
            policy=policy,
            limiter=limiter,
            refused=partial(_refused_token, limiter),
            on_request=on_request,
        )

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        """Send 0 to BATCH_SIZE records (JSON objects as UTF-8) as one array and return what came of it.

        An error that may pass is repeated; after the last try it is returned as `Transient`. After a first 401 the
        request is sent again with a new token. `max_attempts` allows fewer tries than the settings do. Errors:
        AuthenticationRefused, ServiceUnavailable (the token service, or a wait beyond an hour), Stopped.
        """
        headers = {"SupplierKey": self._endpoint.supplier_key, "Content-Type": "application/json"}
        # In one go: each further step would copy the whole batch again.
        parts = [part for record in records for part in (b",", record)]
        body = b"".join([b"[", *parts[1:], b"]"])
        request = Request("POST", self._endpoint.url, f"POST of a batch of {len(records)}", headers, body)

        def read(raw: RawAnswer) -> Answer:
            self._on_answer(raw)
            answer = classify(raw.status, raw.headers, raw.body, len(records), datetime.now(timezone.utc))
            answer = self._unless_repeated(answer)
            if isinstance(answer, Unreadable):
                # It may be the answer to an earlier request; then the answer to this one is still on its way here.
                self.close()
            if isinstance(answer, Forbidden) and answer.retry_after_s is not None:
                self._limiter.hold(answer.retry_after_s)
            return answer

        answered: Answered[Answer] = self._exchange.send(request, read, max_attempts)
        # Only now: it takes a while, in which another sender would begin within the pause that the answer asks for.
        answer = self._without_secrets(answered.answer)
        if answered.may_have_arrived and isinstance(answer, (Malformed, Forbidden, TooLarge, PermanentError)):
            return answer._replace(may_have_arrived=True)
        return answer

    def close(self) -> None:
        """Close the connections to the receiver."""
        self._session.close()

    def _unless_repeated(self, answer: Answer) -> Answer:
        """Return the answer, or `Unreadable` where its list of receipts is that of an earlier one.

        One receipt for a whole batch may come again: the contract does not ask for another one for each batch.
        """
        if not isinstance(answer, Receipts) or answer.receipts[:1] == answer.receipts[-1:]:
            return answer
        first = answer.receipts[0].id
        with self._receipts_lock:
            if first in self._first_receipts:
                return Unreadable(
                    answer.code,
                    f"HTTP {answer.code}: the receipts of an earlier answer came again, so the outcome is unknown",
                )
            self._first_receipts.add(first)
        return answer

    def _without_secrets(self, answer: Answer) -> Answer:
        if isinstance(answer, Receipts):
            return answer
        if isinstance(answer, Malformed):
            named = {place: self._hide(reason)[:REASON_LIMIT] for place, reason in answer.named.items()}
            answer = answer._replace(named=named)
        return answer._replace(reason=self._hide(answer.reason)[:REASON_LIMIT])


def _refused_token(limiter: RateLimiter, answer: Unauthorised) -> AuthenticationRefused:
    # At once: another sender must not begin a request, or fetch a token, that can only be refused as well.
    limiter.stop()
    if not answer.may_renew:
        return AuthenticationRefused(
            f"The receiver refused the subscription key (HTTP {answer.code}); check SUPPLIER_KEY, and that the "
            "subscription is for this API_ENDPOINT and active."
        )
    return AuthenticationRefused(
        f"The receiver refused a fresh token (HTTP {answer.code}); check SCOPE and API_ENDPOINT, and whether "
        "this machine's clock is right."
    )
