"""Settings as contract 2 describes them: what is accepted, and how errors are reported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from api_pipeline.settings.values import Shard
from tests.support.loaded_settings import LIVE, RECEIVER, SQLITE, error_of, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_defaults_are_those_of_the_contract(folder: Path) -> None:
    settings = load(folder)

    assert settings.testing_mode is True
    assert settings.table_name == "ssd_api_data_staging_anon"
    assert settings.use_partial_payload is False
    assert (settings.batch_size, settings.max_in_flight, settings.min_post_gap_ms) == (100, 1, 0)
    assert (settings.max_attempts, settings.retry_max_wait_s) == (5, 120)
    assert (settings.connect_timeout_s, settings.read_timeout_s) == (10, 60)
    assert settings.give_up_after_failed_batches == 3
    assert settings.user_agent.startswith("d2i-csc-api/")
    assert settings.purge_vanished is True
    assert (settings.schema_check, settings.schema_codes) == ("reject", "warn")
    assert (settings.log_file, settings.debug) == (None, False)
    assert settings.allow_live_data_to_test is False
    assert settings.shard == Shard(1, 1)
    assert (settings.log_format, settings.log_to, settings.proxy_auth) == ("text", "", "basic")
    assert settings.spool_folder == folder
    assert settings.warnings == ()


def test_defaults_of_staging_are_those_of_the_mapping(folder: Path) -> None:
    staging = load(folder).staging

    assert (staging.ssd_schema, staging.cohort_months_back, staging.cohort_year_start_month) == ("", 24, 4)
    assert (staging.cohort_person_ids, staging.cohort_filter_table) == ((), "")
    assert not staging.cohort_include_cp_plans
    assert not staging.cohort_include_disabled
    assert not staging.one_block_per_child
    assert not staging.purge_left_window
    assert staging.delete_left_window
    assert staging.max_deleted_share == 0.05
    assert staging.uasc_values == ("U", "UASC", "*UASC*", "*unaccompanied asylum*")


def test_table_of_a_live_run_is_the_live_table(folder: Path) -> None:
    environment = {key: text for key, text in LIVE.items() if key != "TABLE_NAME"}
    settings = load(folder, environment | {"API_ENDPOINT": "https://receiver.example/1"})

    assert settings.table_name == "ssd_api_data_staging"


def test_all_errors_are_reported_at_once(folder: Path) -> None:
    message = error_of(
        folder,
        {"BATCH_SIZE": "101", "LA_CODE": "84", "TESTING_MODE": "perhaps", "SHARD": "3/2", "TABLE_NAME": "a; DROP"},
    )

    assert message.startswith("6 settings cannot be used")
    for name in ("DB_CONNECTION_STRING is missing", "BATCH_SIZE", "LA_CODE", "TESTING_MODE", "SHARD", "TABLE_NAME"):
        assert f"  - {name}" in message
    assert 'BATCH_SIZE: expected a whole number from 1 to 100, got "101" (from the environment).' in message


def test_one_error_is_one_line(folder: Path) -> None:
    assert "\n" not in error_of(folder, {})


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("BATCH_SIZE", ["abc", "0", "101", "1.5", "1_0", "-1", "٣", "1e2"]),
        ("MAX_IN_FLIGHT", ["0", "17"]),
        ("MIN_POST_GAP_MS", ["-1"]),
        ("MAX_ATTEMPTS", ["0"]),
        ("RETRY_MAX_WAIT_S", ["-1", "nan", "inf", "soon"]),
        ("CONNECT_TIMEOUT_S", ["0", "nan"]),
        ("READ_TIMEOUT_S", ["0", "-5"]),
        ("GIVE_UP_AFTER_FAILED_BATCHES", ["0"]),
        ("LA_CODE", ["84", "8450", "84a", "²45"]),
        ("TESTING_MODE", ["2", "ja", "truefalse"]),
        ("SCHEMA_CHECK", ["maybe"]),
        ("LOG_FORMAT", ["xml"]),
        ("LOG_TO", ["printer"]),
        ("PROXY_AUTH", ["digest"]),
        ("SHARD", ["0/2", "3/2", "2", "a/b", "1/0"]),
        ("TABLE_NAME", ["a.b.c", "a b", "a;b", "[a b]", "a--", "[a", "a]", "é", "a."]),
        ("SSD_SCHEMA", ["a b", "a.b.c"]),
        (
            "API_ENDPOINT",
            ["ftp://a", "https://", "a.example", "https://a b", "https://u:p@a", "https://a\\b", "https://a:x"],
        ),
        ("TOKEN_ENDPOINT", ["https:///token", "https://a/#b"]),
        ("PROXY_URL", ["proxy.example", "socks5://a", "http://a:999999"]),
        ("CA_BUNDLE", ["no-such-file.pem"]),
        ("MAX_DELETED_SHARE", ["1.1", "-0.1"]),
        ("COHORT_YEAR_START_MONTH", ["0", "13"]),
        ("USER_AGENT", ["café", "a\nb"]),
        ("DB_CONNECTION_STRING", ["postgresql://u:p@h/d", "nonsense", "sqlite:///", "a=b\nc"]),
    ],
)
def test_value_that_is_not_accepted_is_named_with_what_is_expected(folder: Path, name: str, texts: list[str]) -> None:
    for text in texts:
        message = error_of(folder, {"DB_CONNECTION_STRING": SQLITE, name: text})
        assert message.startswith(f"{name}: expected "), text
        assert "(from the environment)" in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("BATCH_SIZE", " 1 ", "batch_size", 1),
        ("BATCH_SIZE", "100", "batch_size", 100),
        ("RETRY_MAX_WAIT_S", "0.5", "retry_max_wait_s", 0.5),
        ("USE_PARTIAL_PAYLOAD", "YES", "use_partial_payload", True),
        ("USE_PARTIAL_PAYLOAD", "On", "use_partial_payload", True),
        ("PURGE_VANISHED", "0", "purge_vanished", False),
        ("PURGE_VANISHED", "off", "purge_vanished", False),
        ("SCHEMA_CHECK", "WARN", "schema_check", "warn"),
        ("SHARD", "2/4", "shard", Shard(2, 4)),
        ("TABLE_NAME", "[dbo].[ssd_api_data_staging_anon]", "table_name", "[dbo].[ssd_api_data_staging_anon]"),
        ("LA_CODE", '"845"', "la_code", "845"),
        ("BATCH_SIZE", "  ", "batch_size", 100),
        ("API_ENDPOINT", "http://127.0.0.1:8080/x", "api_endpoint", "http://127.0.0.1:8080/x"),
        ("PROXY_URL", "http://user:p%40ss@proxy:8080", "proxy_url", "http://user:p%40ss@proxy:8080"),
    ],
)
def test_value_that_is_accepted(folder: Path, name: str, text: str, field: str, value: object) -> None:
    assert getattr(load(folder, {"DB_CONNECTION_STRING": SQLITE, name: text}), field) == value


@pytest.mark.parametrize(
    ("shard", "part", "text"), [(Shard(1, 1), None, ""), (Shard(1, 4), (1, 4), "1/4"), (Shard(4, 4), (4, 4), "4/4")]
)
def test_one_part_of_one_is_the_whole_table(shard: Shard, part: tuple[int, int] | None, text: str) -> None:
    assert (shard.part, shard.text) == (part, text)


@pytest.mark.parametrize("name", ["DB_CONNECTION_STRING", "SUPPLIER_KEY", "PROXY_URL"])
def test_value_of_a_secret_is_never_shown(folder: Path, name: str) -> None:
    message = error_of(folder, {"DB_CONNECTION_STRING": SQLITE, name: "geheim-wörd\x07-17"})

    assert message.startswith(f"{name}: expected ")
    assert "got a value that is not shown, because it is a secret (from the environment)" in message
    assert "geheim" not in message


def test_password_in_an_endpoint_is_not_shown(folder: Path) -> None:
    message = error_of(folder, {"DB_CONNECTION_STRING": SQLITE, "API_ENDPOINT": "https://me:tr/easure@a.example"})

    assert "API_ENDPOINT" in message
    assert "easure" not in message


def test_key_in_the_query_of_an_endpoint_is_not_told(folder: Path) -> None:
    message = error_of(folder, {"DB_CONNECTION_STRING": SQLITE, "API_ENDPOINT": "https://a.example/1?k=treasure"})

    assert 'got "https://a.example/1?***" (from the environment)' in message


def test_endpoint_that_holds_the_path_already_is_left_alone(folder: Path) -> None:
    whole = f"{RECEIVER}/children_social_care_data/845/children"

    for endpoint in (RECEIVER, RECEIVER + "/", whole, whole + "/"):
        settings = load(folder, LIVE | {"API_ENDPOINT": endpoint})
        assert settings.children_url == settings.receiver == whole


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://A-test.example:443/1", "https://a-test.example/1"),
        ("https://a-test.example:8443/1", "https://a-test.example:8443/1"),
        ("http://127.0.0.1:80/1", "http://127.0.0.1/1"),
        ("http://127.0.0.1:443/1", "http://127.0.0.1:443/1"),
        ("https://a-test.example:/1", "https://a-test.example/1"),
        ("https://a-test.example:0443/1", "https://a-test.example/1"),
        ("https://[2001:DB8::1]:443/a-test", "https://[2001:db8::1]/a-test"),
    ],
)
def test_receiver_is_the_same_however_its_usual_port_is_written(folder: Path, written: str, meant: str) -> None:
    first, second = (load(folder, LIVE | {"API_ENDPOINT": one}).receiver for one in (written, meant))

    assert first == second == f"{meant}/children_social_care_data/845/children"


def test_endpoint_of_another_authority_contradicts_the_la_code(folder: Path) -> None:
    message = error_of(folder, LIVE | {"API_ENDPOINT": f"{RECEIVER}/children_social_care_data/846/children"})

    assert "LA_CODE is 845, but API_ENDPOINT names 846" in message


def test_representation_shows_no_secret(folder: Path) -> None:
    secrets = {
        "DB_CONNECTION_STRING": "Driver={x};Server=db1;UID=job;PWD={gehe;im}}eins}",
        "CLIENT_SECRET": "geheim-zwei",
        "SUPPLIER_KEY": "geheim-drei",
        "PROXY_URL": "http://user:geheim-vier@proxy:8080",
    }
    settings = load(folder, LIVE | secrets)

    assert "eheim" not in repr(settings)
    assert "gehe" not in f"{settings}"
    assert "db1" in repr(settings)
    assert all(item.name in repr(settings) for item in fields(settings))


def test_import_needs_no_driver_http_or_store_and_is_quick() -> None:
    slow = "{'pyodbc', 'requests', 'keyring', 'dotenv'}"
    code = f"import api_pipeline.settings.loading, sys; print(*{slow} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
