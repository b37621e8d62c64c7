"""A council with its schools, ready to collect; and another that has collected and writes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator.xporter import SchoolConditions, XporterServer, XporterSimulator
from tests.support.xporter import TODAY, make_school
from tests.support.xporter_council import Council
from tests.support.xporter_writer import Writer, made_writer, two_schools


@pytest.fixture
def council(tmp_path: Path) -> Iterator[Council]:
    schools = [make_school(number, pupils=4, weeks=0, today=TODAY) for number in (1, 2, 3)]
    with XporterServer(XporterSimulator(schools)) as server:
        council = Council(server, tmp_path, schools)
        assert council.run("deploy-schema", "--apply").code == 0
        yield council


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database into which both schools were collected once; every test works on a copy."""
    schools = two_schools()
    with XporterServer(XporterSimulator(schools)) as server:
        council = made_writer(server, tmp_path_factory.mktemp("collected"), schools)
        assert council.run("deploy-schema", "--apply").code == 0
        assert council.run("collect").code == 0
    return council.database


@pytest.fixture
def writer(tmp_path: Path, collected: Path) -> Iterator[Writer]:
    schools = two_schools()
    with XporterServer(XporterSimulator(schools, SchoolConditions(is_fresh=True))) as server:
        writer = made_writer(server, tmp_path, schools)
        shutil.copy(collected, writer.database)
        yield writer
