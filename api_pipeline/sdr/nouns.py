"""The data types of the Single Data Return: collections, return periods, submission tokens, records, validations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum


class Collection(str, Enum):
    """The five kinds of record, in the order in which they are sent; deletes go backwards."""

    COURSES = "courses"
    LEARNERS = "learners"
    COURSE_ENROLMENTS = "course-enrolments"
    COURSE_COMPLETIONS = "course-completions"
    QUALIFICATION_COMPLETIONS = "qualification-completions"


# What TEC's validation calls the collections.
FILE_TYPES: Mapping[str, Collection] = {
    "course": Collection.COURSES,
    "learner": Collection.LEARNERS,
    "enrolment": Collection.COURSE_ENROLMENTS,
    "coursecompletion": Collection.COURSE_COMPLETIONS,
    "qualificationcompletion": Collection.QUALIFICATION_COMPLETIONS,
}

# What the indicative return of March is made of.
INDICATIVE = frozenset({Collection.COURSES, Collection.LEARNERS, Collection.COURSE_ENROLMENTS})


class State(str, Enum):
    """How a submission stands, in our words; `state_of` translates TEC's."""

    NONE = "none"
    OPEN = "open"
    VALIDATING = "validating"
    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SUBMITTED = "submitted"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    UNKNOWN = "unknown"


_STATES = {
    State.NONE: ("",),
    State.OPEN: ("accumulate", "pending"),
    State.VALIDATING: ("queued", "inprogress", "validating"),
    State.PASSED: ("processed", "validated"),
    State.FAILED: ("rejected",),
    State.BROKEN: ("failedtotransfer", "halted", "unknownerror", "submiterror", "rollback"),
    State.SUBMITTED: ("submitted",),
    State.CANCELLED: ("cancelled",),
    State.CLOSED: ("closed",),
}
_STATE_OF_WORD = {word: state for state, words in _STATES.items() for word in words}


def state_of(word: str) -> State:
    """Return our state for a word of TEC's, in any case of letters; UNKNOWN for a word that is not known."""
    return _STATE_OF_WORD.get(word.strip().lower(), State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ReturnPeriod:
    """One return that data may be submitted for. Times have a zone; None where TEC gives none."""

    return_id: int
    year: int | None
    month: int | None
    status: str = ""
    kind: str = ""
    opens: datetime | None = None
    closes: datetime | None = None

    @property
    def is_indicative(self) -> bool:
        """Return whether this is the indicative return of March."""
        return self.kind.strip().lower() == "indicative"

    @property
    def state(self) -> State:
        """Return TEC's word translated."""
        return state_of(self.status)

    def why_not_open(self, now: datetime) -> str:
        """Return why the period takes no data now, "" where it does, as far as TEC's list says."""
        if self.opens and now < self.opens:
            return f"is not open yet: its window opens {_day(self.opens)}"
        if self.closes and now > self.closes:
            return f"is closed: its window ended {_day(self.closes)}"
        if self.state is State.CLOSED:
            return "is closed"
        return "is submitted; changes need a Stop Gate request to TEC" if self.state is State.SUBMITTED else ""

    @property
    def name(self) -> str:
        """Return the period in words: id, year and month, and the kind where it is not the full return."""
        month = f", {self.year}-{self.month:02d}" if self.year and self.month else ""
        return f"{self.return_id}{month}{', indicative' if self.is_indicative else ''}"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%d %B %Y, %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class SubmissionToken:
    """What TEC gives for a period. The value stands in URLs and is a secret: never logged.

    `limit` is the most records in one request, None where TEC does not say. Times have a zone.
    """

    value: str
    return_id: int
    received: datetime
    expiry: datetime | None = None
    limit: int | None = None
    status: str = ""

    def __repr__(self) -> str:
        return f"SubmissionToken(return_id={self.return_id!r}, expiry={self.expiry!r}, limit={self.limit!r})"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as a request carries it: `body` is the staged one with its localId in front, or that of a delete.

    `row_id` is its row in the staging table and `digest` the SHA-256 of its canonical form, None for a delete: nobody
    stages that record any more. `is_held` is whether the baseline has the id.
    """

    local_id: str
    body: bytes
    row_id: int | None = None
    digest: bytes | None = None
    is_held: bool = True

    def __repr__(self) -> str:
        return f"Record(row_id={self.row_id}, local_id={self.local_id!r})"


@dataclass(frozen=True, slots=True)
class Validation:
    """How a validation stands: TEC's word and its counts, None where TEC gives none."""

    status: str
    received: str = ""
    errors: int | None = None
    warnings: int | None = None

    @property
    def state(self) -> State:
        """Return the word translated."""
        return state_of(self.status)


@dataclass(frozen=True, slots=True)
class TecFinding:
    """One result of a validation. `record_text` is personal data and is never logged.

    `collection` and `local_id` are None where TEC names none, or where the result was tied to no record.
    """

    number: int
    collection: Collection | None
    local_id: str | None
    code: str
    kind: str
    description: str
    student_id: str = ""
    course_code: str = ""
    record_text: str = ""

    @property
    def is_error(self) -> bool:
        """Return whether it blocks the submission, as a warning does not."""
        return self.kind.lower() == "error"

    def __repr__(self) -> str:
        return f"TecFinding(number={self.number}, code={self.code!r}, kind={self.kind!r})"


def errors_and_warnings(findings: Sequence[TecFinding]) -> tuple[int, int]:
    """Return how many findings block the submission, and how many do not."""
    errors = sum(one.is_error for one in findings)
    return errors, len(findings) - errors


class OnNewToken(str, Enum):
    """What another submission token for the same period means for what is held (facts 10)."""

    REUPLOAD = "reupload"
    CONTINUE = "continue"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a session behaves: what another token means, the most records in a request, and how long it waits (s)."""

    on_new_token: OnNewToken = OnNewToken.REUPLOAD
    batch_size: int = 1000
    wait_blocked_s: float = 600.0
    first_wait_s: float = 5.0
