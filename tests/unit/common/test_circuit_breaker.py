"""The circuit breaker opens at so many failures in a row, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.common.circuit_breaker import CircuitBreaker


@given(st.integers(1, 4), st.lists(st.booleans()))
def test_breaker_opens_where_exactly_so_many_failed_in_a_row(most: int, failed: list[bool]) -> None:
    breaker = CircuitBreaker(most)
    opened = [breaker.count(failed=one) for one in failed]
    for place in range(len(failed)):
        series = failed[: place + 1]
        in_a_row = next((count for count, one in enumerate(reversed(series)) if not one), len(series))
        assert opened[place] == (in_a_row == most)
