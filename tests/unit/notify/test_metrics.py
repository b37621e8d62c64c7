"""The text of the metrics, as Prometheus' own parser reads it."""

from __future__ import annotations

import importlib
from datetime import datetime
from typing import Any

import pytest

from api_pipeline import __version__
from api_pipeline.notify.ending import Ending
from api_pipeline.notify.metrics import metrics_text
from tests.support.databases import missing

BEGAN, ENDED = datetime.fromisoformat("2026-01-31 02:00:00"), datetime.fromisoformat("2026-01-31 02:01:05")
END_S = 1769824865.0
COUNTS = {"due": 9, "accepted": 5, "deleted": 2, "unchanged": 1, "rejected": 0, "refused": 1, "undelivered": 2}
LIVE = '{table="ssd_api_data_staging",mode="live"}'
GOOD = Ending("run-1", "ssd_api_data_staging", "live", 0, BEGAN, ENDED, {**COUNTS, "not_tried": 0, "requests": 4})


def parsed(text: str) -> list[Any]:
    """Return the families of samples."""
    try:
        parser = importlib.import_module("prometheus_client.parser")
    except ImportError:
        missing("prometheus-client is not installed")
    return list(parser.text_string_to_metric_families(text))


def samples(ending: Ending, oldest: float | None = None, last_success: float | None = None) -> dict[str, float]:
    """Return each sample by its name, with the outcome behind it where it has one."""
    read: dict[str, float] = {}
    earlier = {} if last_success is None else {LIVE: last_success}
    for family in parsed(metrics_text(ending, oldest, earlier)):
        assert family.type == "gauge"
        for sample in family.samples:
            outcome = sample.labels.get("outcome")
            read[sample.name.removeprefix("csc_api_") + (f":{outcome}" if outcome else "")] = sample.value
    return read


def test_each_row_counts_once_among_the_outcomes() -> None:
    read = samples(GOOD)
    outcomes = {name.partition(":")[2]: value for name, value in read.items() if ":" in name}
    assert (outcomes["accepted"], outcomes["deleted"]) == (3.0, 2.0)
    assert sum(outcomes.values()) == read["run_due"] == 9.0
    assert read["run_requests"] == 4.0


def test_times_are_seconds_of_utc() -> None:
    read = samples(GOOD)
    assert (read["run_start_timestamp_seconds"], read["run_end_timestamp_seconds"]) == (END_S - 65, END_S)


@pytest.mark.parametrize(
    ("code", "before", "told"), [(0, None, END_S), (0, 5.0, END_S), (1, 5.0, 5.0), (75, 5.0, 5.0), (1, None, None)]
)
def test_last_success_is_this_run_only_where_it_went_well(code: int, before: float | None, told: float | None) -> None:
    read = samples(GOOD._replace(exit_code=code), last_success=before)
    assert read.get("last_success_timestamp_seconds") == told
    assert read["run_exit_code"] == code


@pytest.mark.parametrize("age", [None, 0.0, 86_400.5])
def test_age_of_the_oldest_row_is_told_where_it_is_known(age: float | None) -> None:
    assert samples(GOOD, age).get("oldest_due_age_seconds") == age


def test_run_that_could_not_begin_has_no_counts() -> None:
    read = samples(GOOD._replace(exit_code=3, counts={}))
    assert set(read) == {"info", "run_start_timestamp_seconds", "run_end_timestamp_seconds", "run_exit_code"}


def test_labels_survive_every_sign_of_a_table_name() -> None:
    name = 'a "quoted" \\ name\nof two lines'
    text = metrics_text(GOOD._replace(table=name), None, {})
    read = [sample for family in parsed(text) for sample in family.samples]
    assert {sample.labels["table"] for sample in read} == {name}
    assert read[0].labels == {"table": name, "mode": "live", "version": __version__}
