"""What a submission would do, counted without a request, and the guard against deleting too much."""

from __future__ import annotations

from dataclasses import dataclass

from api_pipeline.sdr.checks import id_error
from api_pipeline.sdr.difference import NotSendable, body_of
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.outcome import Options, TooManyDeletes
from api_pipeline.sdr.session import Session
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """What a submission would do in one collection."""

    put: int
    delete: int
    unchanged: int
    withheld: int


def plan(store: Store, scope: Scope, options: Options) -> dict[Collection, Plan]:
    """Return what a submission would do now, without a request."""
    vanished = store.count_vanished(scope)
    plans: dict[Collection, Plan] = {}
    for collection in options.collections:
        put = unchanged = withheld = 0
        for page in store.pages(scope, collection):
            for row in page:
                try:
                    _, digest = body_of(row.local_id, row.payload)
                except NotSendable:
                    withheld += 1
                    continue
                if id_error(row.local_id) or (collection, row.local_id) in options.withheld:
                    withheld += 1
                elif row.held_hash == digest:
                    unchanged += 1
                else:
                    put += 1
        plans[collection] = Plan(put, vanished.get(collection.value, 0), unchanged, withheld)
    return plans


def check_deletes(session: Session, options: Options) -> None:
    """Raise TooManyDeletes where more would be deleted than the share allows; nothing has been sent then."""
    if options.allow_deletes:
        return
    store, scope = session.store, session.scope
    names = [one.value for one in options.collections]
    held = sum(count for name, (count, _) in store.count_held(scope).items() if name in names)
    gone = sum(count for name, count in store.count_vanished(scope).items() if name in names)
    if gone > options.max_deleted_share * held:
        refused = sum(count for name, count in store.count_vanished_refused(scope).items() if name in names)
        held, gone = held - refused, gone - refused
    if gone > options.max_deleted_share * held:
        raise TooManyDeletes(
            f"{gone:,} of the {held:,} records that TEC holds for the return are not in the staging table any more, "
            f"more than the share of {options.max_deleted_share:g} that SDR_MAX_DELETED_SHARE allows. Nothing was "
            "sent. Look whether the extract filled the table whole, or allow it with --allow-deletes."
        )
