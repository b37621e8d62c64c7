"""A delete of one record: which answers count as gone, and which leave the record known, to be asked for again."""

from __future__ import annotations

import pytest

from api_pipeline.sandbox.simulator import Fault
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED


@EMBEDDED
@pytest.mark.parametrize(
    ("status", "body", "code", "knows"),
    [
        (200, "", 0, False),
        (200, '{"submissionToken": "t"}', 0, False),
        (200, '{"content": [{"localId": "s0", "errors": ["not found"]}]}', 0, False),
        (200, '{"content": [{"errors": ["not found"]}]}', 0, False),
        # Not a word about a record of the request: it may be a refusal of the whole.
        (200, '{"errors": ["not found"]}', 1, True),
        (200, '{"content": {"s0": ["not found"]}}', 1, True),
        (400, '{"title": "not found"}', 1, True),
        # Nothing is known of what TEC did.
        (204, "", 5, True),
        (200, "<html>login</html>", 5, True),
        (404, "", 2, True),
    ],
)
def test_lone_delete_is_done_by_an_answer_in_place_of_its_record(
    provider: Provider, status: int, body: str, code: int, knows: bool
) -> None:
    provider.submit_learners(2)
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = 's0'")
    provider.simulator.add_fault(Fault(target="records", status=status, body=body, times=None))
    assert provider.sdr("submit", PERIOD, "--allow-deletes", MAX_ATTEMPTS=1).code == code
    known = {str(row[0]) for row in provider.database.rows("SELECT local_id FROM sdr_held")}
    assert known == ({"s0", "s1"} if knows else {"s1"})
    provider.simulator.clear_faults()
    again = provider.sdr("submit", PERIOD, "--allow-deletes")
    assert again.code == 0
    assert ("1 deleted" in again.out) is knows
