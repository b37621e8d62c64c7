"""Airflow 3: one table, four tasks at once, each on its own quarter of the rows."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

SHARDS = 4

with DAG(
    dag_id="csc_api",
    schedule="0 2,5 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/London"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
):
    BashOperator.partial(task_id="send", cwd="/var/lib/csc-api").expand(
        bash_command=[
            f"exec /opt/csc-api/bin/d2i-csc-api run --quiet --log-file shard-{number}.log --shard {number}/{SHARDS}"
            for number in range(1, SHARDS + 1)
        ]
    )
