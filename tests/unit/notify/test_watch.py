"""A run is notified as it ended, however that was."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.notify.job import RUN
from api_pipeline.notify.sending import Route
from api_pipeline.notify.watch import Watched, watched
from api_pipeline.settings.notify import NotifySettings


@pytest.mark.parametrize(
    ("ended_by", "code"), [(SystemExit(130), 130), (DatabaseError("away"), 3), (ZeroDivisionError(), 1)]
)
def test_run_that_comes_to_no_result_is_told_by_what_ended_it(
    ended_by: BaseException, code: int, tmp_path: Path
) -> None:
    file = tmp_path / "csc.prom"
    run = Watched(RUN, "run-1", "a_table", NotifySettings(), file, Route(None, "", "basic", "x"), is_testing=False)
    with pytest.raises(type(ended_by)), watched(run):
        raise ended_by
    text = file.read_text(encoding="utf-8")
    assert f'csc_api_run_exit_code{{table="a_table",mode="live"}} {code}\n' in text
    assert "last_success" not in text
