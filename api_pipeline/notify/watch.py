"""Notify others of one run: a ping when it begins; messages, a ping and metrics when it ends, however it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from api_pipeline.common.clock import Stopwatch
from api_pipeline.errors import AlreadyRunning, DatabaseError, PipelineError
from api_pipeline.notify.channels import MessagesUnderWay, messages, ping, warn
from api_pipeline.notify.ending import Ending
from api_pipeline.notify.job import Job
from api_pipeline.notify.messages import plain_text
from api_pipeline.notify.sending import Route
from api_pipeline.settings.notify import NotifySettings

_LOG = logging.getLogger(__name__)
_UNFORESEEN = 1


class Watched(NamedTuple):
    """A run of which others are notified, and who they are. `place` is the table or the schema that it works on.

    In testing mode nothing leaves this machine (contract 2). `shard` is I/N, "" for the whole table. `failed_before`
    says whether the run before this one failed, `oldest_due_age` for how many seconds the oldest due row has waited,
    None where that is not known.
    """

    job: Job
    run_id: str
    place: str
    notify: NotifySettings
    metrics_file: Path | None
    route: Route
    is_testing: bool
    failed_before: Callable[[], bool] = lambda: False
    oldest_due_age: Callable[[], float | None] = lambda: None
    shard: str = ""


class RunWatch:
    """What is notified of one run. `ended` takes its result as soon as that is known."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        notify = run.notify.pinging(run.job.ping)
        self._notify = notify.for_testing() if run.is_testing else notify
        self._stopwatch = Stopwatch()
        self._came_to: tuple[int, Mapping[str, int]] | None = None
        self._start = MessagesUnderWay(ping(self._notify, run.route, "start", setting=run.job.ping))

    def ended(self, exit_code: int, counts: Mapping[str, int]) -> None:
        """Keep the run's exit code and counts for its notification."""
        self._came_to = (exit_code, counts)

    def tell(self, exit_code: int | None = None) -> None:
        """Send the notifications and write the metrics. `exit_code` is that of a run without a result."""
        run = self._run
        ending = self._ending(exit_code)
        if run.metrics_file is not None:
            from api_pipeline.notify.metrics import write_metrics

            write_metrics(run.metrics_file, ending, run.oldest_due_age() if self._came_to else None)
        if self._notify.when == "recovery" and ending.exit_code == 0:
            ending = ending._replace(is_recovery=self._failed_before())
        warn(self._start.wait())
        channels = messages(self._notify, run.route, ending) if self._is_worth_telling(ending) else []
        if ending.exit_code != AlreadyRunning.exit_code:
            # The run that is at work reports to the check by itself.
            signal = "fail" if ending.is_failure else ""
            channels += ping(self._notify, run.route, signal, plain_text(ending), run.job.ping)
        warn(MessagesUnderWay(channels).wait())

    def _failed_before(self) -> bool:
        try:
            return self._run.failed_before()
        except DatabaseError as error:
            _LOG.warning("whether the run before this one failed is not known: %s", error)
            return False

    def _is_worth_telling(self, ending: Ending) -> bool:
        return self._notify.when == "always" or ending.is_failure or ending.is_recovery

    def _ending(self, exit_code: int | None) -> Ending:
        run = self._run
        code, counts = self._came_to or (0, {})
        code = code if exit_code is None else exit_code
        mode = "testing" if run.is_testing else "live"
        began, ended = self._stopwatch.started_at, self._stopwatch.now()
        return Ending(run.run_id, run.place, mode, code, began, ended, counts, job=run.job, shard=run.shard)


@contextmanager
def watched(run: Watched) -> Iterator[RunWatch]:
    """Notify others of the run inside the block, however it ends. Its exceptions are passed on."""
    watch = RunWatch(run)
    try:
        yield watch
    except PipelineError as error:
        watch.tell(error.exit_code)
        raise
    except SystemExit as end:
        # So a signal ends a command that has not begun its work yet.
        watch.tell(end.code if isinstance(end.code, int) else _UNFORESEEN)
        raise
    except Exception:
        watch.tell(_UNFORESEEN)
        raise
    watch.tell()
