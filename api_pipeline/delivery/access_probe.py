"""Send the receiver an empty array: the answer shows whether this run has access, whatever its records (contract 4)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from api_pipeline.csc_api.answers import Answer, Forbidden, Transient
from api_pipeline.errors import AuthenticationRefused
from api_pipeline.run_summary import counted


class Receiver(Protocol):
    """What a run needs of a receiver: one POST, whose result is always a value."""

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        """Send the records as one request, with at most `max_attempts` tries."""


class AccessProbe:
    """Whether this run has access to the receiver, and how many of its requests were accepted.

    All senders of a run share one. If several get a 403 at once, one of them probes and the others wait for its result.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._lock = threading.Lock()
        self._has_access = False
        self._refusal: AuthenticationRefused | None = None
        self._failed_after: int | None = None
        self.accepted = 0

    def note_accepted(self) -> None:
        """Record that a request was accepted."""
        self.accepted += 1
        self._has_access = True

    def note_access(self) -> None:
        """Record that a request was judged by what is in it, though it was not accepted."""
        self._has_access = True

    def check(self, refused: Forbidden) -> bool:
        """Probe after a 403; return whether the run had access before the 403, so that a second try makes sense.

        Errors: AuthenticationRefused where the receiver answers 403 to the probe as well.
        """
        with self._lock:
            had_access = self._has_access
            if self._refusal is None and isinstance(probed := self._receiver.post([]), Forbidden):
                self._refusal = _refusal(refused, had_access=had_access, is_page=probed.is_page)
            if self._refusal is not None:
                raise self._refusal
            self._has_access = True
            return had_access

    def is_answering(self) -> bool:
        """Return whether the receiver answers an empty array. If it does, the records of a batch cause its error."""
        with self._lock:
            # While nothing is accepted, a receiver that failed to answer is not probed again for each batch.
            if self._failed_after == self.accepted:
                return False
            is_answering = not isinstance(self._receiver.post([], max_attempts=1), Transient)
            self._failed_after = None if is_answering else self.accepted
            return is_answering


def _refusal(refused: Forbidden, *, had_access: bool, is_page: bool) -> AuthenticationRefused:
    if is_page:
        return AuthenticationRefused(
            f"A web page forbids access (HTTP {refused.code}), also to an empty request: a firewall or proxy answers "
            "in the receiver's place. No row was marked because of it; ask the network team, and tell DfE's service "
            "desk the time and code if it is none of theirs."
        )
    wait_s = refused.retry_after_s
    when = "" if wait_s is None else f" after {counted(max(1, round(wait_s / 60)), '{minute|minutes}')}, as it asks"
    if had_access:
        return AuthenticationRefused(
            f"The receiver forbids access since the middle of the run (HTTP {refused.code}), also to an empty request: "
            f"a quota is used up, or the key was withdrawn. The rest was left as it was; run again{when}, and check "
            "SUPPLIER_KEY and the subscription's quota if it stays so."
        )
    if wait_s is not None:
        return AuthenticationRefused(
            f"The receiver forbids access for a while (HTTP {refused.code}), also to an empty request: a quota is used "
            f"up. No row was marked because of it; run again{when}, and check the subscription's quota if it stays so."
        )
    return AuthenticationRefused(
        f"The receiver forbids access (HTTP {refused.code}); check SUPPLIER_KEY, SCOPE and LA_CODE, "
        "and that the subscription is for this endpoint. No row was marked because of it."
    )
