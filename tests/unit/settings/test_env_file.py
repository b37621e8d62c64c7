"""The settings file: where it is looked for, how it is decoded, and what is said of a wrong line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.settings.env_file import find_env_file, read_env_file
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.sources import Sources
from tests.support.env_files import DATABASE, load


def values_of(folder: Path, text: str) -> dict[str, str]:
    path = folder / "settings.env"
    path.write_bytes(text.encode("utf-8"))
    file = read_env_file(path)
    assert file.errors == ()
    return file.values


def test_file_is_looked_for_in_the_order_of_the_contract(tmp_path: Path) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    here.mkdir()
    beside.mkdir()
    assert find_env_file(here, beside) is None

    for path in (beside / "env.txt", beside / ".env", here / "env.txt", here / ".env"):
        path.write_text("")
        assert find_env_file(here, beside) == path


def test_file_asked_for_by_option_must_exist(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(DATABASE)

    with pytest.raises(SettingsError, match=r"other\.env given by --env-file does not exist"):
        load_settings(Sources({}, {}, tmp_path, env_file=Path("other.env")))


def test_missing_file_is_the_only_error_when_environment_is_complete(tmp_path: Path) -> None:
    name, _, value = DATABASE.strip().partition("=")

    with pytest.raises(SettingsError) as caught:
        load_settings(Sources({}, {name: value}, tmp_path, env_file=Path("other.env")))

    assert "DB_CONNECTION_STRING" not in str(caught.value)
    assert "no .env" not in str(caught.value)


def test_file_asked_for_by_option_is_read_instead_of_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BATCH_SIZE=1\n")
    (tmp_path / "other.env").write_text(DATABASE + "BATCH_SIZE=2\n")

    settings = load_settings(Sources({}, {}, tmp_path, env_file=Path("other.env")))

    assert (settings.batch_size, settings.env_file) == (2, tmp_path / "other.env")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_file_may_be_saved_in_any_way_notepad_knows(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes("SCOPE=café\r\nLA_CODE = 845 \r\n".encode(encoding))

    file = read_env_file(path)

    assert file.values == {"SCOPE": "café", "LA_CODE": "845"}
    assert [("not UTF-8" in warning) for warning in file.warnings] == ([True] if encoding == "cp1252" else [])


def test_binary_settings_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"SCOPE=\x81\x8d\xff")

    assert "not text; save it as UTF-8" in read_env_file(path).errors[0]


def test_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in read_env_file(tmp_path).errors[0]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SCOPE=plain # remark", "plain"),
        ("SCOPE=a#b", "a#b"),
        ("SCOPE='a # b; $HOME ${HOME} {x} \"'", 'a # b; $HOME ${HOME} {x} "'),
        ('SCOPE="a # b; $HOME ${HOME} {x} \'"', "a # b; $HOME ${HOME} {x} '"),
        (r'SCOPE="C:\new\table"', r"C:\new\table"),
        (r"SCOPE='C:\new\table'", r"C:\new\table"),
        (r'SCOPE="say \"hi\" \\ there"', r'say "hi" \ there'),
        (r'LOG_FILE="\\server\new\"', "\\\\server\\new\\"),
        ("export SCOPE=x", "x"),
        ("SCOPE=", ""),
        ("SCOPE=$HOME", "$HOME"),
        ("SCOPE=a=b;c=d", "a=b;c=d"),
    ],
)
def test_value_comes_out_as_it_was_written(tmp_path: Path, line: str, value: str) -> None:
    assert list(values_of(tmp_path, f"{line}\nLA_CODE=845\n").values()) == [value, "845"]


def test_unreadable_line_is_an_error_with_its_number_and_no_value(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, DATABASE + "\n\nCLIENT_SECRET=\"geheim\nLA_CODE=845\nSUPPLIER_KEY: geheim\nSCOPE='a' b\n")

    message = str(caught.value)
    assert "Line 4 of .env cannot be read (CLIENT_SECRET)" in message
    assert "Line 6 of .env cannot be read (SUPPLIER_KEY)" in message
    assert "Line 7 of .env cannot be read (SCOPE)" in message
    assert "geheim" not in message


def test_line_that_is_a_command_of_a_shell_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, 'set DB_CONNECTION_STRING=sqlite:///x.db\n$env:LA_CODE="845"\nSET "SCOPE=geheim"\nset other=1\n')

    message = str(caught.value)
    assert "Line 1 of .env is a command that sets DB_CONNECTION_STRING; begin it with the name." in message
    assert "Line 2 of .env is a command that sets LA_CODE" in message
    assert "Line 3 of .env is a command that sets SCOPE" in message
    assert "Line 4" not in message
    assert "geheim" not in message


def test_quote_over_several_lines_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CLIENT_SECRET on line 2 of \.env has a quote that is not closed"):
        load(tmp_path, DATABASE + 'CLIENT_SECRET="geheim\nSCOPE=x"\n')


@pytest.mark.parametrize("closing", ['OTHER=x"\n', 'OTHER="x"\n', 'no name"\n'])
def test_setting_within_the_open_quote_of_another_program_is_an_error(closing: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^TABLE_NAME on line 3 of \.env has no effect, because a quote of line 2"):
        load(tmp_path, DATABASE + f'NOTE="of another program\nTABLE_NAME=mine\n{closing}')


def test_value_of_another_program_may_stand_on_several_lines(tmp_path: Path) -> None:
    text = 'KEY="-----BEGIN\nabc=\n-----END"\nBATCH_SIZE=7\n'
    settings = load(tmp_path, DATABASE + text)
    assert (settings.batch_size, settings.warnings) == (7, ())


def test_misspelt_setting_name_gets_a_warning(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASE + "CLINET_SECRET=geheim\nclient_id=x\nPYTHONPATH=y\nHTTPS_PROXY=http://p\n")

    assert len(settings.warnings) == 3
    assert "CLINET_SECRET in .env is not a setting and has no effect; CLIENT_SECRET is one." in settings.warnings
    assert any("client_id" in warning and "CLIENT_ID" in warning for warning in settings.warnings)
    assert any("HTTPS_PROXY" in warning and "PROXY_URL" in warning for warning in settings.warnings)
    assert not any("geheim" in warning for warning in settings.warnings)


def test_line_of_another_program_that_cannot_be_read_is_only_warned_of(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASE + "this is not a setting\n")

    assert "Line 2 of .env cannot be read" in settings.warnings[0]


def test_setting_that_stands_twice_is_warned_of_and_the_last_one_holds(tmp_path: Path) -> None:
    settings = load(tmp_path, DATABASE + "BATCH_SIZE=1\nBATCH_SIZE=2\n")

    assert settings.batch_size == 2
    assert "BATCH_SIZE stands more than once" in settings.warnings[0]


@pytest.mark.skipif(os.name != "posix", reason="Windows' file modes say nothing about who may read")
def test_secret_in_a_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{DATABASE}CLIENT_SECRET=geheim\n")
    for mode, is_warned in ((0o600, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        warnings = load_settings(Sources({}, {}, tmp_path)).warnings
        assert [("may be read by others" in warning) for warning in warnings] == ([True] if is_warned else [])


def test_relative_paths_start_at_the_settings_file(tmp_path: Path) -> None:
    beside = tmp_path / "program"
    beside.mkdir()
    (beside / ".env").write_text(DATABASE + "LOG_FILE=run.log\n")

    settings = load_settings(Sources({"SPOOL_FOLDER": "spool"}, {}, tmp_path, beside))

    assert settings.log_file == beside / "run.log"
    assert settings.spool_folder == tmp_path / "spool"
    assert load_settings(Sources({}, {}, tmp_path, beside)).spool_folder == beside


def test_relative_path_of_the_embedded_database_starts_at_the_settings_file(tmp_path: Path) -> None:
    beside = tmp_path / "program"
    beside.mkdir()
    (beside / ".env").write_text("DB_CONNECTION_STRING=sqlite:///a.db\n")

    assert load_settings(Sources({}, {}, tmp_path, beside)).connection_string == f"sqlite:///{beside / 'a.db'}"
    assert load_settings(Sources({}, {}, beside)).connection_string == "sqlite:///a.db"
    given = {"DB_CONNECTION_STRING": "sqlite:///b.db"}
    assert load_settings(Sources({}, given, tmp_path, beside)).connection_string == "sqlite:///b.db"


def test_certificate_file_is_found_beside_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "council.pem").write_text("x")

    assert load(tmp_path, DATABASE + "CA_BUNDLE='council.pem'\n").ca_bundle == tmp_path / "council.pem"


@pytest.mark.skipif(os.name != "posix", reason="POSIX alone has named pipes")
def test_pipe_in_place_of_a_certificate_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "council.pem")

    with pytest.raises(SettingsError, match="CA_BUNDLE: expected the path of a file"):
        load(tmp_path, DATABASE + "CA_BUNDLE='council.pem'\n")


def test_folder_given_as_the_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"given by --env-file is a folder; name a file in it"):
        load_settings(Sources({}, {}, tmp_path, env_file=tmp_path))


def test_a_name_that_no_disk_takes_is_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"given by --env-file does not exist"):
        load_settings(Sources({}, {}, tmp_path, env_file=Path("x" * 5000)))
