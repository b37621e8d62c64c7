from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.api_response import read as stored
from api_pipeline.csc_api.answers import (
    Forbidden,
    Malformed,
    PermanentError,
    Receipts,
    TooLarge,
    Transient,
    Unauthorised,
    Unreadable,
    classify,
    parse_receipt,
)
from api_pipeline.logs.masking import mask_values

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=timezone.utc)
UUID = "0F8FAD5B-D9CB-469F-A165-70867728950E"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def read(status: int, body: str, records: int = 1, headers: dict[str, str] | None = None) -> object:
    return classify(status, headers or {}, body.encode(), records, NOW)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_list_of_receipts_is_read_in_order(status: int) -> None:
    answer = read(status, f'["2026-11-20_23:59:58.07_{UUID}.json", "2026-11-21_00:00:01.50_{OTHER}.json"]', 2)
    assert isinstance(answer, Receipts)
    assert [receipt.id for receipt in answer.receipts] == [UUID.lower(), OTHER]
    assert answer.receipts[0].received_at == datetime(2026, 11, 20, 23, 59, 58, 70000)  # noqa: DTZ001 - no zone is given


def test_the_same_as_whitespace_separated_text_is_accepted() -> None:
    answer = read(200, f"2026-11-20_23:59:58.07_{UUID}.json\n2026-11-21_00:00:01.5_{OTHER}.json ", 2)
    assert isinstance(answer, Receipts)
    assert [receipt.id for receipt in answer.receipts] == [UUID.lower(), OTHER]


def test_receipts_are_read_from_an_answer_of_seven_mib_of_blanks() -> None:
    blanks = " " * (7 << 19)
    answer = read(200, f'{blanks}["{UUID}",\n{blanks}"{OTHER}"]', 2)
    assert isinstance(answer, Receipts)
    assert [receipt.id for receipt in answer.receipts] == [UUID.lower(), OTHER]
    assert isinstance(read(200, f'["{UUID}", "{"x" * (1 << 20)}"]', 2), Unreadable)


def test_one_json_string_is_a_receipt_for_the_whole_batch_without_a_time() -> None:
    answer = read(200, f'"{UUID}"', 3)
    assert isinstance(answer, Receipts)
    assert [(receipt.id, receipt.received_at) for receipt in answer.receipts] == [(UUID.lower(), None)] * 3


@pytest.mark.parametrize("body", [f'"{UUID} {OTHER}"', f'[" {UUID}.json ", "{OTHER}\\n"]', f"\ufeff{UUID} {OTHER}"])
def test_blanks_around_receipts_are_none_of_theirs(body: str) -> None:
    answer = read(200, body, 2)
    assert isinstance(answer, Receipts)
    assert [receipt.id for receipt in answer.receipts] == [UUID.lower(), OTHER]


def test_answer_without_a_text_says_so() -> None:
    assert read(404, " \r\n ") == PermanentError(404, "HTTP 404 without a text")


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (f'["{UUID}"]', 2),
        (f'["{UUID}", "{OTHER}"]', 1),
        (UUID, 2),
        ("", 1),
        ("[]", 1),
        ("null", 1),
        ("{}", 1),
        ('["not a receipt"]', 1),
        ("<html>Please log in</html>", 1),
        (f'[["{UUID}"]]', 1),
        ("[1]", 1),
        (f'["{UUID}", "no receipt", "{OTHER}"]', 2),
        (f'["{UUID}", "{UUID}"]', 2),
        (f'"{UUID} {UUID}"', 2),
        (f'"{UUID} {OTHER}"', 4),
    ],
)
def test_accepting_status_needs_a_receipt_for_each_record(body: str, records: int) -> None:
    assert isinstance(read(200, body, records), Unreadable)


