"""What the receiver's answer to `test-endpoint` shows: access, or what stands in its way and who can help. Pure."""

from __future__ import annotations

from api_pipeline.csc_api.answers import (
    Answer,
    Forbidden,
    Malformed,
    PermanentError,
    Receipts,
    TooLarge,
    Transient,
    Unauthorised,
    Unreadable,
)
from api_pipeline.diagnostics.steps import Status, StepFailed, StepResult
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.logs.masking import mask_values
from api_pipeline.transport.proxy import PROXY_LOGIN

PORTAL = "whoever holds the council's account at the DfE portal"
TRY_LATER = "such errors usually pass: try again later; if they stay, tell DfE's service desk the time and code."
_NO_SUCH_ADDRESS = frozenset({404, 405, 410})
_PROXY_REQUIRES_LOGIN = 407
_NETWORK_REQUIRES_LOGIN = 511
_REFUSED_RECORD = 1


def judge(answer: Answer, finding: StepResult) -> None:
    """Read the answer to an empty array: any answer that judges the body shows that access was granted.

    Errors: StepFailed.
    """
    match answer:
        case Forbidden(is_page=True):
            raise _forbidden_by_page(answer)
        case Forbidden(retry_after_s=float()):
            raise _forbidden_for_a_while(answer)
        case Forbidden() | Unauthorised():
            raise _access_refused(answer.code)
        case Transient(code=code) if code == _NETWORK_REQUIRES_LOGIN:
            raise _web_page(answer)
        case Transient() | TooLarge():
            # A gateway may say 413 before it looks at token and key, and no receiver refuses two bytes for their size.
            raise _unfit(answer)
        case PermanentError(code=code) if code in _NO_SUCH_ADDRESS or 300 <= code < 400:
            raise StepFailed(
                f"There is no receiver at this address ({_said(answer)}).",
                _address_advice(answer),
                ServiceUnavailable.exit_code,
            )
        case PermanentError(code=code) if code != 204:
            raise _unfit(answer)
        case Receipts() | Unreadable() | Malformed() | PermanentError():
            finding.detail = f"the receiver granted access (HTTP {answer.code} to an empty array, no record was sent)"


def _unfit(answer: Transient | TooLarge | PermanentError) -> StepFailed:
    if isinstance(answer, Transient):
        return StepFailed(
            f"The receiver did not answer as it should ({_said(answer)}).", f"{TRY_LATER}", ServiceUnavailable.exit_code
        )
    if answer.code == _PROXY_REQUIRES_LOGIN:
        return StepFailed(
            f"A proxy on the way to the receiver requires a login (HTTP {answer.code}).",
            PROXY_LOGIN,
            ServiceUnavailable.exit_code,
        )
    return StepFailed(
        f"The receiver did not answer as it should ({_said(answer)}).",
        "a firewall or proxy on the way may have answered in its place: ask the council's network team; if it was the "
        "receiver, tell DfE's service desk the time and code.",
        ServiceUnavailable.exit_code,
    )


def judge_page(answer: Answer, finding: StepResult) -> None:
    """Say of a web page that the receiver does not write it. Errors: StepFailed where it would be an acceptance."""
    if isinstance(answer, (Receipts, Unreadable)):
        raise _web_page(answer)
    finding.status = Status.REMARK
    finding.advice = (
        "the answer is a web page, which the receiver does not write: ask the council's network team whether a "
        "firewall or proxy answers in its place."
    )


def _web_page(answer: Answer) -> StepFailed:
    return StepFailed(
        f"What answered is a web page, not the receiver (HTTP {answer.code}).",
        "a proxy's login page usually does that: ask the council's network team, or correct API_ENDPOINT.",
        ServiceUnavailable.exit_code,
    )


def judge_record(answer: Answer, finding: StepResult) -> None:
    """Say what became of the invented child. Errors: StepFailed."""
    match answer:
        case Receipts(receipts=receipts):
            finding.detail = f"the invented child was accepted, receipt {receipts[0].id}"
        case Malformed() | TooLarge() | PermanentError():
            raise StepFailed(
                f"The invented child was refused ({_said(answer)}).",
                "the receiver's rules may have changed: check for a newer version of this program.",
                _REFUSED_RECORD,
            )
        case Forbidden():
            raise StepFailed(
                f"The invented child was refused ({_said(answer)}), although an empty request was not.",
                "a firewall that looks into requests usually does that: ask the council's network team, and tell DfE's "
                "service desk the time and code.",
                _REFUSED_RECORD,
            )
        case Unreadable():
            finding.status = Status.REMARK
            finding.detail = f"the invented child was taken, but the answer holds no receipt (HTTP {answer.code})"
            finding.advice = "a run would mark such records error; report the answer to this program's makers."
        case _:
            judge(answer, finding)


def _access_refused(code: int) -> StepFailed:
    return StepFailed(
        f"The receiver refused access (HTTP {code}), although the token service gave a token.",
        f"check SUPPLIER_KEY, SCOPE and LA_CODE; {PORTAL} sees which subscription they belong to.",
        AuthenticationRefused.exit_code,
    )


def _forbidden_for_a_while(answer: Forbidden) -> StepFailed:
    return StepFailed(
        f"The receiver forbids access for a while (HTTP {answer.code}), although the token service gave a token.",
        f"a quota is used up: try again later; if it stays so, {PORTAL} sees the subscription's quota.",
        AuthenticationRefused.exit_code,
    )


def _forbidden_by_page(answer: Forbidden) -> StepFailed:
    return StepFailed(
        f"What answered is a web page, not the receiver (HTTP {answer.code}).",
        "a firewall or proxy usually does that: ask the council's network team; if it is none of theirs, tell DfE's "
        "service desk the time and code.",
        AuthenticationRefused.exit_code,
    )


def _address_advice(answer: PermanentError) -> str:
    if 300 <= answer.code < 400:
        return "a proxy's login page usually does that: ask the council's network team, or correct API_ENDPOINT."
    return "check API_ENDPOINT and LA_CODE against what the DfE portal shows for your subscription."


def _said(answer: Transient | PermanentError | Malformed | TooLarge | Forbidden) -> str:
    return mask_values(answer.reason)[:200]
