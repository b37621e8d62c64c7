"""The database of a demo, in a folder of its own: an earlier demo's is replaced, and no other file is touched."""

from __future__ import annotations

from pathlib import Path

from api_pipeline.common.private_files import make_private_folder, remove_file
from api_pipeline.db import Connection, connect
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.sql.connection_string import SQLITE_PREFIX

# SQLite keeps four bytes of its header for the program that a file belongs to; only a file with these is replaced.
_MARK_AT = 68
_MARK_LENGTH = 4


def open_new(path: Path, mark: bytes) -> Connection:
    """Return an open, empty database at `path`, marked with these four bytes. Errors: SettingsError, DatabaseError.

    A file that is there is removed, but only if it has the mark.
    """
    try:
        make_private_folder(path.parent)
        if path.exists() and not _is_of_a_demo(path, mark):
            raise SettingsError(
                f"The file {path} is there already and was not made by this demo, so it stays as it is; name another "
                "folder with --folder, or move the file away."
            )
        for ending in ("", "-journal", "-wal", "-shm"):
            remove_file(path.with_name(f"{path.name}{ending}"))
    except OSError as error:
        raise SettingsError(
            f"The folder {path.parent} cannot be written to ({reason_of(error)}); name another with --folder."
        ) from None
    connection = connect(f"{SQLITE_PREFIX}{path}", create=True)
    connection.execute(f"PRAGMA application_id = {int.from_bytes(mark, 'big')}")
    return connection


def _is_of_a_demo(path: Path, mark: bytes) -> bool:
    """Return whether a file is a demo's database: it has the mark, or is empty, as an interrupted demo leaves it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_MARK_AT + _MARK_LENGTH)
    return not head or (head.startswith(b"SQLite format 3\x00") and head[_MARK_AT:] == mark)
