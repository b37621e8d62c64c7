"""The settings file: where it is looked for, how it is decoded, and what is said of a wrong line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api_pipeline.config import Settings, load_settings
from api_pipeline.errors import SettingsError
from api_pipeline.settings.env_file import find_env_file, read_env_file
from api_pipeline.settings.values import Found, Origin, Values
from tests.support.commands import clean_environment

DATABASE = "DB_CONNECTION_STRING=sqlite:///council.db\n"
# Root may enter every folder, unless these rights are taken from it.
_WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")


def as_an_ordinary_account() -> tuple[str, ...]:
    """Return what stands before a command so that a folder's mode binds it, whoever runs the tests."""
    if os.getuid() != 0:
        return ()
    if shutil.which(_WITHOUT_RIGHTS[0]) is None:
        pytest.skip("root may enter every folder here: there is no setpriv")
    return _WITHOUT_RIGHTS


def values_of(folder: Path, text: str) -> dict[str, str]:
    path = folder / "settings.env"
    path.write_bytes(text.encode("utf-8"))
    file = read_env_file(path)
    assert file.errors == ()
    return file.values


def load(folder: Path, text: str) -> Settings:
    (folder / ".env").write_bytes(text.encode("utf-8"))
    (folder / ".env").chmod(0o600)
    return load_settings({}, {}, folder)


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
        load_settings({}, {}, tmp_path, env_file=Path("other.env"))


def test_missing_file_is_the_only_error_when_environment_is_complete(tmp_path: Path) -> None:
    name, _, value = DATABASE.strip().partition("=")

    with pytest.raises(SettingsError) as caught:
        load_settings({}, {name: value}, tmp_path, env_file=Path("other.env"))

    assert "DB_CONNECTION_STRING" not in str(caught.value)
    assert "no .env" not in str(caught.value)


def test_file_asked_for_by_option_is_read_instead_of_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BATCH_SIZE=1\n")
    (tmp_path / "other.env").write_text(DATABASE + "BATCH_SIZE=2\n")

    settings = load_settings({}, {}, tmp_path, env_file=Path("other.env"))

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


def test_quote_over_several_lines_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CLIENT_SECRET on line 2 of \.env has a quote that is not closed"):
        load(tmp_path, DATABASE + 'CLIENT_SECRET="geheim\nSCOPE=x"\n')


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
        warnings = load_settings({}, {}, tmp_path).warnings
        assert [("may be read by others" in warning) for warning in warnings] == ([True] if is_warned else [])


def test_relative_paths_start_at_the_settings_file(tmp_path: Path) -> None:
    beside = tmp_path / "program"
    beside.mkdir()
    (beside / ".env").write_text(DATABASE + "LOG_FILE=run.log\n")

    settings = load_settings({"SPOOL_FOLDER": "spool"}, {}, tmp_path, beside)

    assert settings.log_file == beside / "run.log"
    assert settings.spool_folder == tmp_path / "spool"
    assert load_settings({}, {}, tmp_path, beside).spool_folder == beside


def test_certificate_file_is_found_beside_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "council.pem").write_text("x")

    assert load(tmp_path, DATABASE + "CA_BUNDLE='council.pem'\n").ca_bundle == tmp_path / "council.pem"


def test_folder_given_as_the_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"given by --env-file is a folder; name a file in it"):
        load_settings({}, {}, tmp_path, env_file=tmp_path)


def test_a_name_that_no_disk_takes_is_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"given by --env-file does not exist"):
        load_settings({}, {}, tmp_path, env_file=Path("x" * 5000))


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

    warnings = load_settings({}, {}, tmp_path).warnings

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
        load_settings({}, {}, tmp_path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="Windows has no such device")
def test_device_that_never_ends_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a pipe or a device"):
        load_settings({}, {}, tmp_path, env_file=Path("/dev/zero"))


def test_file_longer_than_a_settings_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is longer than 1 MiB"):
        load(tmp_path, DATABASE + "#" * 1_100_000)


@pytest.mark.parametrize("data", [b"SCOPE=a\x00b\n" * 3, b"\xff\xfe" + "SCOPE=a\x00\n".encode("utf-16-le")])
def test_zero_bytes_in_the_text_are_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".env").write_bytes(data)

    with pytest.raises(SettingsError, match=r"\.env is not text"):
        load_settings({}, {}, tmp_path)


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
        load_settings({}, {}, tmp_path)
    settings = load_settings({}, {"DB_CONNECTION_STRING": "sqlite:///x.db"}, tmp_path)
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
    assert "The working folder cannot be used (FileNotFoundError)" in done.stderr
