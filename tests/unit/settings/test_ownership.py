"""Files that decide where records go: in live mode only those that nobody else can have written are used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose, Settings
from api_pipeline.settings.sources import Sources
from tests.support.loaded_settings import LIVE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows' file modes say nothing about who may write")
as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")


def env_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / ".env"
    path.write_text("".join(f"{name}={value}\n" for name, value in LIVE.items()), encoding="utf-8")
    path.chmod(mode)
    return path


def load(folder: Path, purpose: Purpose = Purpose.RUN, **environment: str) -> Settings:
    return load_settings(Sources({}, environment, folder), purpose)


def refusal(folder: Path, purpose: Purpose = Purpose.RUN, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, purpose, **environment)
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o602, 0o622, 0o666])
def test_settings_that_others_may_change_are_refused_in_live_mode(tmp_path: Path, mode: int) -> None:
    env_file(tmp_path, mode)

    assert f"The settings file {tmp_path / '.env'} may be changed by others" in refusal(tmp_path)
    assert "may be changed by others" in refusal(tmp_path, Purpose.ENDPOINT)


def test_settings_that_others_may_change_are_a_warning_in_testing_mode(tmp_path: Path) -> None:
    env_file(tmp_path, 0o666)

    assert any("may be changed by others" in text for text in load(tmp_path, TESTING_MODE="true").warnings)
    assert any("may be changed by others" in text for text in load(tmp_path, Purpose.DATABASE).warnings)


@as_root
def test_settings_of_another_account_are_refused_in_live_mode(tmp_path: Path) -> None:
    os.chown(env_file(tmp_path), 12345, -1)

    assert "belongs to another account" in refusal(tmp_path)


def test_certificates_that_others_may_change_are_refused_in_live_mode(tmp_path: Path) -> None:
    bundle = tmp_path / "council.pem"
    bundle.write_text("x", encoding="utf-8")
    bundle.chmod(0o666)
    env_file(tmp_path)

    assert f"CA_BUNDLE {bundle} may be changed by others" in refusal(tmp_path, CA_BUNDLE=str(bundle))


def test_folder_that_others_may_change_needs_a_private_file(tmp_path: Path) -> None:
    path = env_file(tmp_path, 0o644)
    tmp_path.chmod(0o777)
    try:
        assert f"The folder {tmp_path} of the settings file may be changed by others" in refusal(tmp_path)
        path.chmod(0o600)
        assert load(tmp_path).warnings == ()
        path.chmod(0o644)
        tmp_path.chmod(0o1777)
        assert not any("The folder" in text for text in load(tmp_path).warnings)
    finally:
        tmp_path.chmod(0o700)


def test_own_files_are_used_without_a_word(tmp_path: Path) -> None:
    env_file(tmp_path)

    assert load(tmp_path).warnings == ()
