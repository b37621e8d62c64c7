"""Ids of pages, by which reading goes on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from api_pipeline.db import check_ids_grow, check_ids_whole
from api_pipeline.errors import DatabaseError


@pytest.mark.parametrize(("ids", "after"), [([], 3), ([-5, 0, 2**63 - 1], None), ([4, 4, 9], 3), ([-1], -(2**63))])
def test_ids_that_grow_are_taken(ids: list[int], after: int | None) -> None:
    check_ids_grow("a_table", ids, after)


@pytest.mark.parametrize(("ids", "after"), [([2, 1], None), ([3], 3), ([1, 2], 2), ([0, -1], -5)])
def test_ids_that_do_not_grow_are_refused_with_their_table(ids: list[int], after: int | None) -> None:
    with pytest.raises(DatabaseError, match="ids of a_table do not come in their order"):
        check_ids_grow("a_table", ids, after)


@pytest.mark.parametrize("ids", [[], [(5, "5"), (-(2**63), "-9223372036854775808")], [(5, "5   ")], [(5.0, "5.0e0")]])
def test_ids_that_the_driver_reads_as_the_database_says_are_taken(ids: list[tuple[object, object]]) -> None:
    check_ids_whole("a_table", ids)


def test_an_id_that_the_driver_cuts_is_refused_with_both_numbers() -> None:
    with pytest.raises(DatabaseError, match=r"rows of a_table .* reads 4294967301 as 5 "):
        check_ids_whole("a_table", [(1, "1"), (5, "4294967301")])


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_id_of_more_than_64_bits_is_refused(number: int) -> None:
    check_ids_whole("a_table", [(Decimal(2**63 - 1), "9223372036854775807"), (Decimal(5), "5"), (None, None)])
    with pytest.raises(DatabaseError, match=r"a_table has the id -?92233720368547758"):
        check_ids_whole("a_table", [(Decimal(5), "5"), (Decimal(number), str(number))])


@pytest.mark.parametrize("odd", ["x", 1.5, b"\x01", "1.5", ""])
def test_id_that_sqlite_keeps_as_something_else_is_refused(odd: object) -> None:
    refused = r"The table a_table has the id .*, which is not a whole number; give every"
    check_ids_whole("a_table", [("1", "1"), (2.0, "2.0")])
    with pytest.raises(DatabaseError, match=refused):
        check_ids_whole("a_table", [(1, "1"), (odd, str(odd))])
    assert check_ids_grow("a_table", ["1", 2.0, " 3 ", Decimal(4)], None) == 4
    with pytest.raises(DatabaseError, match=refused):
        check_ids_grow("a_table", [1, odd, 3], None)
