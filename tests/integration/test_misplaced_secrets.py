"""A secret typed where it does not belong on a command line: no error repeats it, and other words are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import invoke_cli, run_cli
from tests.support.keyrings import FileKeyring, store_settings

SECRET = "Hunter2-horse"
LONG = "Hunter2-" + 30 * "horse"

TYPED = [
    (["run", f"CLIENT_SECRET={SECRET}"], "unexpected extra argument (CLIENT_SECRET=***)"),
    (["run", f"client_secret={SECRET};x=y"], "unexpected extra argument (client_secret=***)"),
    (["run", f"CLIENT_SECRET=\udca3\x07{SECRET}"], "unexpected extra argument (CLIENT_SECRET=***)"),
    (["run", "CLIENT_SECRET=x"], "unexpected extra argument (***)"),
    ([f"CLIENT_SECRET={SECRET}"], "No such command 'CLIENT_SECRET=***'"),
    ([f"SDR_CLIENT_SECRET={SECRET}"], "No such command 'SDR_CLIENT_SECRET=***'"),
    ([f"XPORTER_SECRET_9990001={SECRET}"], "No such command 'XPORTER_SECRET_9990001=***'"),
    ([f"PING_URL=https://ping.example/{SECRET}"], "No such command 'PING_URL=***'"),
    ([f"PROXY_URL=http://me:{SECRET}@proxy:80"], "No such command 'PROXY_URL=http://me:***@proxy:80'"),
    (["secrets", f"CLIENT_SECRET={SECRET}"], "No such command 'CLIENT_SECRET=***'"),
    (["run", "--env-file", f"Driver={{x}};PWD={SECRET}"], "Driver={x};PWD=*** given by --env-file does not exist"),
    (["run", f"--env-file=Driver={{x}};PWD={{{SECRET};}}"], "PWD={***} given by --env-file does not exist"),
    (["run", "--table", f"x;PWD={SECRET}"], 'got "x;PWD=***'),
    (["run", "--table", f"x;PWD={LONG}"], 'got "x;PWD=***'),
    (["run", "--table", "x;PWD=y"], 'got "x;PWD=***"'),
    (["run", "--batch-size", f"SUPPLIER_KEY={SECRET}"], 'got "SUPPLIER_KEY=***"'),
    (["demo", "--children", f"CLIENT_SECRET={SECRET}"], "'CLIENT_SECRET=***' is not a valid"),
]


@pytest.mark.parametrize(("typed", "said"), TYPED, ids=range(len(TYPED)))
def test_secret_that_a_name_gives_is_not_repeated(typed: list[str], said: str, tmp_path: Path) -> None:
    done = invoke_cli(typed, {}, tmp_path)

    assert done.code == 2
    assert "unter2" not in done.text
    assert "=x" not in done.text.replace("={x}", "")
    assert said in done.err
    assert "others can read a command line" in done.err


@pytest.mark.parametrize("typed", [["run", SECRET], [SECRET], ["run", "--batch-size", SECRET]])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("environment", "CLIENT_SECRET"),
        ("environment", "DB_CONNECTION_STRING"),
        ("file", "SUPPLIER_KEY"),
        ("given file", "SDR_CLIENT_SECRET"),
    ],
)
def test_secret_that_is_set_is_not_repeated(place: str, name: str, typed: list[str], tmp_path: Path) -> None:
    text = f"Driver={{x}};PWD={SECRET}" if name == "DB_CONNECTION_STRING" else SECRET
    if place != "environment":
        (tmp_path / (".env" if place == "file" else "other.env")).write_text(f"{name}={text}\n", encoding="utf-8")
    if place == "given file":
        typed = ["--env-file", "other.env", *typed]
    done = invoke_cli(typed, {name: text} if place == "environment" else {}, tmp_path)

    assert done.code == 2
    assert SECRET not in done.text
    assert "***" in done.err
    assert "others can read a command line" in done.err


@pytest.mark.slow
def test_secret_in_the_credential_store_is_not_repeated(tmp_path: Path) -> None:
    settings = store_settings(tmp_path / "store.json")
    run_cli(["secrets", "set", "SUPPLIER_KEY"], settings, tmp_path, stdin=f"{SECRET}\n")
    done = run_cli(["run", SECRET], settings, tmp_path)

    assert (done.code, SECRET in done.text) == (2, False)
    assert "unexpected extra argument (***)" in done.err


def test_store_is_asked_only_where_an_error_repeats_a_word_of_the_line(tmp_path: Path) -> None:
    """It may be locked, and wait for a person."""
    for typed, is_asked in ((["secrets", "list", SECRET], False), ([SECRET], True)):
        FileKeyring.asked.clear()
        assert invoke_cli(typed, store_settings(tmp_path / "store.json"), tmp_path).code == 2
        assert bool(FileKeyring.asked) is is_asked


@pytest.mark.parametrize("typed", [["secrets", "list", SECRET], ["xporter", "schools", "add", "9990001", SECRET]])
def test_word_where_a_secret_may_be_typed_is_not_repeated(typed: list[str], tmp_path: Path) -> None:
    done = invoke_cli(typed, {}, tmp_path)

    assert done.code == 2
    assert SECRET not in done.text
    assert "There is more on the line than the command takes" in done.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["rnu"], "No such command 'rnu'."),
        (["run", "CLIENT_SECRET"], "unexpected extra argument (CLIENT_SECRET)"),
        (["run", "LA_CODE=846"], "unexpected extra argument (LA_CODE=846)"),
        (["run", "--batch-size", "many"], 'got "many"'),
        (["run", "--env-file", "nowhere.env"], "nowhere.env given by --env-file does not exist"),
    ],
)
def test_other_words_are_named(typed: list[str], said: str, tmp_path: Path) -> None:
    done = invoke_cli(typed, {"CLIENT_SECRET": SECRET}, tmp_path)

    assert done.code == 2
    assert said in done.err
    assert "***" not in done.err
    assert "others can read" not in done.err
