"""What a run did, in numbers, and the exit code that follows from them (contract 5).

A count stands here once: as a field of `Counts`, with its label in `LABELS` or its sentence in `REMARKS`. Console, log,
JSON and the Python interface go through those; whoever counts sets the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api_pipeline.errors import PipelineError, first_exit_code

# The counts that every summary shows, in its order.
LABELS = {
    "due": "due",
    "accepted": "accepted",
    "deleted": "  of these deletions",
    "unchanged": "nothing to send",
    "rejected": "refused before sending",
    "refused": "refused by the receiver",
    "undelivered": "not delivered",
    "not_tried": "not tried",
    "requests": "requests",
}
# What a summary says besides, where there is any of it, in the words of `counted`.
REMARKS = {
    "purges": "{record|records} went in two steps, the first of them a purge",
    "nulls_removed": "null {member was|members were} taken out of payloads",
    "warnings": "{finding in a payload was only a warning|findings in payloads were only warnings} "
    "(see: d2i-csc-api validate)",
    "receipts_recovered": "{receipt of an earlier run was|receipts of an earlier run were} written back first",
    "receipts_spooled": "{receipt could not be written and is|receipts could not be written and are} kept in a file "
    "for the next run",
    "superseded": "older {row was|rows were} closed, because a newer row of the same person was accepted",
    "unknown_status": "{row has|rows have} a submission_status that is none of pending, error, testing, sent: no run "
    "takes {it|them}",
    "blank": "{row would be due but has|rows would be due but have} no payload: no run takes {it|them}",
    "log_lines_deleted": "{line|lines} of the submission log older than LOG_KEEP_DAYS {was|were} deleted",
    "held_without_row": (
        "{child has|children have} no row in the table any more, but {it is|they are} still held by the receiver, "
        "or may be"
    ),
}

# Names in JSON, where programs of others know a count by another one than the field's.
JSON_NAMES = {"rejected": "invalid", "refused": "rejected"}
# Those of them that somebody has to look into.
NOT_TAKEN = ("unknown_status", "blank", "held_without_row")
_MOST_EXAMPLES = 5


def counted(count: float, text: str, form: str = "") -> str:
    """Return a count and what is counted, in the singular where it is one: "{row was|rows were} read".

    `form` is how the count is written, "," with commas between thousands.
    """
    return f"{count:{form}} " + re.sub(r"{(.*?)\|(.*?)}", r"\1" if count == 1 else r"\2", text)


@dataclass(slots=True, kw_only=True)
class Counts:
    """The counts of one run, kept up to date while it lasts.

    Every due row ends in one of: `accepted` (of which `deleted` were deletions), `unchanged` (nothing to send),
    `rejected` (invalid, so not sent), `refused`, `undelivered`, or `not_tried`. `requests` counts POSTs.
    `examples` names, for a count, some of the people or words it is about. `was_limited` says that more rows are due
    than the run was allowed to take.
    """

    due: int = 0
    accepted: int = 0
    deleted: int = 0
    unchanged: int = 0
    rejected: int = 0
    refused: int = 0
    undelivered: int = 0
    purges: int = 0
    requests: int = 0
    nulls_removed: int = 0
    warnings: int = 0
    receipts_spooled: int = 0
    receipts_recovered: int = 0
    superseded: int = 0
    unknown_status: int = 0
    blank: int = 0
    held_without_row: int = 0
    log_lines_deleted: int = 0
    was_limited: bool = False
    examples: dict[str, list[str]] = field(default_factory=dict)

    def name(self, count: str, examples: Sequence[str]) -> None:
        """Add examples of what a count is about, up to the number that is shown."""
        if examples:
            self.examples[count] = [*self.examples.get(count, []), *examples][:_MOST_EXAMPLES]

    @property
    def decided(self) -> int:
        """Return how many due rows have their outcome."""
        return self.accepted + self.unchanged + self.rejected + self.refused + self.undelivered

    @property
    def not_tried(self) -> int:
        """Return how many due rows were left as they were."""
        return max(0, self.due - self.decided)

    @property
    def in_error(self) -> int:
        """Return how many rows this run marked `error`."""
        return self.rejected + self.refused + self.undelivered

    @property
    def by_json_name(self) -> dict[str, int]:
        """Return every count by its name in JSON."""
        return {JSON_NAMES.get(name, name): getattr(self, name) for name in (*LABELS, *REMARKS)}

    @property
    def remarks(self) -> list[str]:
        """Return the sentences of `REMARKS` that apply, each with its count and examples."""
        return self.remarks_on(REMARKS)

    def remarks_on(self, names: Iterable[str]) -> list[str]:
        """Return the sentences of some counts, where there is any of it, each with its count and examples."""
        found = []
        for name in names:
            if count := getattr(self, name):
                examples = self.examples.get(name)
                named = f" (for example {', '.join(examples)})" if examples else ""
                found.append(f"{counted(count, REMARKS[name])}{named}")
        return found


@dataclass(slots=True, kw_only=True)
class RunSummary(Counts):
    """One run: what it was, its counts, and what ended it.

    Times are UTC without a zone. `is_resync` says that rows were taken that no other run takes. `is_table_empty` says
    that the table has no row at all.
    """

    run_id: str
    table: str
    receiver: str
    is_testing: bool
    is_deltas: bool
    is_resync: bool = False
    started_at: datetime
    finished_at: datetime | None = None
    was_stopped: bool = False
    is_table_empty: bool = False
    errors: list[PipelineError] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Return how long the run took."""
        return ((self.finished_at or self.started_at) - self.started_at).total_seconds()

    @property
    def exit_code(self) -> int:
        """Return the exit code of contract 5."""
        codes = {error.exit_code for error in self.errors}
        if self.was_stopped:
            codes.add(130)
        if self.undelivered:
            codes.add(5)
        if self.in_error or self.unknown_status:
            codes.add(1)
        return first_exit_code(codes)
