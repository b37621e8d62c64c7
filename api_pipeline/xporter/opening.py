"""Put what a command of the wing works with together from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta

import requests

from api_pipeline.common.clock import utc_now
from api_pipeline.db import connect
from api_pipeline.db.retry import RetryBudget
from api_pipeline.errors import SettingsError
from api_pipeline.settings.credential_store import CredentialStore, school_entry
from api_pipeline.settings.model import Settings
from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.xporter.asking import Choice, choices
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.cohort import marks_of_children
from api_pipeline.xporter.collect import CollectOptions
from api_pipeline.xporter.collect.change_sets import check_endpoints
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.layout import Names
from api_pipeline.xporter.parts import Parts
from api_pipeline.xporter.status import Overview, overview
from api_pipeline.xporter.wire.access import Access
from api_pipeline.xporter.write_back.options import WriteBackOptions
from api_pipeline.xporter.write_back.settling import Waits

_TABLE_MAKER = "d2i-csc-api xporter deploy-schema --apply"
_BUSY_WAIT_S = 30.0


@dataclass(slots=True)
class StoredSecrets:
    """Secrets of schools: the credential store's first, else those of the settings. `on_secret` is called with each."""

    settings: Settings
    on_secret: Callable[[str], None]
    _seen: dict[str, str | None] = field(default_factory=dict)

    def get(self, estab: str) -> str | None:
        """Return a school's secret, None where there is none. The store is read once."""
        if estab not in self._seen:
            stored = CredentialStore().get(school_entry(estab))
            secret = stored or self.settings.xporter.school_secrets.get(estab)
            if secret:
                self.on_secret(secret)
            self._seen[estab] = secret
        return self._seen[estab]

    def estabs(self) -> Iterable[str]:
        """Return the schools whose secrets stand in environment or `.env` file."""
        return self.settings.xporter.school_secrets.keys()

    def forget(self, estab: str) -> bool:
        """Take a secret out of the credential store; return whether it was there and nowhere else."""
        self._seen[estab] = None
        if estab in self.settings.xporter.school_secrets:
            return False
        try:
            return CredentialStore().delete(school_entry(estab))
        except SettingsError:
            return False


@contextmanager
def open_landing(settings: Settings, run_id: str = "", *, create: bool = False) -> Iterator[LandingStore]:
    """Open the database and give its landing tables. Errors: DatabaseError, SettingsError."""
    connection = connect(settings.connection_string, create=create, busy_wait_s=_BUSY_WAIT_S, maker=_TABLE_MAKER)
    try:
        yield LandingStore(connection, Names(connection.dialect, settings.xporter.schema), run_id)
    finally:
        connection.close()


def chosen(settings: Settings, only: Iterable[str] = ()) -> tuple[Choice, ...]:
    """Return the endpoints that the settings choose, or of them those named. Errors: SettingsError."""
    configured = choices(settings.xporter.endpoints)
    names = {load_catalogue().endpoint(name).name for name in only}
    unknown = names - {choice.endpoint.name for choice in configured}
    if unknown:
        raise SettingsError(
            f"XPORTER_ENDPOINTS: expected {', '.join(sorted(unknown))} among them, because --endpoint names it."
        )
    # Who the council's children are is asked first, whatever else is.
    return tuple(choice for choice in configured if not names or choice.endpoint.name in names | {"Students"})


def access_of(
    settings: Settings,
    session: requests.Session,
    on_secret: Callable[[str], None],
    is_stopped: Callable[[], bool] = lambda: False,
) -> Access:
    """Return how the API is reached."""
    wing = settings.xporter
    return Access(
        session=session,
        base_url=wing.base_url,
        token_url=wing.token_url,
        relying_party=wing.relying_party,
        user_agent=settings.user_agent,
        timeouts=(settings.connect_timeout_s, wing.read_timeout_s),
        management_secret=wing.management_secret,
        max_attempts=settings.max_attempts,
        retry_max_wait_s=settings.retry_max_wait_s,
        min_gap_s=wing.min_gap_ms / 1000,
        ready_wait_s=wing.ready_wait_s,
        ready_poll_s=wing.ready_poll_s,
        page_size=wing.page_size,
        options_style=wing.options_style,
        paths=wing.paths,
        on_token=on_secret,
        is_stopped=is_stopped,
    )


def session_of(settings: Settings) -> requests.Session:
    """Return the HTTP session. Errors: SettingsError."""
    return make_session(transport_of(settings))


def transport_of(settings: Settings) -> TransportOptions:
    """Return the options of the HTTP session."""
    return TransportOptions(
        ca_bundle=str(settings.ca_bundle) if settings.ca_bundle else None,
        proxy_url=settings.proxy_url or None,
        proxy_auth=settings.proxy_auth,
        connections=settings.xporter.schools_at_once,
    )


def parts_of(settings: Settings, store: LandingStore, access: Access, on_secret: Callable[[str], None]) -> Parts:
    """Return what a run works with."""
    budget = RetryBudget(settings.db_retry_s, time.monotonic, time.sleep)
    return Parts(store, access, StoredSecrets(settings, on_secret), budget)


def cohort_of(settings: Settings, store: LandingStore) -> Set[str] | None:
    """Return by what the council's children are known, None where all pupils are landed.

    Errors: DatabaseError where the SSD is needed and cannot be read.
    """
    if settings.xporter.keep_unmatched:
        return None
    return marks_of_children(store.connection, settings.staging.ssd_schema)


def collect_options(settings: Settings, today: date, endpoints: tuple[Choice, ...]) -> CollectOptions:
    """Return the options of a collection that the settings give."""
    wing = settings.xporter
    return CollectOptions(
        today=today,
        choices=endpoints,
        only=frozenset(wing.schools),
        shard=settings.shard.part,
        weeks_back=wing.attendance_weeks_back,
        earliest=wing.attendance_from,
        schools_at_once=wing.schools_at_once,
        shrink_pause_s=wing.ready_poll_s,
        purges_revoked=wing.purges_revoked,
        revoked_grace=timedelta(days=wing.revoked_grace_days),
        keeps_unknown=wing.keeps_unknown,
        adds_columns=wing.adds_columns,
        change_sets=check_endpoints(chosen(settings), wing.change_sets, is_minimised=not wing.keep_unmatched),
        whole_every=timedelta(days=wing.full_every_days),
    )


def overview_of(settings: Settings, store: LandingStore) -> Overview:
    """Return the age of each school's data as of now. Errors: DatabaseError."""
    names = {choice.endpoint.name for choice in chosen(settings)}
    return overview(store, utc_now(), timedelta(hours=settings.xporter.stale_after_hours), names)


def write_back_options(settings: Settings) -> WriteBackOptions:
    """Return the options of a write-back that the settings give. Errors: SettingsError where nothing may be written."""
    wing = settings.xporter
    if not wing.write_back:
        raise SettingsError(
            "XPORTER_WRITE_BACK: expected what may be written into a school's system (attendance, lesson, conduct, "
            "detention), got nothing; nothing was sent."
        )
    return WriteBackOptions(
        kinds=frozenset(wing.write_back),
        only=frozenset(wing.schools),
        callback_url=wing.callback_url,
        waits=Waits(timedelta(minutes=wing.write_back_settle_min), timedelta(hours=wing.write_back_confirm_h)),
    )
