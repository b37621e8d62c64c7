"""What a submission would do, and how the records stand, counted without a request; the guard against deletes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from api_pipeline.errors import PipelineError, ReceiverDeclined
from api_pipeline.sdr.checks import Examined
from api_pipeline.sdr.due import Sendable
from api_pipeline.sdr.nouns import INDICATIVE, Collection, ReturnPeriod
from api_pipeline.sdr.outcome import Options, Summary, TooManyDeletes
from api_pipeline.sdr.periods import require_open
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store

_MARCH = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a submission would do in one collection."""

    put: int
    delete: int
    unchanged: int
    withheld: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the records of one collection stand. `older` counts the refused ones that TEC may hold in an older form."""

    held: int
    in_doubt: int
    refused: int
    older: int
    plan: Plan


def standings(store: Store, scope: Scope, period: ReturnPeriod, options: Options) -> dict[Collection, Standing]:
    """Return how the records of a period stand, by the tables alone."""
    held, refused = store.count_held(scope), store.count_refused(scope)
    # The tables keep no kind of return: that of March is the indicative one, unless more was ever sent for it.
    taken = tuple(
        one for one in options.collections if one in INDICATIVE or period.month != _MARCH or one.value in held
    )
    found: dict[Collection, Standing] = {}
    for collection, planned in plan(store, scope, replace(options, collections=taken)).items():
        count, in_doubt = held.get(collection.value, (0, 0))
        found[collection] = Standing(count - in_doubt, in_doubt, *refused.get(collection.value, (0, 0)), planned)
    return found


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a submission would do; `refusal` is why it would send nothing now, None where it would run.

    `check_errors` counts what the checks found, by collection, rule and text. `may_send_all` is whether what is
    unchanged is sent again where TEC gives another submission token, because the one that is known has expired.
    """

    plans: dict[Collection, Plan]
    refusal: PipelineError | None
    check_errors: Mapping[tuple[str, str, str], int]
    may_send_all: bool = False


def rehearse(
    store: Store, scope: Scope, examined: Examined, period: ReturnPeriod, now: datetime, *, sends_all: bool = False
) -> Rehearsal:
    """Return what a submission would do, and whether it would be refused at the time `now`.

    `sends_all` is whether it sends what TEC is known to hold as well.
    """
    refusal: PipelineError | None = None
    try:
        require_open(period, now)
        check_deletes(store, scope, examined.options)
    except (ReceiverDeclined, TooManyDeletes) as error:
        refusal = error
    plans = plan(store, scope, examined.options, sends_all=sends_all)
    return Rehearsal(_limited(plans, examined.options.limit), refusal, examined.errors)


def token_has_expired(store: Store, scope: Scope, now: datetime) -> bool:
    """Return whether the submission token of an earlier run has expired, as far as its time says."""
    stored = store.submission(scope)
    expiry = stored.token.expiry if stored and stored.token else None
    return expiry is not None and expiry <= now


def _limited(plans: dict[Collection, Plan], limit: int | None) -> dict[Collection, Plan]:
    """Return the plans of a submission that uploads so many records at most, and deletes none where more are due."""
    if limit is None or sum(one.put for one in plans.values()) <= limit:
        return plans
    limited: dict[Collection, Plan] = {}
    for collection, one in plans.items():
        limited[collection] = replace(one, put=min(one.put, limit), delete=0)
        limit -= limited[collection].put
    return limited


def plan(store: Store, scope: Scope, options: Options, *, sends_all: bool = False) -> dict[Collection, Plan]:
    """Return what a submission would do now, without a request and without its limit; `sends_all` as in `rehearse`."""
    vanished = store.count_vanished(scope)
    plans: dict[Collection, Plan] = {}
    for collection in options.collections:
        sendable = Sendable(store, collection, options)
        put = unchanged = withheld = 0
        for page in store.pages(scope, collection):
            for row in page:
                _, digest, reason = sendable.read(row)
                if reason:
                    withheld += 1
                elif row.held_hash == digest and not sends_all:
                    unchanged += 1
                else:
                    put += 1
        plans[collection] = Plan(put, vanished.get(collection.value, 0), unchanged, withheld)
    return plans


def check_deletes(
    store: Store, scope: Scope, options: Options, summary: Summary | None = None, *, coming: int = 0
) -> None:
    """Raise TooManyDeletes where more would be deleted than the share allows.

    `summary` is that of the run that sends, None for none. `coming` is how many records it is about to delete, which
    may be staged again by now.
    """
    if options.allow_deletes:
        return
    names = [one.value for one in options.collections]
    held = sum(count for name, (count, _) in store.count_held(scope).items() if name in names)
    gone = max(coming, sum(count for name, count in store.count_vanished(scope).items() if name in names))
    if gone > options.max_deleted_share * held:
        run_id = summary.run_id if summary else ""
        refused = sum(count for name, count in store.count_vanished_refused(scope, run_id).items() if name in names)
        held, gone = held - refused, gone - refused
    if gone > options.max_deleted_share * held:
        so = "No more was deleted." if summary and summary.requests else "Nothing was sent."
        raise TooManyDeletes(
            f"Of the records that TEC holds for the return ({held:,}), the staging table lacks {gone:,}, more than the "
            f"share of {options.max_deleted_share:g} that SDR_MAX_DELETED_SHARE allows. {so} Look "
            "whether the extract filled the table whole, or allow it with --allow-deletes."
        )
