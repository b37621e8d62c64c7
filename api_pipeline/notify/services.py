"""The runs of the three services that are notified, each described for `watch`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from api_pipeline.errors import AlreadyRunning, DatabaseError
from api_pipeline.notify.job import RUN, XPORTER_WRITE_BACK, Job
from api_pipeline.notify.sending import Route
from api_pipeline.notify.watch import RunWatch, Watched
from api_pipeline.settings.model import Settings
from api_pipeline.settings.safety import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from api_pipeline.sdr.settings import SdrExamined, SdrSettings
    from api_pipeline.settings.loading import Examined

_LOG = logging.getLogger(__name__)
_LOOKED_AT = 50


def of_run(settings: Settings, run_id: str, *, of_one_person: bool = False) -> Watched:
    """Return the nightly run. One `of_one_person` says nothing of the night: a check and the metrics are left alone."""
    return Watched(
        RUN,
        run_id,
        settings.table_name,
        settings.notify._replace(ping_url="") if of_one_person else settings.notify,
        None if of_one_person else settings.metrics_file,
        Route.of(settings),
        settings.testing_mode,
        lambda: _run_failed_before(settings, run_id),
        lambda: _oldest_due_age_s(settings),
        settings.shard.text,
    )


def of_xporter(settings: Settings, run_id: str, job: Job) -> Watched:
    """Return a collection, which has no testing mode, or a write-back, which writes to no school in it."""
    is_testing = job is XPORTER_WRITE_BACK and settings.testing_mode and not is_loopback(settings.xporter.base_url)
    return Watched(
        job,
        run_id,
        settings.xporter.schema,
        settings.notify,
        settings.metrics_file,
        Route.of(settings),
        is_testing,
        lambda: job is not XPORTER_WRITE_BACK and _collection_failed_before(settings, run_id),
        shard="" if job is XPORTER_WRITE_BACK else settings.shard.text,
    )


def of_sdr(settings: SdrSettings, run_id: str, job: Job, period: str, *, indicative: bool) -> Watched:
    """Return a submission or a validation of the return that the command line names."""
    return Watched(
        job,
        run_id,
        settings.table_name,
        settings.notify,
        settings.metrics_file,
        Route.of(settings),
        settings.testing_mode,
        lambda: _return_failed_before(settings, job, period, indicative=indicative),
    )


def tell_unusable(found: Examined, job: Job, run_id: str, exit_code: int) -> None:
    """Tell others that a run could not begin because of its settings, as far as those of notifications can be used.

    A settings file that others may have written names nobody: it is not trusted with where something is sent either.
    """
    if _is_trusted(found.file):
        run = of_run(found.settings, run_id) if job is RUN else of_xporter(found.settings, run_id, job)
        RunWatch(run).tell(exit_code)


def tell_unusable_return(found: SdrExamined, job: Job, run_id: str, period: str, exit_code: int) -> None:
    """Tell others that a command of `sdr` could not begin because of its settings, as `tell_unusable` does."""
    if _is_trusted(found.file):
        RunWatch(of_sdr(found.settings, run_id, job, period, indicative=False)).tell(exit_code)


def _is_trusted(file: Path | None) -> bool:
    from api_pipeline.settings.ownership import foreign_hands

    return file is None or not foreign_hands(file)


def _oldest_due_age_s(settings: Settings) -> float | None:
    """Return for how many seconds the oldest due row has waited: 0.0 where none waits, None where it is unknown."""
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.outbox.status import oldest_due

    try:
        with open_store(settings) as store:
            since = oldest_due(store)
    except DatabaseError as error:
        _LOG.warning("the age of the oldest due row is not known: %s", error)
        return None
    if since is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(since)
        # last_updated is the database server's local time, without a zone unless a council's own table keeps one.
        return max(0.0, (datetime.now(moment.tzinfo) - moment).total_seconds())
    except ValueError:
        return None


def _run_failed_before(settings: Settings, run_id: str) -> bool:
    """Return whether the last run before this one, of the same mode and shard, failed or was killed."""
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.outbox.status import past_runs

    mode = "testing" if settings.testing_mode else "live"
    own = settings.shard.text or None
    with open_store(settings) as store:
        earlier = past_runs(store, settings.table_name, _LOOKED_AT)
    for run in earlier:
        if run.run_id != run_id and (run.mode, run.shard) == (mode, own) and run.exit_code != AlreadyRunning.exit_code:
            return run.exit_code != 0
    return False


def _collection_failed_before(settings: Settings, run_id: str) -> bool:
    from api_pipeline.xporter.opening import open_landing
    from api_pipeline.xporter.status import exit_codes

    with open_landing(settings) as store:
        return _failed(code for name, code in exit_codes(store) if name != run_id)


def _return_failed_before(settings: SdrSettings, job: Job, period: str, *, indicative: bool) -> bool:
    from api_pipeline.assembly.sdr import store_alone
    from api_pipeline.sdr import periods
    from api_pipeline.sdr.statements import Scope

    with store_alone(settings) as (store, receiver):
        found = periods.find(period, store.periods(receiver), indicative=indicative)
        runs = store.runs(Scope(receiver, found.return_id), _LOOKED_AT)
    own = [run[-1] for run in runs if run[0] == job.name.rpartition(" ")[2]]
    # The first is the run that has just ended.
    return _failed(own[1:])


def _failed(exit_codes: Iterable[int | None]) -> bool:
    """Return whether the first of these, the newest first, is a failure or has no end."""
    codes = [code for code in exit_codes if code != AlreadyRunning.exit_code]
    return bool(codes) and codes[0] != 0
