"""The interlocks of contract 2: what a live run may send where."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.safety import is_loopback
from api_pipeline.settings.sources import Sources
from tests.support.loaded_settings import LIVE, RECEIVER

TEST = RECEIVER
REAL = "https://receiver.example/receiver/1"
HERE = "http://127.0.0.1:8099"


def refusal(folder: Path, **changes: str) -> str:
    """Return the sentence with which a run is refused, "" where it is not."""
    try:
        load_settings(Sources({}, LIVE | changes, folder))
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("table", ["x_anon", "dbo.x_anon", "[dbo].[X_ANON]", "x_Anon"])
@pytest.mark.parametrize(
    ("endpoint", "refused"),
    [(TEST, False), (REAL, True), (HERE, False), ("http://localhost/x-test", False), ("http://[::1]:1", False)],
)
def test_anonymised_table_goes_to_test_and_this_machine_only(
    tmp_path: Path, table: str, endpoint: str, refused: bool
) -> None:
    assert refusal(tmp_path, TABLE_NAME=table, API_ENDPOINT=endpoint).startswith("TABLE_NAME") is refused


@pytest.mark.parametrize("table", ["ssd_api_data_staging", "[x_anon].[staging]", "x_anonymous"])
@pytest.mark.parametrize(
    ("endpoint", "refused"),
    [
        (TEST, True),
        ("https://a.example/A-TEST", True),
        (REAL, False),
        (HERE, False),
        (f"{HERE}/x-test", True),
    ],
)
def test_live_table_never_goes_to_a_test_endpoint_unless_allowed(
    tmp_path: Path, table: str, endpoint: str, refused: bool
) -> None:
    assert refusal(tmp_path, TABLE_NAME=table, API_ENDPOINT=endpoint).startswith("TABLE_NAME") is refused
    assert not refusal(tmp_path, TABLE_NAME=table, API_ENDPOINT=endpoint, ALLOW_LIVE_DATA_TO_TEST="true")


def test_permission_for_live_data_does_not_let_anonymised_rows_out(tmp_path: Path) -> None:
    assert "anonymised" in refusal(tmp_path, API_ENDPOINT=REAL, ALLOW_LIVE_DATA_TO_TEST="true")


def test_testing_mode_knows_no_table_interlock(tmp_path: Path) -> None:
    assert not refusal(tmp_path, API_ENDPOINT=REAL, TESTING_MODE="true")


@pytest.mark.parametrize("table", ["ssd_api_held", "dbo.[SSD_API_HELD]", "ssd_api_runs"])
@pytest.mark.parametrize("mode", ["true", "false"])
def test_control_table_is_refused_as_the_staging_table(tmp_path: Path, table: str, mode: str) -> None:
    said = refusal(tmp_path, TABLE_NAME=table, API_ENDPOINT=HERE, TESTING_MODE=mode)
    assert said.startswith(f"TABLE_NAME: expected the staging table, got {table}, one of the control tables beside it")


def test_endpoint_test_warns_of_what_a_run_refuses(tmp_path: Path) -> None:
    settings = load_settings(Sources({}, LIVE | {"API_ENDPOINT": REAL}, tmp_path), Purpose.ENDPOINT)

    assert settings.warnings[0].startswith(
        "run will refuse: TABLE_NAME: expected the live table, got ssd_api_data_staging_anon"
    )


@pytest.mark.parametrize("name", ["API_ENDPOINT", "TOKEN_ENDPOINT"])
@pytest.mark.parametrize("mode", ["true", "false"])
def test_plain_http_is_refused_but_for_this_machine(tmp_path: Path, name: str, mode: str) -> None:
    environment = LIVE | {"TESTING_MODE": mode}
    with pytest.raises(SettingsError, match=f"{name}: expected https://.* got plain http:// to receiver.example"):
        load_settings(Sources({}, environment | {name: "http://receiver.example/x-test"}, tmp_path))
    load_settings(Sources({}, environment | {name: "http://127.8.9.1:1/x"}, tmp_path))


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://LOCALHOST:80/x", "http://127.0.0.1", "http://127.255.0.9:1", "http://[::1]/"]
)
def test_this_machine_is_known(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://127.0.0.1@evil.example",
        "http://2130706433",
        "http://127.1",
        "http://0.0.0.0",
        "http://[::ffff:127.0.0.1]",
        "http://128.0.0.1",
        "http://evil.example/localhost",
        "",
    ],
)
def test_what_only_looks_like_this_machine_is_not(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://receiver.example/receiver%2Dtest/1",
        "https://receiver.example/receiver-test/../receiver/1",
        "https://receiver.example/receiver/./1",
        "https://receiver.example/receiver/%2e%2e/1",
        "https://receiver.example/receiver;-test/1",
        "https://receiver.example/1?subscription-key=abc",
        "https://receiver.example/1?",
        "https://receiver.example/1#-test",
        "https://user@receiver.example/1",
        "https://receiver.example/recei\u0443er-test/1",
        "https://r\u0435ceiver.example/1",
        "https://receiver.example/{env}/1",
        "https://receiver.example/receiver\u2010test/1",
        "https://.example/1",
        "https://2130706433/1",
        "https://0x7f.1/1",
        "https://127.1/1",
        "https://0177.0.0.1/1",
        "https://127.0.0.256/1",
        "https://[::ffff:127.0.0.1]/1",
    ],
)
@pytest.mark.parametrize("name", ["API_ENDPOINT", "TOKEN_ENDPOINT"])
def test_endpoint_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, name: str, endpoint: str) -> None:
    assert refusal(tmp_path, **{name: endpoint}).startswith(f"{name}: expected ")


@pytest.mark.parametrize("there", ["", "/", "/children_social_care_data", "/children_social_care_data/845/"])
def test_half_a_path_is_completed_and_never_doubled(tmp_path: Path, there: str) -> None:
    settings = load_settings(Sources({}, LIVE | {"API_ENDPOINT": TEST + there}, tmp_path))

    assert settings.children_url == f"{TEST}/children_social_care_data/845/children"


@pytest.mark.parametrize(
    "there", ["/children_social_care_data/845/children/1", "/children_social_care_data/1", "/Children_Social_Care_Data"]
)
def test_path_that_only_resembles_the_receivers_is_refused(tmp_path: Path, there: str) -> None:
    assert refusal(tmp_path, API_ENDPOINT=TEST + there).startswith("API_ENDPOINT: expected the receiver's base URL")


def test_half_a_path_of_another_authority_is_refused(tmp_path: Path) -> None:
    assert "API_ENDPOINT names 846" in refusal(tmp_path, API_ENDPOINT=f"{TEST}/children_social_care_data/846")
