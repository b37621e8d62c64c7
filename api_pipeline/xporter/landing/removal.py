"""Take rows out again: of a school that revoked, of a scope or a person that was withdrawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

from api_pipeline.common.clock import utc_now
from api_pipeline.db.run_lock import locked
from api_pipeline.errors import SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.xporter.catalogue import Endpoint, Owner, load_catalogue
from api_pipeline.xporter.consent import Listed, SchoolState, fingerprint, school_values
from api_pipeline.xporter.landing.named_pupils import ABOUT_PUPILS, left_behind, rows_about, take_out_of_lists
from api_pipeline.xporter.landing.rounds import Counts, Round, TableChange
from api_pipeline.xporter.landing.store import LandingStore
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.minimise import may_be_of_others


def purge_school(
    store: LandingStore,
    estab: str,
    state: SchoolState,
    now: datetime,
    values: Mapping[str, object] | None,
    *,
    secret_version: str | None,
) -> int:
    """Remove every row, state and proposal of a school in one transaction; keep the proof. Return the rows.

    `values` are what is known of the school from now on: a state without the removal must never be seen alone.
    `secret_version` is the fingerprint of a secret that may still be here, and must not bring the school back. Where
    nothing is left of a school whose rows were removed before, the proof of that time stays.
    """
    removed = 0
    before = next((row for row in store.schools() if row["estab"] == estab), None)
    has_outbox = store.has_outbox()
    with store.connection.transaction():
        if values is not None:
            store.save_school(values)
        for landing in store.existing():
            removed += store.connection.query(store.sql("school_count", landing), [estab])[0][0]
            _empty(store, landing, estab)
        store.connection.execute(store.sql("delete_syncs"), [estab])
        _delete(store, "delete_school_matches", estab, store.names.table("xporter_match"))
        if has_outbox:
            _delete(store, "delete_school_outbox", estab, store.names.table("xporter_outbox"))
        proof, since = [now, removed], now
        if before is not None and before["purged_at"] is not None and not removed:
            proof = [before["purged_at"], before["purged_rows"]]
            since = before["state_since"] if before["state"] == state.value else now
        store.connection.execute(store.sql("mark_purged"), [state.value, *proof, secret_version, since, estab])
    return removed


def remove_school(store: LandingStore, estab: str, secret_in_settings: str | None) -> int:
    """Remove a school by the operator's wish, under the lock that a collection holds. Return the rows.

    The fingerprint of the secret in the settings is kept, so that this secret does not bring the school back.
    Errors: SettingsError for a school that is not known, AlreadyRunning, DatabaseError.
    """
    store.check()
    with locked(store.connection, store.names.table("xporter_sync"), None):
        is_known = estab in {row["estab"] for row in store.schools()}
        # A collection that was killed may have landed rows of a school before it kept the school itself.
        if not is_known and not store.school_syncs(estab):
            raise SettingsError(
                f"School {estab} is not known here; list the schools with: d2i-csc-api xporter schools list"
            )
        version = fingerprint(secret_in_settings or "")
        now = utc_now()
        values = None if is_known else school_values(None, Listed(estab, None), now)
        return purge_school(store, estab, SchoolState.REMOVED, now, values, secret_version=version)


def withdraw(store: LandingStore, estab: str, scopes: frozenset[str], before: frozenset[str] | None) -> tuple[int, int]:
    """Empty the columns and tables that a school's scopes do not cover. Return how many of each `before` covered.

    A table is emptied too if the scopes do not cover what ties its rows to a pupil. Runs inside the caller's
    transaction, which also keeps the new scopes.
    """
    catalogue = load_catalogue()
    columns = tables = 0
    touched: set[str] = set()
    for landing in store.existing():
        call, table = catalogue.endpoint(landing.endpoint), landing.table
        was_withheld = call.is_withheld(before) or catalogue.withholds(call, table, before)
        if call.is_withheld(scopes):
            _empty(store, landing, estab)
            store.connection.execute(store.sql("delete_endpoint_syncs"), [estab, landing.endpoint])
            tables += not was_withheld
        elif landing.is_for_unknown or not table.fields:
            if _has_lost(call, scopes, before):
                # Which scope covers columns that are not published is not known.
                _empty(store, landing, estab)
                touched.add(landing.endpoint)
        elif catalogue.withholds(call, table, scopes):
            _empty(store, landing, estab)
            tables += not was_withheld
            touched.add(landing.endpoint)
        elif withheld := table.withheld(scopes):
            # Which scope covers an added column is not published, so it is emptied as `extra` is.
            emptied = (*withheld, *landing.added)
            sets = ", ".join(f"{store.names.column(column)} = NULL" for column in emptied)
            store.connection.execute(store.sql("withdraw_columns", landing, assignments=sets), [estab])
            _check_none_left(store, "withdraw_left", estab, store.names.table(landing.name))
            columns += len(set(withheld) - set(table.withheld(before)))
    # A proposal holds UPNs of the landed pupils, and says that a name or the care of a child is the same.
    if _has_lost(catalogue.endpoint("Students"), scopes, before):
        _delete(store, "delete_school_matches", estab, store.names.table("xporter_match"))
    for endpoint in sorted(touched):
        for (window,) in store.connection.query(store.sql("sync_windows"), [estab, endpoint]):
            _adjust(store, Round(estab, endpoint, str(window)))
    return columns, tables


def _empty(store: LandingStore, landing: Landing, estab: str) -> None:
    _delete(store, "delete_school_rows", estab, store.names.table(landing.name))


def _delete(store: LandingStore, statement: str, estab: str, table: str) -> None:
    """Delete a school's rows of a table. Errors: DatabaseError, also where the database did not do it."""
    store.connection.execute(store.sql(statement, table=table), [estab])
    _check_none_left(store, "school_count", estab, table)


