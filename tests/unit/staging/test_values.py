"""What drivers give for a column becomes the same on every database."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.staging.rows import CinEpisode
from api_pipeline.staging.tables import CIN_EPISODE, PERSON, SDQ_SCORE
from api_pipeline.staging.values import typed_rows

MOMENT = datetime(2026, 5, 1, 13, 30)  # noqa: DTZ001 - the SSD's dates have no zone
MIDNIGHT = datetime(2026, 5, 1)  # noqa: DTZ001 - as above


def referral(referral_id: Any = "R1", day: Any = None, other: Any = None) -> CinEpisode:
    row: CinEpisode = typed_rows(CIN_EPISODE, [(referral_id, "1", day, "1A", None, None, other)])[0]
    return row


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (MOMENT, MOMENT),
        (MOMENT.replace(tzinfo=timezone.utc), MOMENT),
        (date(2026, 5, 1), MIDNIGHT),
        ("2026-05-01", MIDNIGHT),
        ("2026-05-01 13:30:00", MOMENT),
        ("2026-05-01T13:30:00.000", MOMENT),
        ("2026-05-01 13:30:00+00:00", MOMENT),
        ("2026-05-01T13:30:00Z", MOMENT),
        ("2026-05-01 13:30:00.0000000 +01:00", MOMENT),
        # A moment after midnight is not midnight, at which the window ends.
        ("2026-05-01 00:00:00.0030000 +01:00", MIDNIGHT.replace(microsecond=3000)),
        ("2026-05-01 13:30:00+01", MOMENT),
        ("2026-05-01 13:30 +0100", MOMENT),
        (" 2026-05-01 ", MIDNIGHT),
        ("", None),
        (" ", None),
        (None, None),
    ],
)
def test_a_date_is_a_moment_without_a_zone(given: Any, wanted: datetime | None) -> None:
    assert referral(day=given).referral_date == wanted
    assert referral(day=given, other=MOMENT).close_date == MOMENT


@pytest.mark.parametrize("given", ["yesterday", "01/05/2026", 7.5])
def test_something_that_is_no_date_names_its_column_and_row_and_not_its_value(given: Any) -> None:
    with pytest.raises(DatabaseError, match=r"cine_referral_date .* with the id R1;") as refused:
        referral(day=given)
    assert str(given) not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("R1 ", "R1 "), (7, "7"), (Decimal("7"), "7"), (7.0, "7"), (b"R1", "R1"), (Decimal("7.5"), "7.5"), (None, "")],
)
def test_an_id_is_a_text_whatever_the_type_of_its_column(given: Any, wanted: str) -> None:
    assert referral(given).referral_id == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (11, 11),
        ("11", "11"),
        (" x", " x"),
        (Decimal("11"), "11"),
        (11.5, "11.5"),
        (None, None),
        (float("inf"), "inf"),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_a_score_is_a_number_or_a_text(given: Any, wanted: str | int | None) -> None:
    assert typed_rows(SDQ_SCORE, [("S1", "1", MOMENT, given)])[0].sdq_score == wanted


def test_no_rows_are_no_rows() -> None:
    assert typed_rows(PERSON, []) == []
