"""The commands whose runs are notified: how each is called, and what its counts and exit codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from api_pipeline.run_summary import LABELS

_MEANINGS: Mapping[int, str] = {
    0: "everything due was accepted, or nothing was due",
    1: "records are in error, or rows need a correction",
    2: "settings are missing or wrong",
    3: "the database could not be reached or used",
    4: "the credentials were refused",
    5: "the receiver could not be reached or kept failing",
    75: "another run was at work on the table",
    130: "the run was stopped by a signal",
}


class Job(NamedTuple):
    """One of these commands. `words` name it in a sentence, `place` is what it works on.

    `ping` is the setting of its check, `metrics` begins the names of its metrics. `labels` has its counts by name, in
    the order in which they are shown.
    """

    name: str
    words: str
    place: str
    ping: str
    metrics: str
    advice: str
    labels: Mapping[str, str]
    own_meanings: Mapping[int, str] = MappingProxyType({})

    def meaning(self, exit_code: int) -> str:
        """Return what an exit code means, in general words."""
        found = self.own_meanings.get(exit_code) or _MEANINGS.get(exit_code)
        return found or "the program failed unexpectedly"


RUN = Job(
    "run",
    "the run",
    "Table",
    "PING_URL",
    "csc_api",
    "d2i-csc-api status",
    {name: label.strip().capitalize() for name, label in LABELS.items()},
)
XPORTER_COLLECT = Job(
    "xporter collect",
    "xporter collect",
    "Schema",
    "XPORTER_PING_URL",
    "xporter_collect",
    "d2i-csc-api xporter status",
    {
        "schools": "Schools",
        "rounds": "Rounds",
        "added": "Rows added",
        "changed": "Rows changed",
        "deleted": "Rows deleted",
        "unchanged": "Rows unchanged",
        "left_out": "Rows about other pupils",
        "problems": "Problems",
        "requests": "Requests",
    },
    {
        0: "every round is complete",
        1: "a school or an endpoint needs a look",
        4: "every school refused",
        5: "the API could not be reached or kept failing",
        75: "another collection was at work",
        130: "the collection was stopped by a signal",
    },
)
XPORTER_WRITE_BACK = Job(
    "xporter write-back",
    "xporter write-back",
    "Schema",
    "XPORTER_WRITE_BACK_PING_URL",
    "xporter_write_back",
    "d2i-csc-api xporter status",
    {
        "schools": "Schools",
        "confirmed": "Rows confirmed",
        "submitted": "Rows sent and not read again yet",
        "refused": "Rows refused",
        "error": "Rows to look at",
        "unclear": "Rows without a clear answer",
        "waiting": "Rows waiting",
        "requests": "Requests",
    },
    {
        0: "nothing needs a look",
        1: "a row was refused or was not found",
        4: "every school refused",
        5: "the API could not be reached, or gave no clear answer",
        75: "another write-back was at work",
        130: "the write-back was stopped by a signal",
    },
)
_OF_TEC: Mapping[int, str] = {
    4: "the login was refused",
    5: "TEC could not be reached, kept failing or is still validating",
    6: "TEC declined the return",
    75: "another run or a validation was at work",
    130: "the command was stopped by a signal",
}
SDR_SUBMIT = Job(
    "sdr submit",
    "sdr submit",
    "Table",
    "SDR_PING_URL",
    "sdr_submit",
    "d2i-csc-api sdr status",
    {
        "accepted": "Accepted",
        "deleted": "Deleted",
        "refused": "Refused by TEC",
        "withheld": "Held back",
        "kept": "Deletions refused",
        "unchanged": "Unchanged",
        "requests": "Requests",
    },
    {**_OF_TEC, 0: "TEC holds everything", 1: "records were refused, or errors were found"},
)
SDR_VALIDATE = Job(
    "sdr validate",
    "sdr validate",
    "Table",
    "SDR_PING_URL",
    "sdr_validate",
    "d2i-csc-api sdr status",
    {"errors": "Errors", "warnings": "Warnings"},
    {**_OF_TEC, 0: "the return passed, or TEC was asked and validates", 1: "TEC found errors"},
)