def _check_none_left(store: LandingStore, statement: str, estab: str, table: str) -> None:
    """Raise DatabaseError where rows of a school are as they were before they were deleted, or emptied.

    A trigger, or a policy of rows, can make the database leave them and say nothing; no proof may say that they are
    gone.
    """
    left = store.connection.query(store.sql(statement, table=table), [estab])[0][0]
    if left:
        raise left_behind(table, f"{counted(left, '{row|rows}')} of school {estab}")


def _has_lost(endpoint: Endpoint, scopes: frozenset[str], before: frozenset[str] | None) -> bool:
    """Return whether `scopes` cover fewer columns of an endpoint than `before`."""
    return any(set(table.withheld(scopes)) - set(table.withheld(before)) for table in endpoint.tables)


def remove_withdrawn(
    store: LandingStore, round_: Round, changes: Sequence[TableChange], *, is_minimised: bool
) -> Counts:
    """Remove a pupil who vanished from the roll from every other endpoint as well. Return the counts of both.

    A closed week is never asked for again, so its marks would stay. What another endpoint still names comes back
    with that endpoint's own round. Pupils whose Ids the consent does not cover have not left: their rows stay, except
    where only those of the council's children may be landed.
    """
    roll = next((one for one in changes if (one.landing.endpoint, one.landing.name) == ("Students", "Students")), None)
    gone = sorted(roll.difference.deleted) if roll is not None else []
    if roll is None or not gone:
        return Counts()
    store.connection.execute_many(store.sql("delete_pupil_matches"), [[round_.estab, student] for student in gone])
    if roll.is_unnamed and not is_minimised:
        return Counts(pupils_unnamed=len(gone))
    removed = _remove_about(store, round_.estab, gone, {change.landing.name for change in changes})
    pupils = Counts(pupils_unnamed=len(gone)) if roll.is_unnamed else Counts(pupils_gone=len(gone))
    pupils.add(Counts(deleted=removed, rows_gone=removed))
    return pupils


