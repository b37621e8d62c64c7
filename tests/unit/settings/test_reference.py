"""`.env.example` and the settings reference are made from the settings table, and say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from api_pipeline.sdr.settings_table import SETTINGS as SDR_SETTINGS
from api_pipeline.settings.definition import SettingKind
from api_pipeline.settings.definitions import SETTINGS, canonical_name
from api_pipeline.settings.env_file import read_env_file
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.reference import env_example, xporter_example
from api_pipeline.settings.sources import Sources
from scripts.reference_settings import settings_page

COMMITTED = Path(__file__).parents[3] / ".env.example"
OF_THE_CONTRACT = (
    *("DB_CONNECTION_STRING", "SQL_CONN_STR", "USER_SERVER", "USER_DATABASE", "TABLE_NAME", "LA_CODE"),
    *("API_ENDPOINT", "TOKEN_ENDPOINT", "CLIENT_ID", "CLIENT_SECRET", "SCOPE", "SUPPLIER_KEY"),
    *("TESTING_MODE", "USE_PARTIAL_PAYLOAD", "PURGE_VANISHED", "SCHEMA_CHECK", "SCHEMA_CODES"),
    *("BATCH_SIZE", "MAX_IN_FLIGHT", "MIN_POST_GAP_MS", "MAX_ATTEMPTS", "RETRY_MAX_WAIT_S", "CONNECT_TIMEOUT_S"),
    *("READ_TIMEOUT_S", "GIVE_UP_AFTER_FAILED_BATCHES", "PROXY_URL", "CA_BUNDLE", "USER_AGENT", "LOG_FILE", "DEBUG"),
    "ALLOW_LIVE_DATA_TO_TEST",
)


def test_committed_example_is_the_one_made_from_the_table() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == env_example()


def test_every_setting_of_the_contract_is_in_the_table() -> None:
    assert [name for name in OF_THE_CONTRACT if canonical_name(name) is None] == []


def test_every_address_that_needs_no_further_login_is_a_secret() -> None:
    webhooks = [setting for setting in (*SETTINGS, *SDR_SETTINGS) if setting.kind is SettingKind.WEBHOOK]
    assert len(webhooks) > 4
    assert [setting.name for setting in webhooks if not setting.secret] == []


def test_example_holds_every_setting_once_and_no_long_line() -> None:
    lines = [*env_example().splitlines(), *xporter_example().splitlines()]

    for setting in SETTINGS:
        assert len([line for line in lines if re.fullmatch(rf"(# )?{setting.name}=.*", line)]) == 1, setting.name
    assert max(map(len, lines)) <= 120
    assert not [line for line in env_example().splitlines() if "XPORTER_" in line]


def test_example_changes_nothing_as_it_is_and_with_every_line_switched_on(tmp_path: Path) -> None:
    database = "DB_CONNECTION_STRING=sqlite:///council.db"
    plain = env_example().replace("DB_CONNECTION_STRING=\n", database + "\n") + xporter_example()
    names = "|".join(setting.name for setting in SETTINGS)
    switched_on = re.sub(rf"^# (({names})=)", r"\1", plain, flags=re.MULTILINE)
    loaded = []
    for text in (database, plain, switched_on):
        path = tmp_path / ".env"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        loaded.append(load_settings(Sources({}, {}, tmp_path)))

    assert loaded[0] == loaded[1] == loaded[2]
    assert set(read_env_file(path).values) == {setting.name for setting in SETTINGS}
    assert loaded[2].warnings == ()


def test_reference_has_a_complete_row_for_every_setting() -> None:
    text = settings_page()

    for setting in SETTINGS:
        assert f"| `{setting.name}`" in text
    for row in (line for line in text.splitlines() if line.startswith("|")):
        assert len(re.findall(r"(?<!\\)\|", row)) == 5, row
