"""A whole synthetic council staged: every payload passes the receiver's schema."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path

from api_pipeline.db import connect
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.sources import Sources
from api_pipeline.sql import ddl
from api_pipeline.staging.call import StageCall
from api_pipeline.staging.outcome import StagingObservers
from api_pipeline.staging.session import stage
from tests.support.effort import examples

TABLE = "ssd_api_data_staging"
PEOPLE = examples(1_000, 10_000)
AS_OF = date(2026, 8, 10)


def test_payloads_of_a_whole_council_pass_schema_and_code_lists(tmp_path: Path) -> None:
    text = f"sqlite:///{tmp_path / 'council.db'}"
    with closing(connect(text, create=True)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        ddl.apply(connection.execute, connection.dialect, TABLE)
        create_tables(connection.execute, connection.dialect)
        fill(connection, SyntheticSsd(PEOPLE, AS_OF))
        settings = load_settings(
            Sources({"DB_CONNECTION_STRING": text, "TABLE_NAME": TABLE}, {}, tmp_path), Purpose.STAGE
        )
        summary = stage(settings, StageCall(AS_OF), StagingObservers(), threading.Event())
        payloads = [row[0] for row in connection.query(f"SELECT json_payload FROM {TABLE}")]
    assert len(payloads) == summary.cohort - summary.withheld > PEOPLE * 0.5
    checker = Checker(AS_OF)
    found = Counter(
        finding.rule
        for payload in payloads
        for finding in checker.check(json.loads(payload), payload.encode())
        if finding.severity == "schema" or finding.rule == "code_list"
    )
    assert not found
