"""Commands that messages advise have the options of the call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.commands import hints


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    hints.remember(None, None)


@pytest.mark.parametrize(
    ("said", "as_called"),
    [
        (
            "make them with: d2i-csc-api deploy-schema --apply",
            "d2i-csc-api deploy-schema --table t --env-file e --apply",
        ),
        ("see api_response, or: d2i-csc-api status", "d2i-csc-api status --table t --env-file e"),
        ("(d2i-csc-api status shows the words)", "(d2i-csc-api status --table t --env-file e shows the words)"),
        ("see: d2i-csc-api test-endpoint", "d2i-csc-api test-endpoint --env-file e"),
        ("d2i-csc-api run --table other", "d2i-csc-api run --env-file e --table other"),
        ("d2i-csc-api schedule makes the task", "d2i-csc-api schedule --env-file e makes the task"),
        ("see: d2i-csc-api xporter schools remove", "d2i-csc-api --env-file e xporter schools remove"),
        ("d2i-csc-api config show.", "d2i-csc-api config show --env-file e."),
        ("d2i-csc-api --help", "d2i-csc-api --help"),
        ("d2i-csc-api/1.0 runs", "d2i-csc-api/1.0 runs"),
        ("d2i-csc-api run-smoke", "d2i-csc-api run-smoke"),
    ],
)
def test_advised_command_has_the_table_and_the_file_of_this_call(said: str, as_called: str) -> None:
    hints.remember(Path("e"), "t")
    assert hints.as_called(said).endswith(as_called)


def test_nothing_is_added_where_the_call_had_no_such_option() -> None:
    hints.remember(None, None)
    assert hints.as_called("d2i-csc-api status") == "d2i-csc-api status"


@pytest.mark.parametrize("path", ["my settings/live.env", "D&I/live.env", "a,b.env", "(1)#.env"])
def test_path_that_a_shell_would_take_apart_stands_in_quotes(path: str) -> None:
    hints.remember(Path(path), None)
    assert hints.as_called("d2i-csc-api status") == f'd2i-csc-api status --env-file "{path}"'
