"""One run as others see it: a ping when it begins; messages, ping and metrics when it ends, however it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone

from api_pipeline.assembly import shard_of
from api_pipeline.config import Examined
from api_pipeline.errors import AlreadyRunning, DatabaseError, PipelineError
from api_pipeline.notify.channels import Delivery, deliver, messages, ping, warn
from api_pipeline.notify.ending import Ending, counts_of
from api_pipeline.notify.messages import plain_text
from api_pipeline.notify.sending import Route
from api_pipeline.run_summary import RunSummary
from api_pipeline.settings.model import Settings
from api_pipeline.settings.ownership import foreign_hands

_LOG = logging.getLogger(__name__)
_LOOKED_AT = 50
_UNFORESEEN = 1


class RunWatch:
    """What others are told of one run; `ended` takes its summary when it has one."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        self._settings = settings
        self._run_id = run_id
        # Nothing leaves this machine in testing mode (contract 2).
        self._notify = settings.notify.for_testing() if settings.testing_mode else settings.notify
        self._route = Route.of(settings)
        self._started_at = _now()
        self._summary: RunSummary | None = None
        self._start = Delivery(ping(self._notify, self._route, "start"))

    def ended(self, summary: RunSummary) -> None:
        """Keep the summary of the run for what is told of it."""
        self._summary = summary

    def tell(self, exit_code: int | None = None) -> None:
        """Tell those who are to be told, and write the metrics. `exit_code` is that of a run without a summary."""
        ending = self._ending(exit_code)
        if self._settings.metrics_file is not None:
            from api_pipeline.notify.metrics import oldest_due_age_s, write_metrics

            write_metrics(self._settings, ending, oldest_due_age_s(self._settings) if self._summary else None)
        if self._notify.when == "recovery" and ending.exit_code == 0:
            ending = replace(ending, is_recovery=_failed_before(self._settings, self._run_id))
        warn(self._start.wait())
        channels = messages(self._notify, self._route, ending) if self._is_worth_telling(ending) else []
        if ending.exit_code != AlreadyRunning.exit_code:
            # The run that is at work reports to the check by itself.
            channels += ping(self._notify, self._route, "fail" if ending.is_failure else "", plain_text(ending))
        deliver(channels)

    def _is_worth_telling(self, ending: Ending) -> bool:
        return self._notify.when == "always" or ending.is_failure or ending.is_recovery

    def _ending(self, exit_code: int | None) -> Ending:
        summary = self._summary
        counts: Mapping[str, int] = counts_of(summary) if summary else {}
        code = summary.exit_code if summary and exit_code is None else exit_code or 0
        mode = "testing" if self._settings.testing_mode else "live"
        return Ending(self._run_id, self._settings.table_name, mode, code, self._started_at, _now(), counts)


@contextmanager
def watched(settings: Settings, run_id: str) -> Iterator[RunWatch]:
    """Tell others of the run inside, however it ends. What it raises goes on its way."""
    watch = RunWatch(settings, run_id)
    try:
        yield watch
    except PipelineError as error:
        watch.tell(error.exit_code)
        raise
    except Exception:
        watch.tell(_UNFORESEEN)
        raise
    watch.tell()


def tell_unusable(found: Examined, run_id: str, exit_code: int) -> None:
    """Tell others that a run could not begin because of its settings, as far as those of notifications can be used.

    A settings file that others may have written names nobody: it is not trusted with where something is sent either.
    """
    if found.file is None or not foreign_hands(found.file):
        RunWatch(found.settings, run_id).tell(exit_code)


def _failed_before(settings: Settings, run_id: str) -> bool:
    """Return whether the last run before this one, of the same mode and shard, failed or was killed."""
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.outbox.status import past_runs

    mode = "testing" if settings.testing_mode else "live"
    shard = shard_of(settings)
    own = f"{shard[0]}/{shard[1]}" if shard else None
    try:
        with open_store(settings) as store:
            earlier = past_runs(store, settings.table_name, _LOOKED_AT)
    except DatabaseError as error:
        _LOG.warning("whether the run before this one failed is not known: %s", error)
        return False
    for run in earlier:
        if run.run_id != run_id and (run.mode, run.shard) == (mode, own) and run.exit_code != AlreadyRunning.exit_code:
            return run.exit_code != 0
    return False


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)
