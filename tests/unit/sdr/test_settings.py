"""The settings of the Single Data Return are judged as those of the other services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.opening import base_url, receiver_key
from api_pipeline.sdr.settings import Purpose, SdrExamined, examine_sdr_settings
from api_pipeline.settings.sources import Sources

TESTING = {"DB_CONNECTION_STRING": "sqlite:///sdr.db", "TESTING_MODE": "true"}


def examined(folder: Path, env: Mapping[str, str], purpose: Purpose = Purpose.TABLES) -> SdrExamined:
    return examine_sdr_settings(Sources({}, env, folder), purpose)


def test_own_settings_beat_shared_names_and_the_rest_is_shared(tmp_path: Path) -> None:
    found = examined(tmp_path, {**TESTING, "SDR_EID": "9999", "SDR_BATCH_SIZE": "7", "MIN_POST_GAP_MS": "250"})

    assert found.error is None
    settings = found.settings
    assert (settings.batch_size, settings.min_post_gap_ms, settings.eid, settings.org_id) == (7, 250, "9999", "9999")
    assert set(settings.paths) == set(Collection)


@pytest.mark.parametrize(("given", "lacking"), [("USER_SERVER", "USER_DATABASE"), ("USER_DATABASE", "USER_SERVER")])
def test_half_a_pair_of_server_and_database_is_named(tmp_path: Path, given: str, lacking: str) -> None:
    error = examined(tmp_path, {given: "name"}).error

    assert f"{lacking} is missing: expected it, because {given} is set" in str(error)


def test_database_is_missing_only_where_the_command_needs_it(tmp_path: Path) -> None:
    assert "DB_CONNECTION_STRING is missing" in str(examined(tmp_path, {}).error)
    assert examined(tmp_path, {}, Purpose.LOOK).error is None


def test_secret_that_was_pasted_into_another_setting_is_not_shown(tmp_path: Path) -> None:
    secret = "hush-hush-secret"
    error = examined(tmp_path, {**TESTING, "SDR_CLIENT_SECRET": secret, "SDR_EID": f"12 {secret}"}).error

    assert "SDR_EID: expected digits alone" in str(error)
    assert secret not in str(error)


def test_signs_copied_from_word_are_warned_of(tmp_path: Path) -> None:
    found = examined(tmp_path, {**TESTING, "SDR_CLIENT_SECRET": "pass\u201dword"})

    assert any("SDR_CLIENT_SECRET" in warning and "copied from Word" in warning for warning in found.settings.warnings)


@pytest.mark.parametrize("path", ["learners", "/learners/"])
def test_two_collections_never_share_a_path(tmp_path: Path, path: str) -> None:
    error = examined(tmp_path, {**TESTING, "SDR_PATH_COURSES": path}).error

    assert "SDR_PATH_COURSES: expected another path than that of learners (SDR_PATH_LEARNERS), got" in str(error)
    assert examined(tmp_path, {**TESTING, "SDR_PATH_COURSES": "learners", "SDR_PATH_LEARNERS": "people"}).error is None


@pytest.mark.parametrize("written", ["https://TEC.example/submissions/v1.0/", "https://tec.example:443"])
def test_tec_is_the_same_receiver_however_its_host_and_port_are_written(written: str) -> None:
    assert receiver_key(base_url(written), "9999") == receiver_key(base_url("https://tec.example"), "9999")
