"""Where a setting is found: option, environment, credential store, file, and the other names of a connection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.sources import Sources
from tests.support.loaded_settings import LIVE, RECEIVER, SQLITE, Store, error_of, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_option_beats_environment_beats_store_beats_file(folder: Path) -> None:
    (folder / ".env").write_text("CLIENT_SECRET=of-file\nSUPPLIER_KEY=of-file\nPROXY_URL=http://file:1\nLA_CODE=111\n")
    store = Store({"CLIENT_SECRET": "of-store", "SUPPLIER_KEY": "of-store"})
    environment = {name: text for name, text in LIVE.items() if name not in ("CLIENT_SECRET", "LA_CODE")}
    environment["SUPPLIER_KEY"] = "of-environment"

    settings = load_settings(Sources({"LA_CODE": "222", "BATCH_SIZE": None}, environment, folder, None, store))

    assert settings.client_secret == "of-store"
    assert settings.supplier_key == "of-environment"
    assert settings.proxy_url == "http://file:1"
    assert settings.la_code == "222"


def test_store_is_asked_for_nothing_that_the_command_does_not_need(folder: Path) -> None:
    store = Store({"DB_CONNECTION_STRING": SQLITE})

    settings = load_settings(Sources({}, {}, folder, None, store), Purpose.DATABASE)

    assert settings.connection_string == SQLITE
    assert store.asked == ["DB_CONNECTION_STRING"]


def test_process_environment_is_never_changed(folder: Path) -> None:
    (folder / ".env").write_text(f"DB_CONNECTION_STRING={SQLITE}\nSCOPE=one\n")
    before = dict(os.environ)

    load(folder, {})

    assert dict(os.environ) == before


def test_live_run_needs_everything(folder: Path) -> None:
    message = error_of(folder, {"TESTING_MODE": "false"})

    for name in LIVE:
        if name not in ("TABLE_NAME", "TESTING_MODE"):
            assert f"{name} is missing" in message
    assert load(folder, LIVE).children_url == f"{RECEIVER}/children_social_care_data/845/children"


def test_what_a_command_needs_depends_on_its_purpose(folder: Path) -> None:
    live = {"TESTING_MODE": "false", "DB_CONNECTION_STRING": SQLITE}

    assert load(folder, live, Purpose.DATABASE).connection_string == SQLITE
    assert load(folder, {"BATCH_SIZE": "abc"}, Purpose.NOTHING).batch_size == 100
    assert "DB_CONNECTION_STRING" not in error_of(folder, {"TESTING_MODE": "true"}, Purpose.ENDPOINT)
    assert "API_ENDPOINT is missing" in error_of(folder, {"DB_CONNECTION_STRING": SQLITE}, Purpose.ENDPOINT)


def test_connection_string_has_an_alias(folder: Path) -> None:
    assert load(folder, {"SQL_CONN_STR": SQLITE}).connection_string == SQLITE
    assert load(folder, {"SQL_CONN_STR": SQLITE, "DB_CONNECTION_STRING": SQLITE}).connection_string == SQLITE


def test_alias_with_another_value_is_a_contradiction(folder: Path) -> None:
    message = error_of(folder, {"SQL_CONN_STR": "Driver=x;PWD=geheim", "DB_CONNECTION_STRING": SQLITE})

    assert "DB_CONNECTION_STRING and SQL_CONN_STR" in message
    assert "have two values in the environment" in message
    assert "geheim" not in message


def test_alias_in_the_environment_beats_the_name_in_the_file(folder: Path) -> None:
    (folder / ".env").write_text("DB_CONNECTION_STRING=sqlite:///old.db\n")

    assert load(folder, {"SQL_CONN_STR": SQLITE}).connection_string == SQLITE


@pytest.mark.parametrize(
    ("drivers", "chosen"),
    [
        (
            ["ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server", "SQL Server"],
            "ODBC Driver 18 for SQL Server",
        ),
        (["ODBC Driver 9 for SQL Server", "ODBC Driver 13 for SQL Server"], "ODBC Driver 13 for SQL Server"),
        (["SQL Server", "SQL Server Native Client 11.0"], "SQL Server Native Client 11.0"),
        (["PostgreSQL Unicode", "SQL Server"], "SQL Server"),
    ],
)
def test_trusted_connection_takes_the_newest_driver(folder: Path, drivers: list[str], chosen: str) -> None:
    environment = {"USER_SERVER": "HOST\\INST,1433", "USER_DATABASE": "HDM;Local"}

    settings = load_settings(Sources({}, environment, folder), drivers=lambda: drivers)

    assert settings.connection_string == (
        f"Driver={{{chosen}}};Server=HOST\\INST,1433;Database={{HDM;Local}};Trusted_Connection=yes"
    )


def test_incomplete_trusted_connection_is_an_error(folder: Path) -> None:
    with pytest.raises(SettingsError, match="no SQL Server ODBC driver is installed"):
        load_settings(Sources({}, {"USER_SERVER": "h", "USER_DATABASE": "d"}, folder), drivers=lambda: ["SQLite3"])
    assert "USER_DATABASE is missing" in error_of(folder, {"USER_SERVER": "h"})
    assert "USER_SERVER is missing" in error_of(folder, {"USER_DATABASE": "d"})


def test_connection_string_wins_over_user_server_with_a_warning(folder: Path) -> None:
    settings = load(folder, {"DB_CONNECTION_STRING": SQLITE, "USER_SERVER": "h", "USER_DATABASE": "d"})

    assert settings.connection_string == SQLITE
    assert "USER_SERVER" in settings.warnings[0]


@pytest.mark.parametrize("testing", ["true", "false"])
def test_addresses_of_notifications_come_from_the_store_when_live(folder: Path, testing: str) -> None:
    store = Store({"NOTIFY_WEBHOOK": "https://hooks.example/token-of-ours", "PING_URL": "https://hc.example/uuid"})
    env = {**LIVE, "TESTING_MODE": testing}
    settings = load_settings(Sources({}, env, folder, secret_store=store))
    is_live = testing == "false"
    assert settings.notify.webhook == ("https://hooks.example/token-of-ours" if is_live else "")
    assert ("PING_URL" in store.asked) is is_live
    assert "token-of-ours" not in repr(settings)


def test_quotation_marks_around_a_secret_are_warned_of_and_kept(folder: Path) -> None:
    # What `set CLIENT_SECRET="..."` and `echo "..." | d2i-csc-api secrets set SUPPLIER_KEY` leave on Windows.
    env = {**LIVE, "CLIENT_SECRET": '"hush"'}
    del env["SUPPLIER_KEY"]
    settings = load_settings(Sources({}, env, folder, secret_store=Store({"SUPPLIER_KEY": "'key'"})))

    assert (settings.client_secret, settings.supplier_key) == ('"hush"', "'key'")
    assert settings.warnings == (
        "CLIENT_SECRET (from the environment) stands in quotation marks, which count as part of it; leave them out if "
        "it is refused.",
        "SUPPLIER_KEY (from the credential store) stands in quotation marks, which count as part of it; leave them out "
        "if it is refused.",
    )
