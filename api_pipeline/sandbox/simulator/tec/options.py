"""How a simulated TEC is set up (`TecOptions`), and what may be changed while it runs (`TecConditions`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from api_pipeline.sandbox.simulator.options import CommonConditions

CLIENT_ID = "invented-machine-account"
CLIENT_SECRET = "invented-machine-secret"  # noqa: S105 - invented, known to the simulator alone
SCOPE = "https://invented-scope.invalid"
EID = "9999"
BASE_PATH = "/submissions/v1.0"
TOKEN_PATH = "/oauth2/access_token"  # noqa: S105 - a path


class PutAnswer(str, Enum):
    """How an upload is answered: every record echoed, those with errors alone, an empty object, or nothing at all."""

    ECHO = "echo"
    ERRORS = "errors"
    EMPTY = "empty"
    NOTHING = "nothing"


class UnknownDelete(str, Enum):
    """What comes of a delete of what is not there: nothing, an error in the answer, or a 400 for the batch."""

    OK = "ok"
    ERRORS = "errors"
    REFUSED = "refused"


class BlockedAnswer(str, Enum):
    """How a request is answered that a validation blocks."""

    DS = "ds"
    CONFLICT = "conflict"
    BAD_REQUEST = "bad_request"


@dataclass(frozen=True, slots=True)
class SimulatedReturn:
    """A return period. `opens` and `closes` bound its window."""

    return_id: int
    year: int
    month: int
    opens: datetime
    closes: datetime
    indicative: bool = False


@dataclass(frozen=True, slots=True)
class TecConditions(CommonConditions):
    """What holds until it is changed, beside what `CommonConditions` says.

    `batch_limit` and `limit_names` are the limit that a token tells and how it is called; `taken_limit` is the one that
    holds (None: the same). `keeps_data` is whether uploads survive another token, `same_token` whether a token that
    lives is given again. `token_uses` is after how many requests with records a token is gone (None: never),
    `token_lifetime_s` how long it lives. `bad` are marks: a record that holds one anywhere breaks the schema
    (`names_culprit`: the answer says which); `refused` likewise, but in a 200 and by themselves. `status_words` are
    given while a validation runs, one a poll, and `verdict` after it ("": by the rules). `first_pass_only` and
    `bare_findings` shape the findings. `gzip` is whether compressed bodies are read. `esl_status` answers a bad token,
    which is looked for in `auth_header`.
    """

    batch_limit: int = 1000
    limit_names: tuple[str, ...] = ("maxRecordPerBatch",)
    taken_limit: int | None = None
    keeps_data: bool = True
    same_token: bool = True
    token_uses: int | None = None
    token_lifetime_s: float = 3600.0
    put_answer: PutAnswer = PutAnswer.ECHO
    unknown_delete: UnknownDelete = UnknownDelete.OK
    blocked: BlockedAnswer = BlockedAnswer.DS
    bad: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    names_culprit: bool = False
    code_in_list: bool = False
    page_base: int = 1
    page_size: int = 50
    separate_results: bool = True
    status_words: tuple[str, ...] = ("Queued", "InProgress")
    verdict: str = ""
    first_pass_only: bool = False
    bare_findings: bool = False
    gzip: bool = True
    esl_status: int = 401
    auth_header: str = "authorization"
    is_registered: bool = True
    declines: str = ""


@dataclass(frozen=True, slots=True)
class TecOptions:
    """What a simulated TEC is made with. `returns` are its periods; empty: those of the year of `now`."""

    client_id: str = CLIENT_ID
    client_secret: str = field(default=CLIENT_SECRET, repr=False)
    scope: str = SCOPE
    eid: str = EID
    esl_lifetime_s: float = 3600.0
    tells_lifetime: bool = False
    returns: tuple[SimulatedReturn, ...] = ()
    keep_records: bool = True
    conditions: TecConditions = TecConditions()


def usual_returns(now: datetime) -> tuple[SimulatedReturn, ...]:
    """Return the four periods of a year, all of them open: March (indicative), April, August, December."""
    opens, closes = now - timedelta(days=60), now + timedelta(days=300)
    return tuple(
        SimulatedReturn(now.year * 100 + month, now.year, month, opens, closes, indicative=month == 3)
        for month in (3, 4, 8, 12)
    )