def _remove_about(store: LandingStore, estab: str, gone: Sequence[str], written: Set[str]) -> int:
    """Remove what is about pupils from every table but those that were just written. Return how many rows."""
    removed = 0
    for landing in (one for one in store.existing() if one.name not in written):
        owner = landing.table.owner
        if owner is not None and not owner.table:
            removed += _delete_about(store, estab, landing, owner, gone)
        take_out_of_lists(store, landing, estab, set(gone))
    return removed


def _delete_about(store: LandingStore, estab: str, landing: Landing, owner: Owner, gone: Sequence[str]) -> int:
    """Delete the rows of a table about pupils, and what belongs to them, in every window. Return how many.

    Errors: DatabaseError, also where the database did not do it.
    """
    removed = 0
    has_others = may_be_of_others(landing)
    if not has_others and owner.column.lower() in {column.lower() for column in landing.columns}:
        for (window,) in store.connection.query(store.sql("sync_windows"), [estab, landing.endpoint]):
            removed += _delete_owned(store, Round(estab, landing.endpoint, str(window)), landing, owner, gone)
    if has_others or not landing.table.is_published:
        found = rows_about(store, landing, estab, set(gone))
        for window, keys in found.items():
            round_ = Round(estab, landing.endpoint, window)
            store.delete_rows(landing, round_, keys)
            _adjust(store, round_)
            removed += len(keys)
        if found and rows_about(store, landing, estab, set(gone)):
            raise left_behind(store.names.table(landing.name), ABOUT_PUPILS.format(estab=estab))
    return removed


def _delete_owned(store: LandingStore, round_: Round, landing: Landing, owner: Owner, gone: Sequence[str]) -> int:
    """Delete the rows of pupils, and what belongs to them through these rows. Return how many."""
    children = _children(store, landing)
    touched = (landing, *(child for child, _ in children))
    before = sum(store.count(one, round_) for one in touched)
    links = {link.there: _links(store, landing, link.there, round_) for _, link in children}
    _delete_by(store, landing, owner.column, round_, gone)
    for child, link in children:
        # One incident may have more pupils than those who are gone.
        ended = links[link.there] - _links(store, landing, link.there, round_)
        _delete_by(store, child, link.column, round_, sorted(ended))
    removed = before - sum(store.count(one, round_) for one in touched)
    if removed:
        for endpoint in sorted({one.endpoint for one in touched}):
            _adjust(store, Round(round_.estab, endpoint, round_.window))
    return removed


def _delete_by(store: LandingStore, landing: Landing, column: str, round_: Round, values: Sequence[str]) -> None:
    sql = store.sql("delete_owned", landing, owner=store.names.column(column))
    store.connection.execute_many(sql, [[round_.estab, round_.window, value] for value in values])
    if values and not _links(store, landing, column, round_).isdisjoint(values):
        raise left_behind(store.names.table(landing.name), ABOUT_PUPILS.format(estab=round_.estab))


def _links(store: LandingStore, landing: Landing, column: str, round_: Round) -> set[str]:
    """Return what ties rows of other tables to the rows of a table, of one school and window."""
    sql = store.sql("owned_links", landing, column=store.names.column(column))
    return {str(row[0]).strip(" ") for row in store.connection.query(sql, [round_.estab, round_.window])}


def _children(store: LandingStore, landing: Landing) -> list[tuple[Landing, Owner]]:
    """Return the tables whose rows belong to a pupil through a row of this one: of its endpoint, or of another."""
    return [
        (one, owner)
        for one in store.existing()
        if (owner := one.table.owner) is not None
        and (owner.endpoint or one.endpoint) == landing.endpoint
        and owner.table == landing.table.name
        and owner.column in one.columns
    ]


def _adjust(store: LandingStore, round_: Round) -> None:
    """Bring the state's count of rows up to date."""
    total = sum(store.count(landing, round_) for landing in store.existing() if landing.endpoint == round_.endpoint)
    store.connection.execute(store.sql("adjust_sync"), [total, *round_.key.values()])
