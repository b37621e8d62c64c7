"""Why a run stops: a signal or an error, each with its exit code. All threads of the run see it at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from api_pipeline.errors import DatabaseError, PipelineError
from api_pipeline.run_summary import RunSummary
from api_pipeline.transport.rate_limit import RateLimiter, Stopped

_LOG = logging.getLogger(__name__)


class StopToken:
    """The one stop token of a run. Once it is set, no request starts, and no sender waits for its turn any more.

    A signal sets the event `signal`. The reasons go into `summary`, which knows the exit code that follows.
    """

    def __init__(self, signal: threading.Event, limiter: RateLimiter, summary: RunSummary) -> None:
        self._signal = signal
        self._limiter = limiter
        self._summary = summary
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        """Return whether the run stops; a signal is obeyed as soon as this is looked at."""
        self.obey_signal()
        return self._limiter.is_stopped

    def set(self, reason: PipelineError | None = None) -> None:
        """Stop the run because of an error, or because it has come to its end."""
        # At once: no sender may begin another request before the reason is recorded.
        self._limiter.stop()
        if reason is not None:
            with self._lock:
                self._record(reason)

    def obey_signal(self) -> None:
        """Stop the run where a signal has come."""
        if self._signal.is_set() and not self._summary.was_stopped:
            self._summary.was_stopped = True
            _LOG.warning("stopping: no new request, what is in flight is finished and written back")
            self._limiter.stop()

    def check(self) -> None:
        """Obey a signal. Errors: Stopped where the run stops."""
        if self.is_set:
            raise Stopped

    def set_if_it_fails(self, what: str, work: Callable[[], None]) -> None:
        """Do `work`, and stop the run because of an error that ends it; `what` says what the program does there."""
        try:
            work()
        except Stopped:
            pass
        except PipelineError as error:
            self.set(error)
        except Exception as fault:
            _LOG.debug("%s failed", what, exc_info=True)
            self.set(
                PipelineError(f"The program failed unexpectedly while {what} ({type(fault).__name__}); report it.")
            )

    def _record(self, error: PipelineError) -> None:
        known = self._summary.errors
        # Of one loss, the sentence that also names the file of receipts.
        known[:] = [one for one in known if not (type(one) is type(error) and str(error).startswith(str(one)))]
        # Reading and writing back lose the database each in its own way.
        if isinstance(error, DatabaseError) or all(type(one) is not type(error) for one in known):
            known.append(error)
