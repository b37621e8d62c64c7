"""The exit code of each error, and the one that stands for several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline import errors
from api_pipeline.errors import PipelineError, first_exit_code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.PipelineError, 1),
        (errors.SettingsError, 2),
        (errors.DatabaseError, 3),
        (errors.AuthenticationRefused, 4),
        (errors.ServiceUnavailable, 5),
        (errors.ReceiverDeclined, 6),
        (errors.AlreadyRunning, 75),
        (errors.Interrupted, 130),
    ],
)
def test_every_error_has_the_exit_code_of_the_contract(kind: type[PipelineError], code: int) -> None:
    assert kind("what happened").exit_code == code


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 1], 1),
        ([1, 5], 5),
        ([5, 4], 4),
        ([4, 3, 5], 3),
        ([3, 75], 75),
        ([75, 2], 2),
        ([1, 2, 3, 4, 5, 75, 130], 130),
        ([1, 5, 6], 6),
        ([6, 4], 4),
        ([99], 1),
    ],
)
def test_gravest_of_several_exit_codes_counts(codes: list[int], code: int) -> None:
    assert first_exit_code(codes) == code


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 75, 130]), min_size=1))
def test_one_of_several_exit_codes_counts_and_success_only_alone(codes: list[int]) -> None:
    code = first_exit_code(iter(codes))
    assert code in codes
    assert bool(code) is any(codes)
