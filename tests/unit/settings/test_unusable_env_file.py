"""Settings files that cannot be used as they are: rights, pipes, sizes, copied signs, missing folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.sources import Sources
from api_pipeline.settings.values import Found, Origin, Values
from tests.support.commands import clean_environment
from tests.support.env_files import DATABASE, load

# Root may enter every folder, unless these rights are taken from it.
_WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")


def as_an_ordinary_account() -> tuple[str, ...]:
    """Return what stands before a command so that a folder's mode binds it, whoever runs the tests."""
    if os.getuid() != 0:
        return ()
    if shutil.which(_WITHOUT_RIGHTS[0]) is None:
        pytest.skip("root may enter every folder here: there is no setpriv")
    return _WITHOUT_RIGHTS


@pytest.mark.skipif(os.name != "posix", reason="Windows' file modes say nothing about who may read")
@pytest.mark.parametrize("arguments", [[], ["--env-file", "{folder}/.env"]])
def test_file_in_an_unreadable_folder_is_named_with_the_reason(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(DATABASE)
    given = [argument.format(folder=tmp_path) for argument in arguments]
    program = f"import os; os.chmod('.', 0); from api_pipeline.cli import main; main({['status', *given]!r})"
    try:
        done = subprocess.run(
            [*as_an_ordinary_account(), sys.executable, "-c", program],
            cwd=tmp_path,
            env=clean_environment({}),
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        tmp_path.chmod(0o700)

    assert done.returncode == 2, done.stderr
    assert f"The settings file {tmp_path / '.env'} cannot be read (Permission denied); allow the account" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="Windows' file modes say nothing about who may read")
@pytest.mark.parametrize(
    ("text", "is_warned"),
    [
        ("DB_CONNECTION_STRING=sqlite:///x.db", False),
        (
            "DB_CONNECTION_STRING=Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d;Trusted_Connection=yes",
            False,
        ),
        ("DB_CONNECTION_STRING=Driver={ODBC Driver 18 for SQL Server};Server=s;UID=u;PWD=geheim", True),
        ("SQL_CONN_STR=Driver={ODBC Driver 18 for SQL Server};Server=s;UID=u;PWD=geheim", True),
        ("DB_CONNECTION_STRING=sqlite:///x.db\nPROXY_URL=http://proxy.example:8080", False),
        ("DB_CONNECTION_STRING=sqlite:///x.db\nPROXY_URL=http://u:geheim@proxy.example:8080", True),
        ("DB_CONNECTION_STRING=sqlite:///x.db\nCLIENT_SECRET=", False),
        ("DB_CONNECTION_STRING=sqlite:///x.db\nCLIENT_SECRET=geheim", True),
    ],
)
def test_only_a_file_with_a_secret_in_it_is_warned_of(text: str, is_warned: bool, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{text}\n")
    (tmp_path / ".env").chmod(0o644)

    warnings = load_settings(Sources({}, {}, tmp_path)).warnings

    assert [("may be read by others" in warning) for warning in warnings] == ([True] if is_warned else [])


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("TESTING_MODE", "true", "false"),
        ("TABLE_NAME", "a", "b"),
        ("API_ENDPOINT", "https://a.example/1", ""),
        ("ALLOW_LIVE_DATA_TO_TEST", "true", "false"),
    ],
)
def test_decisive_setting_with_two_values_is_an_error(tmp_path: Path, name: str, first: str, second: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} has two values in \.env; delete one of the lines"):
        load(tmp_path, DATABASE + f"{name}={first}\nexport {name}={second}\n")
    assert load(tmp_path, DATABASE + f"{name}={first}\n{name}={first}\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes in folders")
def test_pipe_in_place_of_the_file_is_an_error_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")

    with pytest.raises(SettingsError, match="is a pipe or a device; name an ordinary text file"):
        load_settings(Sources({}, {}, tmp_path))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="Windows has no such device")
def test_device_that_never_ends_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a pipe or a device"):
        load_settings(Sources({}, {}, tmp_path, env_file=Path("/dev/zero")))


def test_file_longer_than_a_settings_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is longer than 1 MiB"):
        load(tmp_path, DATABASE + "#" * 1_100_000)


