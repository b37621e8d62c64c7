"""METRICS_FILE: the last run in Prometheus' text format, for the textfile collector of the node or Windows exporter."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeAlias

from api_pipeline._version import __version__
from api_pipeline.common.private_files import replace_file
from api_pipeline.errors import reason_of
from api_pipeline.notify.ending import Ending
from api_pipeline.notify.job import RUN, Job

_LOG = logging.getLogger(__name__)
# The exporter runs as another account, and the file holds counts and times alone.
_FILE_MODE = 0o644
_LAST_SUCCESS = "last_success_timestamp_seconds"
# Labels are a mapping, or a text that stands in an earlier file.
_Family: TypeAlias = "tuple[str, str, Sequence[tuple[Mapping[str, str] | str, float]]]"
_OUTCOMES = ("accepted", "deleted", "unchanged", "rejected", "refused", "undelivered", "not_tried")


def metrics_path(path: Path, job: Job, shard: str) -> Path:
    """Return the file of a job's metrics: METRICS_FILE itself for the nightly run, one beside it for each other.

    Each shard (I/N) has a file of its own as well: the last one to end would hide how the others ended.
    """
    of_job = "" if job is RUN else f"_{job.metrics}"
    of_shard = f"_shard_{shard.replace('/', '_of_')}" if shard else ""
    return path.with_name(f"{path.stem}{of_job}{of_shard}{path.suffix}")


def write_metrics(path: Path | None, ending: Ending, oldest_due_age: float | None) -> None:
    """Write the metrics of a run that has ended; one that cannot be written is a warning and no more."""
    if path is None:
        return
    try:
        path = metrics_path(path, ending.job, ending.shard)
        text = metrics_text(ending, oldest_due_age, _last_success(path, ending.job))
        replace_file(path, text, _FILE_MODE)
    except (OSError, ValueError) as error:  # ValueError: the root of a disk has no name
        _LOG.warning("the metrics could not be written to %s (%s); the run is not affected", path, reason_of(error))


def metrics_text(ending: Ending, oldest_due_age: float | None, last_success: Mapping[str, float]) -> str:
    """Return the metrics as text; `last_success` has the ends of the last good runs before this one, in seconds.

    They are by their labels, as the earlier file has them. Those of the other mode stay; its table may be another.
    """
    own, ended = ending.job.metrics, _seconds(ending.finished_at)
    of_table = {"table": ending.table} if ending.job is RUN else {}
    labels = {**of_table, **({"shard": ending.shard} if ending.shard else {}), "mode": ending.mode}
    this, of_mode = _labels(labels), f'mode="{ending.mode}"}}'
    good = {of: value for of, value in last_success.items() if of == this or not of.endswith(of_mode)}
    if ending.exit_code == 0:
        good[this] = ended
    families: list[_Family] = [
        # The exporter refuses a metric that two files have with the same labels.
        (f"{own}_info", "The program that wrote this file.", [({**labels, "version": __version__}, 1.0)]),
        (f"{own}_run_start_timestamp_seconds", "When the last run began.", [(labels, _seconds(ending.started_at))]),
        (f"{own}_run_end_timestamp_seconds", "When the last run ended.", [(labels, ended)]),
        (f"{own}_{_LAST_SUCCESS}", "When the last run with exit code 0 ended.", sorted(good.items())),
        (f"{own}_run_exit_code", "Exit code of the last run.", [(labels, float(ending.exit_code))]),
        *(_of_run(ending, labels, oldest_due_age) if ending.job is RUN else _of_others(ending, labels)),
    ]
    lines = []
    for name, meaning, samples in families:
        if samples:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels(of)} {value:.15g}" for of, value in samples]
    return "\n".join(lines) + "\n"


def _of_others(ending: Ending, labels: Mapping[str, str]) -> list[_Family]:
    counts: list[tuple[Mapping[str, str] | str, float]] = [
        ({**labels, "of": name}, float(count)) for name, count in ending.counts.items()
    ]
    return [(f"{ending.job.metrics}_run_count", "What the last run counted, by name.", counts)]


def _of_run(ending: Ending, labels: Mapping[str, str], oldest_due_age: float | None) -> list[_Family]:
    return [
        ("csc_api_run_records", "Due rows of the last run, by outcome.", list(_outcomes(ending.counts, labels))),
        ("csc_api_run_due", "Rows that were due in the last run.", list(_count("due", ending.counts, labels))),
        ("csc_api_run_requests", "POSTs of the last run.", list(_count("requests", ending.counts, labels))),
        (
            "csc_api_oldest_due_age_seconds",
            "For how long the oldest due row had waited when the last run ended; 0 where none waits.",
            [] if oldest_due_age is None else [(labels, oldest_due_age)],
        ),
    ]


def _outcomes(counts: Mapping[str, int], labels: Mapping[str, str]) -> Iterator[tuple[dict[str, str], float]]:
    for name in _OUTCOMES:
        if name in counts:
            # Deletions are among the accepted; here each row counts once.
            count = counts[name] - (counts["deleted"] if name == "accepted" else 0)
            yield {**labels, "outcome": name}, float(count)


def _count(
    name: str, counts: Mapping[str, int], labels: Mapping[str, str]
) -> Iterator[tuple[Mapping[str, str], float]]:
    if name in counts:
        yield labels, float(counts[name])


def _labels(labels: Mapping[str, str] | str) -> str:
    if isinstance(labels, str):
        return labels

    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"


def _last_success(path: Path, job: Job) -> dict[str, float]:
    """Return the times of the last good runs by their labels, as the earlier file has them."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    line = rf"^{job.metrics}_{_LAST_SUCCESS}(\{{.*\}}) (\d+(?:\.\d+)?(?:e\+\d+)?)$"
    return {labels: float(value) for labels, value in re.findall(line, text, re.MULTILINE)}


def _seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=timezone.utc).timestamp()
