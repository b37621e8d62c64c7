"""Files and folders for this account alone, and cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.common.private_files import (
    NotOwnFileError,
    make_private_folder,
    own_opener,
    private_opener,
    private_umask,
    replace_file,
    when_not_in_use,
)
from api_pipeline.logs.handlers import LogOptions, set_up_logging
from api_pipeline.logs.plain_text import safe_cells
from api_pipeline.logs.redaction import Redactor
from tests.support.commands import run_cli
from tests.support.databases import TestDatabase
from tests.support.staging import fill, staged

posix = pytest.mark.skipif(os.name != "posix", reason="Windows' files have the rights of their folder")
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@posix
@pytest.mark.usefixtures("open_umask")
def test_new_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    make_private_folder(folder)
    with open(folder / "file", "w", encoding="utf-8", opener=private_opener):
        pass
    with set_up_logging(LogOptions("r", log_file=folder / "run.log"), None, Redactor()):
        pass

    assert [mode(path) for path in (folder, folder.parent)] == [0o700, 0o700]
    assert [mode(path) for path in (folder / "file", folder / "run.log")] == [0o600, 0o600]


@posix
@pytest.mark.usefixtures("open_umask")
def test_folder_has_on_windows_the_rights_of_the_folder_above_it(tmp_path: Path) -> None:
    """Python takes mode 0700 there for the order to lock every other account out, that of the nightly task too."""
    make_private_folder(tmp_path / "a" / "b", "nt")
    assert [mode(path) for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o777, 0o777]


@posix
@only_sqlite
@pytest.mark.usefixtures("open_umask")
def test_commands_leave_only_private_files_behind(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("=1+1", "{")])
    folder = tmp_path / "left"
    folder.mkdir(mode=0o755)
    fresh = {"DB_CONNECTION_STRING": "sqlite:///fresh.db", "TABLE_NAME": "ssd_api_data_staging"}
    run_cli(["deploy-schema", "--apply"], fresh, folder)
    settings = {**deployed.settings, "TABLE_NAME": deployed.table}
    run_cli(["validate", "--csv", "findings.csv", "--log-file", "run.log"], settings, folder)
    run_cli(["report", "--folder", "reports/new"], settings, folder)

    left = list(folder.rglob("*"))
    assert {path.suffix for path in left if path.is_file()} == {".db", ".csv", ".log", ".html"}
    assert {mode(path) for path in left if path.is_file()} == {0o600}
    assert {mode(path) for path in left if path.is_dir()} == {0o700}
    with (folder / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [line[0] for line in csv.reader(file)][1:] == ["'=1+1"]


@posix
def test_link_pipe_and_another_accounts_file_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"link|pipe"):
            os.close(own_opener(str(tmp_path / name), os.O_RDONLY))
    if os.geteuid() == 0:
        os.chown(tmp_path / "target", 12345, -1)
        with pytest.raises(NotOwnFileError):
            os.close(own_opener(str(tmp_path / "target"), os.O_RDONLY))


def test_own_file_is_opened_and_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    for _ in range(2):
        with open(tmp_path / "own", "a", encoding="utf-8", opener=own_opener) as file:
            file.write("x")
    assert (tmp_path / "own").read_text(encoding="utf-8") == "xx"
    if os.name == "posix":
        with pytest.raises(IsADirectoryError):
            own_opener(str(tmp_path), os.O_RDONLY)


@posix
@pytest.mark.usefixtures("open_umask")
def test_files_that_others_make_meanwhile_are_private_and_no_later_ones(tmp_path: Path) -> None:
    with private_umask():
        (tmp_path / "meanwhile").touch()
    with pytest.raises(ValueError, match="stopped"), private_umask():
        raise ValueError("stopped")
    (tmp_path / "later").touch()
    assert [mode(tmp_path / name) for name in ("meanwhile", "later")] == [0o600, 0o666]


def test_folder_cannot_be_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private_folder(tmp_path / "file")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(sign: str) -> None:
    assert safe_cells([f"{sign}1", "a=1", None, 5, ""]) == [f"'{sign}1", "a=1", "", "5", ""]


def test_cell_has_no_sign_that_steers_and_hides_no_formula_behind_one() -> None:
    assert safe_cells(["\x1b[31ma\u202eb\x00", "a\nb"]) == ["ab", "a\nb"]
    assert safe_cells(["\ufeff=1", " =1", "\uff1d1"]) == ["'=1", "' =1", "'\uff1d1"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX alone has named pipes")
def test_pipe_that_nobody_reads_is_an_error_and_not_an_endless_wait(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(OSError, match="No such device"), open(pipe, "w", opener=private_opener):
        pass

    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open(pipe, "w", opener=private_opener) as file:
        assert os.get_blocking(file.fileno())
    os.close(reader)


def test_full_disk_leaves_the_file_before_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "index.html"
    replace_file(path, "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace_file(path, "after" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == {"index.html": "before"}


class FileInUse:
    """A file that another program has open for a number of tries."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        self.waits: list[float] = []

    def rename(self) -> str:
        if self.tries:
            self.tries -= 1
            raise PermissionError(13, "in use")
        return "renamed"


def test_file_in_use_on_windows_is_waited_for_and_not_for_long() -> None:
    file = FileInUse(tries=3)
    assert when_not_in_use(file.rename, "nt", file.waits.append) == "renamed"
    assert len(file.waits) == 3

    file = FileInUse(tries=1000)
    with pytest.raises(PermissionError):
        when_not_in_use(file.rename, "nt", file.waits.append)
    assert 1 < sum(file.waits) < 2


def test_what_is_not_permitted_elsewhere_is_an_error_at_once() -> None:
    file = FileInUse(tries=1)
    with pytest.raises(PermissionError):
        when_not_in_use(file.rename, "posix", file.waits.append)
    assert file.waits == []


@posix
def test_file_that_is_replaced_is_private_again(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.touch(0o644)
    replace_file(path, "after")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
