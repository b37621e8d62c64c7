"""The words in which a run is described, on its own page and in the list of all nights. Pure."""

from __future__ import annotations

from datetime import datetime

from api_pipeline.outbox.status import PastRun

ABOUT = "children's social care records to the Department for Education"
GOOD, WARN, BAD = "good", "warn", "bad"
_ENDINGS = {
    2: (BAD, "The settings were wrong", "Correct them; nothing was sent."),
    3: (
        BAD,
        "The database could not be used",
        "Run d2i-csc-api test-db-connection, and tell the database administrator.",
    ),
    4: (BAD, "Authentication was refused", "Check credentials, supplier key, scope and LA code with DfE's portal."),
    5: (
        BAD,
        "The receiver could not be reached or kept failing",
        "The next run tries again what was not delivered; d2i-csc-api test-endpoint shows the way to the receiver.",
    ),
    75: (WARN, "Another run held the table", "Nothing was done; see that two schedules do not overlap."),
    130: (
        WARN,
        "The run was stopped by a signal",
        "The next run sends what was not tried; a resync has to be run again.",
    ),
}
_NO_END = (
    WARN,
    "This run has no end in the journal",
    "It is still at work, or it was killed; the next run finishes the job, and counts are known for ended runs only.",
)


def ending(run: PastRun) -> tuple[str, str, str]:
    """Return tone, heading and advice for the way a run ended (contract 5)."""
    if run.exit_code is None:
        return _NO_END
    if run.exit_code == 1:
        failed = (run.refused or 0) + (run.undelivered or 0)
        if not failed and run.message:
            return (
                WARN,
                "Rows stay behind that no run takes",
                "Correct them in the table; d2i-csc-api status shows them.",
            )
        if not failed:
            return (
                BAD,
                "The run failed unexpectedly",
                "Run again with --verbose --log-file, and report it.",
            )
        head = f"{failed:,} {'record is' if failed == 1 else 'records are'} in error"
        rest = "" if run.not_tried else " All else that was due went through."
        return WARN, head, f"The rules that they break are listed below, with the person ids.{rest}"
    if run.exit_code:
        return _ENDINGS.get(run.exit_code, (BAD, f"The run ended with exit code {run.exit_code}", "See its log."))
    if not run.due:
        return GOOD, "Nothing was due", "" if run.message else "Every row was sent before."
    if run.mode == "testing":
        return GOOD, "Every due record passed in testing mode", "A live run sends them."
    return GOOD, "Everything due was accepted", "Nothing needs to be done."


def footer(made_at: datetime) -> str:
    """Return what stands at the foot of every page about runs."""
    return (
        f"Made on {moment(made_at)} UTC. This page names children by their person id alone and holds nothing of their "
        "records; keep it as you keep such ids."
    )


def moment(moment: datetime) -> str:
    """Return a moment as a person reads it."""
    return f"{moment.day} {moment:%B %Y, %H:%M:%S}"


def day(at: datetime) -> str:
    """Return a day in few letters."""
    return f"{at.day} {at:%b %Y}"


def shown(count: int | None) -> str:
    """Return a count as it stands in a table: ? where the run has no end in the journal."""
    return "?" if count is None else f"{count:,}"


def took(run: PastRun) -> str:
    """Return how long a run took as it stands in a table."""
    return duration(run) if run.finished_at else shown(None)


def duration(run: PastRun) -> str:
    """Return how long a run took."""
    if run.finished_at is None:
        return "not recorded"
    seconds = (run.finished_at - run.started_at).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