@pytest.mark.parametrize(("status", "body"), [(200, "[]"), (200, f'["{UUID}"]'), (203, f'["{UUID}"]'), (302, "")])
def test_our_own_reason_for_an_answer_counts_as_one_rule(status: int, body: str) -> None:
    answer = read(status, body, 2)
    assert isinstance(answer, (Unreadable, PermanentError))
    assert stored(answer.reason).by_rule == [answer.reason]


@pytest.mark.parametrize("status", [400, 422])
def test_only_the_first_index_of_a_path_names_a_record(status: int) -> None:
    body = '{"errors": ["[3].social_care_episodes[0].closure_date: too long", "[5].child_details: unknown member"]}'
    answer = read(status, body, 10)
    assert isinstance(answer, Malformed)
    assert set(answer.named) == {3, 5}
    assert answer.named[3] == f"HTTP {status}: [3].social_care_episodes[0].closure_date: too long"


@given(st.binary(max_size=200), st.integers(0, 5))
def test_no_accepting_body_can_break_the_reader(body: bytes, records: int) -> None:
    assert isinstance(classify(200, {}, body, 0, NOW), (Receipts, Unreadable))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorised),
        (403, Forbidden),
        (413, TooLarge),
        (203, Unreadable),
        (204, PermanentError),
        (206, Unreadable),
        (299, Unreadable),
        (300, PermanentError),
        (302, PermanentError),
        (404, PermanentError),
        (405, PermanentError),
    ]
    + [(407, PermanentError), (409, PermanentError), (415, PermanentError)]
    + [(code, Transient) for code in (408, 425, 429, 500, 501, 502, 503, 504, 599)],
)
def test_every_other_status_has_its_meaning(status: int, kind: type) -> None:
    assert isinstance(read(status, "text"), kind)


@pytest.mark.parametrize(
    ("body", "kind", "is_page"),
    [
        ("<html>Blocked</html>", "", True),
        ("Blocked", "Text/HTML; charset=utf-8", True),
        ('{"message": "Forbidden"}', "application/json", False),
    ],
)
def test_403_says_whether_it_is_a_web_page(body: str, kind: str, is_page: bool) -> None:
    answer = classify(403, {"content-type": kind}, body.encode(), 1, NOW)
    assert isinstance(answer, Forbidden)
    assert answer.is_page is is_page


@pytest.mark.parametrize(
    ("status", "body"), [(200, "hello"), (200, f'["{UUID}", "{UUID}"]'), (200, f"{UUID} {OTHER}"), (203, ""), (302, "")]
)
def test_our_own_reasons_stay_whole_where_values_are_masked(status: int, body: str) -> None:
    answer = read(status, body)
    assert isinstance(answer, (Unreadable, PermanentError))
    assert mask_values(answer.reason, '{"child_details": {"disabilities": ["NONE"]}}') == answer.reason


def test_a_redirect_is_never_followed_and_its_target_is_not_repeated() -> None:
    answer = read(302, "Moved to http://login.example/?token=abc")
    assert isinstance(answer, PermanentError)
    assert "example" not in answer.reason


@pytest.mark.parametrize(
    ("status", "may_have_arrived"), [(425, False), (429, False), (408, True), (500, True), (503, True)]
)
def test_only_an_answer_that_asks_to_come_later_says_that_nothing_arrived(status: int, may_have_arrived: bool) -> None:
    answer = read(status, "")
    assert isinstance(answer, Transient)
    assert answer.may_have_arrived is may_have_arrived


@pytest.mark.parametrize("status", [408, 429, 503])
def test_transient_error_carries_its_retry_after(status: int) -> None:
    answer = read(status, "", headers={"retry-after": "12"})
    assert isinstance(answer, Transient)
    assert answer.retry_after_s == 12.0


@pytest.mark.parametrize("text", ["", "x", f"{UUID}.txt", f"2026-13-01_10:00:00.00_{UUID}", "0f8fad5b"])
def test_what_is_no_receipt_is_not_read_as_one_or_gets_no_time(text: str) -> None:
    receipt = parse_receipt(text)
    assert receipt is None or receipt.received_at is None
