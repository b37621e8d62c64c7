"""The return period that a command names: found in a list, open for data, and free of a validation at work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from api_pipeline.errors import AlreadyRunning, PipelineError, ReceiverDeclined, SettingsError
from api_pipeline.sdr.nouns import ReturnPeriod, Rules, State

if TYPE_CHECKING:
    from api_pipeline.sdr.receiver import TecReceiver

_PERIOD = re.compile(r"(\d{4})-?(\d{2})")
_LONGEST_WAIT_S = 60.0


def find(wanted: str, periods: Iterable[ReturnPeriod], *, indicative: bool = False) -> ReturnPeriod:
    """Return the period that the command line names: by id, else by year and month.

    Errors: SettingsError for what is not a period or may be two; ReceiverDeclined for one that TEC does not list.
    """
    periods = list(periods)
    text = wanted.strip()
    match = _PERIOD.fullmatch(text)
    if not match and not text.isdigit():
        raise SettingsError(f"PERIOD: expected a return period such as 202608 or 2026-08, got {wanted!r}.")
    by_id = [one for one in periods if str(one.return_id) == text and (not indicative or one.is_indicative)]
    if len(by_id) == 1:
        return by_id[0]
    year, month = (int(match[1]), int(match[2])) if match else (0, 0)
    found = [one for one in periods if (one.year, one.month) == (year, month)]
    if indicative:
        found = [one for one in found if one.is_indicative]
    if len(found) == 1:
        return found[0]
    if found:
        names = "; ".join(one.name for one in found)
        raise SettingsError(f"PERIOD: {text} may be more than one return ({names}); name the return by its id.")
    kind = "indicative return" if indicative else "return"
    listed = ", ".join(str(one.return_id) for one in periods if one.is_indicative or not indicative) or "none"
    raise ReceiverDeclined(
        f"TEC lists no {kind} {text}; nothing was sent. It lists: {listed} (see: d2i-csc-api sdr returns)."
    )


def find_begun(wanted: str, periods: Iterable[ReturnPeriod]) -> ReturnPeriod:
    """Return the period that the command line names among those that the tables know, which keep no kind of return.

    Errors: SettingsError for what is not a period or may be two; PipelineError for one that was never begun.
    """
    periods = list(periods)
    try:
        return find(wanted, periods)
    except ReceiverDeclined:
        begun = ", ".join(str(one.return_id) for one in periods) or "none"
        raise PipelineError(
            f"The return {wanted.strip()} was not begun with these tables yet, so nothing is known of it here (begun: "
            f"{begun}). Begin it: d2i-csc-api sdr submit {wanted.strip()}"
        ) from None


def require_open(period: ReturnPeriod, now: datetime, so: str = "nothing was sent") -> None:
    """Raise ReceiverDeclined where the period takes no data now; `so` says what that means for the records."""
    if what := period.why_not_open(now):
        error = ReceiverDeclined(f"The return {period.name} {what}; {so}. See: d2i-csc-api sdr returns.")
        error.code = "period"
        error.reason = f"The return {what}"
        raise error


def wait_for_validation(
    receiver: TecReceiver,
    period: ReturnPeriod,
    rules: Rules,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> ReturnPeriod:
    """Return the period once no validation of it is at work. Errors: AlreadyRunning after `wait_blocked_s`."""
    until = clock() + rules.wait_blocked_s
    wait = rules.first_wait_s
    while period.state is State.VALIDATING:
        if clock() + wait > until:
            raise AlreadyRunning(
                f"TEC is validating the return {period.name}, which blocks every change until it has ended; nothing "
                f"was sent. Look with d2i-csc-api sdr validate {period.return_id} --resume, and run again afterwards."
            )
        sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT_S)
        period = receiver.listed(period) or period
    return period
