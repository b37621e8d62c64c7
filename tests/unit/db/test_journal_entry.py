"""The entry of a run in its journal, written over a connection that is lost."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from api_pipeline.db import ConnectionLost, connect
from api_pipeline.db.journal_entry import write_entry


@pytest.mark.parametrize(("is_end", "tries"), [(False, 1), (True, 2)])
def test_lost_connection_is_opened_again_at_the_end_of_a_run_alone(tmp_path: Path, is_end: bool, tries: int) -> None:
    """The run lock hangs on the connection that a run begins with."""
    done = []

    def write() -> None:
        done.append(connection.openings)
        if len(done) == 1:
            raise ConnectionLost("away")

    with closing(connect(f"sqlite:///{tmp_path / 'council.db'}", create=True)) as connection:
        first = connection.openings
        error = write_entry(connection, write, is_end=is_end)

    assert done == [first, first + 1][:tries]
    assert isinstance(error, ConnectionLost) == (not is_end)
