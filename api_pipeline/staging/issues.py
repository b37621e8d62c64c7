"""What was decided about values that the specification cannot take: counted and listed, never quoted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from api_pipeline.staging.fields import BY_PATH, Explained

ElementPath: TypeAlias = "tuple[str, ...]"


class IssueRule(Explained):
    """The rules that an issue can name: what was found, and what was done."""

    LA_CHILD_ID_ILL_FORMED = (
        "la_child_id_ill_formed",
        "The person id is longer than 20 characters or holds more than letters and digits: the record is held back.",
    )
    ID_ILL_FORMED = (
        "id_ill_formed",
        "An id is empty, too long or holds more than letters, digits, _ and -: the record is held back.",
    )
    BIRTH_DATES_MISSING = (
        "birth_dates_missing",
        "There is neither a date of birth nor an expected one: the person is not in the cohort.",
    )
    EXPECTED_BIRTH_OUTSIDE_WINDOW = (
        "expected_birth_outside_window",
        "There is no date of birth, and the expected one is outside the window (an estimate, perhaps): the person "
        "is not in the cohort.",
    )
    EXPECTED_BIRTH_PASSED = (
        "expected_birth_passed",
        "There is no date of birth, and the expected one has passed: the expected date is sent.",
    )
    UPN_NOT_13 = ("upn_not_13", "A pupil number does not have 13 characters: it is left out.")
    CODE_NOT_LISTED = ("code_not_listed", "A value is not in its code list: it is left out (the sex is sent as U).")
    DISABILITY_NONE_NOT_ALONE = (
        "disability_none_not_alone",
        "The disability NONE stands beside others: NONE is left out.",
    )
    POSTCODE_TOO_LONG = ("postcode_too_long", "A postcode has more than 8 characters: it is left out.")
    TEXT_NOT_UNICODE = ("text_not_unicode", "A text holds half a character (a lone surrogate): it is left out.")
    SCORE_NOT_INTEGER = ("score_not_integer", "The score of an SDQ is not a whole number: the SDQ is left out.")
    FLAG_NOT_RECOGNISED = ("flag_not_recognised", "A flag is neither yes nor no: it is left out.")
    FACTORS_UNREADABLE = (
        "factors_unreadable",
        "The factors of an assessment cannot be read as JSON: they are left out.",
    )
    FACTOR_21_NOT_ALONE = ("factor_21_not_alone", "The factor 21 (none) stands beside others: 21 is left out.")
    FACTORS_OVER_41 = ("factors_over_41", "An assessment has more than 41 factors: the first 41 are sent.")
    OUTCOME_UNREADABLE = (
        "outcome_unreadable",
        "The outcome of a section 47 enquiry cannot be read as JSON: whether a conference is required is left out.",
    )
    PLACEMENT_ENDS_BEFORE_START = (
        "placement_ends_before_start",
        "A placement ends before its start: its end date and end reason are left out.",
    )


@dataclass(frozen=True, slots=True)
class Issue:
    """One decision about one value: the rule, whose record, which field of the payload, and where in the SSD.

    `where` is a table and the key of its row, or the table alone where the key is what is wrong. No value.
    """

    rule: IssueRule
    person_id: str
    field: str
    where: str


@dataclass(slots=True)
class Notes:
    """What is recorded while a person's payload is built.

    `outside` are the elements that exist in the SSD and are outside the window, each as a path of names and ids:
    `("social_care_episodes", "R1", "child_in_need_plans", "P1")`. `is_withheld` once the record cannot be sent.
    """

    person_id: str
    issues: list[Issue] = field(default_factory=list)
    outside: list[ElementPath] = field(default_factory=list)
    is_withheld: bool = False

    def note(self, rule: IssueRule, field_path: str, key: str, *, table: str = "") -> None:
        """Record a decision about a value of the row with this key; `table` is its table if not the field's."""
        where = f"{table or BY_PATH[field_path].table} {key}"
        self.issues.append(Issue(rule, self.person_id, field_path, where))

    def withhold(self, rule: IssueRule, field_path: str) -> None:
        """Record that the record has to be held back, for an id that cannot be sent and must not be cut."""
        self.issues.append(Issue(rule, self.person_id, field_path, BY_PATH[field_path].table))
        self.is_withheld = True
