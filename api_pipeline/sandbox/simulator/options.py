"""How a simulator is set up: what stays as it is (`Options`) and what may be changed while it runs (`Conditions`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

CLIENT_ID = "00000000-0000-4000-8000-00000000abcd"
CLIENT_SECRET = "invented-client-secret"  # noqa: S105 - invented, known to the simulator alone
SCOPE = "api://invented-receiver/.default"
SUPPLIER_KEY = "invented-supplier-key"
LA_CODE = "999"
BASE_PATH = "/children-in-social-care-data-receiver/1"
TOKEN_PATH = "/oauth2/v2.0/token"  # noqa: S105 - a path
MAX_RECORDS = 100


class Reading(str, Enum):
    """What the receiver is taken to do with what a record leaves out (specification 5)."""

    MERGE = "merge"
    REPLACE = "replace"


class ReceiptShape(str, Enum):
    """How an acceptance is answered. The first three are acceptances, the others nobody can read as one."""

    LIST = "list"
    TEXT = "text"
    SINGLE = "single"
    SHORT = "short"
    LONG = "long"
    EMPTY = "empty"
    LOGIN_PAGE = "login_page"
    MALFORMED = "malformed"


class RefusalForm(str, Enum):
    """How a 400 or 422 names its records: a JSON list, a JSON problem, lines of text, or not at all."""

    LIST = "list"
    PROBLEM = "problem"
    TEXT = "text"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Records that the receiver refuses although the schema accepts them.

    A record is meant when its `la_child_id` is in `ids`, its surname in `surnames`, or `contains` stands anywhere in
    it. `status` is 400, 422 or 403 (as a firewall answers: a page that names nothing). With `is_named` false the
    answer does not say which record it was.
    """

    ids: frozenset[str] = frozenset()
    surnames: frozenset[str] = frozenset()
    contains: str = ""
    status: int = 400
    is_named: bool = True
    message: str = "the record was refused"

    def __post_init__(self) -> None:
        if self.status not in (400, 403, 422):
            raise ValueError("status of a refusal must be 400, 403 or 422")


@dataclass(frozen=True, slots=True)
class CommonConditions:
    """What holds at any simulated service until it is changed.

    An answer leaves `latency_s` after its request came. `rate_limit` is in requests a second; more are answered 429
    with Retry-After, as a date if `retry_after_as_date`.
    """

    latency_s: float = 0.0
    rate_limit: float | None = None
    retry_after_as_date: bool = False

    def __post_init__(self) -> None:
        if self.latency_s < 0 or (self.rate_limit is not None and self.rate_limit <= 0):
            raise ValueError("latency_s must not be negative, and rate_limit must be above 0")


@dataclass(frozen=True, slots=True)
class Conditions(CommonConditions):
    """What holds at the Children's Social Care API until it is changed, beside what `CommonConditions` says.

    `firewall_markers` are texts, in any case of letters, that the firewall
    answers with 403. `accept_status` is 200, 201 or 202. `max_body_bytes` is None for no limit.
    """

    refuse_supplier_key: bool = False
    firewall_markers: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    reading: Reading = Reading.MERGE
    receipt_shape: ReceiptShape = ReceiptShape.LIST
    accept_status: int = 200
    refusal_form: RefusalForm = RefusalForm.LIST
    refusal_status: int = 400
    max_body_bytes: int | None = None

    def __post_init__(self) -> None:
        CommonConditions.__post_init__(self)
        if self.accept_status not in (200, 201, 202) or self.refusal_status not in (400, 422):
            raise ValueError("accept_status must be 200, 201 or 202, and refusal_status 400 or 422")


@dataclass(frozen=True, slots=True)
class Options:
    """What a simulator is made with.

    `la_codes` are the authorities it knows, each with children of its own; the first is meant where none is named.
    `token_lifetime_s` may be a fraction. Without `check_schema` only `la_child_id` is asked for. Without
    `keep_payloads` it keeps counts alone and its memory does not grow. `conditions` are those at first.
    """

    client_id: str = CLIENT_ID
    client_secret: str = field(default=CLIENT_SECRET, repr=False)
    scope: str = SCOPE
    supplier_key: str = field(default=SUPPLIER_KEY, repr=False)
    la_codes: tuple[str, ...] = (LA_CODE,)
    token_lifetime_s: float = 3600.0
    check_schema: bool = True
    keep_payloads: bool = True
    conditions: Conditions = Conditions()
