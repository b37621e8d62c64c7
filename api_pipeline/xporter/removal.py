"""Take a school out: its landed rows and its state, under the lock that a collection holds."""

from __future__ import annotations

from api_pipeline.common.clock import utc_now
from api_pipeline.db.run_lock import take
from api_pipeline.errors import SettingsError
from api_pipeline.xporter.consent import SchoolState, fingerprint
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.landing.removal import purge_school


def remove_school(store: LandingStore, estab: str, secret_in_settings: str | None) -> int:
    """Remove every landed row of a school; return how many. The proof of it stays in `xporter_school`.

    The fingerprint of the secret in the settings is kept, so that this secret does not bring the school back.
    Errors: SettingsError for a school that is not known, AlreadyRunning, DatabaseError.
    """
    store.check()
    lock = take(store.connection, store.names.table("xporter_sync"), None)
    try:
        if estab not in {str(row["estab"]).strip() for row in store.schools()}:
            raise SettingsError(
                f"School {estab} is not known here; list the schools with: d2i-csc-api xporter schools list"
            )
        version = fingerprint(secret_in_settings or "")
        return purge_school(store, estab, SchoolState.REMOVED.value, utc_now(), secret_version=version)
    finally:
        lock.release()
