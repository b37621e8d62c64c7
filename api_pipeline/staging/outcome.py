"""What a staging did, or would do: counts, who changed, and what was decided about values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from api_pipeline.staging.changes import Word
from api_pipeline.staging.guard import StagingRefused
from api_pipeline.staging.issues import Issue, IssueRule

OnChange = Callable[[str, Word], None]
OnIssue = Callable[[Issue], None]


@dataclass(slots=True)
class StageSummary:
    """The counts of one staging.

    `people` are in the SSD, `looked_at` of them were read so far, `cohort` of them are in, `withheld` of these cannot
    be sent. `words` counts rows (a child may have more than one in tables of earlier tools), `rehashed` those of the
    unchanged whose hash alone was renewed, and `kept` people who left the cohort and whose rows stay
    (DELETE_LEFT_WINDOW=false). `refusal` is why a staging would stop, where a dry run found that.
    """

    table: str
    is_dry_run: bool = False
    people: int = 0
    looked_at: int = 0
    cohort: int = 0
    withheld: int = 0
    rehashed: int = 0
    kept: int = 0
    seconds: float = 0.0
    words: Counter[Word] = field(default_factory=Counter)
    issues: Counter[IssueRule] = field(default_factory=Counter)
    refusal: StagingRefused | None = None


@dataclass(frozen=True, slots=True)
class StagingObservers:
    """What a staging calls: `change` for each row that changes (person id and word), `issue` for each decision about a
    value, `progress` with the summary as it grows.
    """

    change: OnChange = lambda _person, _word: None
    issue: OnIssue = lambda _issue: None
    progress: Callable[[StageSummary], None] = lambda _summary: None
