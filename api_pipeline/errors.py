"""Every error that ends a command, each with the exit code of contract 5.

PipelineError
├── SettingsError          2    a setting is missing, wrong or contradicts another
├── DatabaseError          3    the database cannot be reached or used
├── AuthenticationRefused  4    the token service or the receiver does not accept the credentials
├── ServiceUnavailable     5    the token service or the receiver cannot be reached or keeps failing
├── ReceiverDeclined       6    TEC SDR alone: TEC will not take the return now (period, stop gate)
├── AlreadyRunning        75    another run holds the table
└── Interrupted          130    a signal asked the run to stop

The text of each is one sentence for the operator: what happened, to what, and what to do next. It never
holds a secret or a child's data.
"""

from __future__ import annotations

from collections.abc import Iterable


class PipelineError(Exception):
    """An error with a sentence for the operator and an exit code for the scheduler."""

    exit_code = 1


class SettingsError(PipelineError):
    """A setting is missing, has an unknown value or contradicts another; nothing was opened."""

    exit_code = 2


class DatabaseError(PipelineError):
    """The database cannot be reached or used."""

    exit_code = 3


class AuthenticationRefused(PipelineError):
    """The token service or the receiver does not accept the credentials, key, scope or LA code."""

    exit_code = 4


class ServiceUnavailable(PipelineError):
    """The token service or the receiver cannot be reached or keeps failing."""

    exit_code = 5


class ReceiverDeclined(PipelineError):
    """TEC will not take the return now: the period is closed, not open, unknown, or a stop gate holds it.

    `code` and `reason` are the receiver's own, for the database; the sentence does not quote the reason.
    """

    exit_code = 6
    code = ""
    reason = ""


class AlreadyRunning(PipelineError):
    """Another run holds the table (and shard)."""

    exit_code = 75


class Interrupted(PipelineError):
    """A signal asked the run to stop."""

    exit_code = 130


# Of several exit codes the first that applies (contract 5); 2 and 75 end a command before there are others.
# A receiver that declined (6) needs a person, where one that is away (5) may be back by the next run.
_PRECEDENCE = (130, 2, 75, 3, 4, 6, 5, 1)


def reason_of(error: BaseException | None) -> str:
    """Return why the system refused something, in its own words (`No space left on device`), else the error's kind."""
    reason = getattr(error, "strerror", None)
    return reason if reason and isinstance(reason, str) else type(error).__name__


def first_exit_code(codes: Iterable[int]) -> int:
    """Return the one exit code that stands for several, 0 for none."""
    found = {code for code in codes if code}
    return next((code for code in _PRECEDENCE if code in found), 1 if found else 0)