@pytest.mark.parametrize("data", [b"SCOPE=a\x00b\n" * 3, b"\xff\xfe" + "SCOPE=a\x00\n".encode("utf-16-le")])
def test_zero_bytes_in_the_text_are_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".env").write_bytes(data)

    with pytest.raises(SettingsError, match=r"\.env is not text"):
        load_settings(Sources({}, {}, tmp_path))


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("CLIENT_ID=\u201cclient-0001\u201d", r"a curly quotation mark \(U\+201C\)"),
        ("CLIENT_ID=\ufeffclient-0001", r"an invisible sign \(U\+FEFF\)"),
        ("SCOPE=api:\u2060//x", r"an invisible sign \(U\+2060\)"),
        ("TABLE_NAME=ssd\u2011data", r"a dash that is not a minus \(U\+2011\)"),
        ("LA_CODE=8\u00ad45", r"an invisible sign \(U\+00AD\)"),
        ("API_ENDPOINT=https://a.example/\u20111", r"a dash that is not a minus \(U\+2011\)"),
        ("USER_AGENT=d2i\u00a0csc", r"a blank that is not an ordinary one \(U\+00A0\)"),
    ],
)
def test_sign_that_came_with_copying_is_named_with_its_setting(tmp_path: Path, line: str, sign: str) -> None:
    name = line.partition("=")[0]
    with pytest.raises(SettingsError, match=rf"^{name}: expected plain signs, got {sign}, as copied from Word"):
        load(tmp_path, DATABASE + line + "\n")


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "SCOPE", "SUPPLIER_KEY", "DB_CONNECTION_STRING"])
def test_bytes_of_another_encoding_are_refused_by_the_name_of_the_setting(tmp_path: Path, name: str) -> None:
    value = "Driver=x;PWD=hush\udcff"
    with pytest.raises(
        SettingsError, match=rf"^{name}: expected text in UTF-8, got bytes of another encoding"
    ) as raised:
        load_settings(Sources({}, {"DB_CONNECTION_STRING": "Driver=x", name: value}, tmp_path))
    assert "hush" not in str(raised.value)


def test_embedded_database_may_have_a_name_of_other_bytes(tmp_path: Path) -> None:
    name = "sqlite:///a\udcff.db"
    assert load_settings(Sources({}, {"DB_CONNECTION_STRING": name}, tmp_path)).connection_string == name


@pytest.mark.parametrize(
    "line", ["CLIENT_SECRET=hush\u200b", "SUPPLIER_KEY=a\u2013b", "DB_CONNECTION_STRING=Driver=x;PWD=\u2019a"]
)
def test_such_a_sign_in_a_secret_is_warned_of_without_the_secret(tmp_path: Path, line: str) -> None:
    values = Values({line.partition("=")[0]: Found(line.partition("=")[2], Origin.FILE, tmp_path)})
    values.text(line.partition("=")[0])

    assert "as copied from Word" in values.warnings[0]
    assert "hush" not in values.warnings[0]


def test_invisible_sign_in_the_name_of_a_setting_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"The name CLIENT_ID on line 2 of \.env has an invisible sign \(U\+200B\)"):
        load(tmp_path, DATABASE + "\u200bCLIENT_ID=client-0001\n")


@pytest.mark.parametrize(
    ("value", "is_warned"),
    [("geheim #1", True), ("geheim\t# rotated", True), ("geheim#1", False), ("'geheim #1'", False), ("", False)],
)
def test_remark_that_cuts_a_secret_is_warned_of(tmp_path: Path, value: str, is_warned: bool) -> None:
    settings = load(tmp_path, DATABASE + f"CLIENT_SECRET={value}\nSCOPE=a #b\n")

    warned = [text for text in settings.warnings if "begins a remark" in text]
    assert [text.startswith("CLIENT_SECRET on line 2 of .env ends before the #") for text in warned] == [
        True
    ] * is_warned
    assert "geheim" not in "".join(warned)


def test_file_that_notepad_named_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / ".env.txt").write_text(DATABASE)

    with pytest.raises(
        SettingsError,
        match=r"no \.env or env\.txt was found in .*The file \.env\.txt in .* is not read; rename it to \.env",
    ):
        load_settings(Sources({}, {}, tmp_path))
    settings = load_settings(Sources({}, {"DB_CONNECTION_STRING": "sqlite:///x.db"}, tmp_path))
    assert "The file .env.txt in" in settings.warnings[0]


def test_home_folder_that_nobody_knows_is_an_error_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LOG_FILE: expected a path without ~, because no home folder is known"):
        load(tmp_path, DATABASE + "LOG_FILE=~nobody-of-this-name/csc.log\n")


@pytest.mark.skipif(os.name != "posix", reason="Windows does not let go of a working folder")
def test_working_folder_that_is_gone_is_an_error_of_the_settings(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    gone = "import os, sys; sys.path.remove(''); os.rmdir(os.getcwd())"
    program = f"{gone}; from api_pipeline.cli import main; main(['status'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2, done.stderr
    assert "The working folder cannot be used (No such file or directory)" in done.stderr


def test_refused_secret_that_was_copied_from_word_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(Sources({}, {"DB_CONNECTION_STRING": "\u201csqlite:///hush.db\u201d"}, tmp_path))

    assert "has a curly quotation mark (U+201C) in it, as copied from Word" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_missing_settings_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no \.env or env\.txt was found in .*; make one with: d2i-csc-api init"):
        load_settings(Sources({}, {}, tmp_path))
