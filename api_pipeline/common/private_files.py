"""Files and folders that only the program's own account can read: modes 0600 and 0700 on POSIX, whatever the umask.

On Windows files and folders have the rights of the folder in which they are made.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_MODE_WITHOUT_MEANING = 0o777
_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)

_Result = TypeVar("_Result")


class NotOwnFileError(OSError):
    """The path is a link, is not an ordinary file, or belongs to another account."""


def private_opener(path: str, flags: int) -> int:
    """Open a file for `open(..., opener=private_opener)`. If it makes the file, only this account can read it.

    Errors: OSError, also for a pipe that nobody reads, whose opening would otherwise never end.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), _FILE_MODE)
    if os.name == "posix":
        os.set_blocking(descriptor, True)
    return descriptor


def own_opener(path: str, flags: int) -> int:
    """Open a file as `private_opener` does: an ordinary file of this account, and never a link. Errors: OSError."""
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), _FILE_MODE)
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode) or (os.name == "posix" and status.st_uid != os.geteuid()):
        os.close(descriptor)
        raise NotOwnFileError(errno.EPERM, "not an ordinary file of this account", path)
    return descriptor


def make_private_folder(folder: Path, system: str = os.name) -> None:
    """Make a folder, and the missing ones above it, for this account alone. Errors: OSError.

    A folder that exists keeps its rights. On Windows a new one has those of the folder above it: Python would give this
    mode another meaning there, and lock the account of the nightly task out of what an administrator's command made.
    """
    mode = _FOLDER_MODE if system == "posix" else _MODE_WITHOUT_MEANING
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=mode, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(str(folder))


def when_not_in_use(
    work: Callable[[], _Result], system: str = os.name, sleep: Callable[[float], None] = time.sleep
) -> _Result:
    """Return what `work` gives, which opens, renames or removes a file. Errors: OSError.

    On Windows it is not permitted while another program has the file open, as a virus scanner has a file that is new.
    So it is repeated there, for about 1.5 s.
    """
    for wait in _WAITS_S if system == "nt" else ():
        try:
            return work()
        except PermissionError:
            sleep(wait)
    return work()


def remove_file(path: Path) -> None:
    """Remove a file if it is there, as soon as no other program has it open on Windows. Errors: OSError."""
    when_not_in_use(lambda: path.unlink(missing_ok=True))


def replace_file(path: Path, text: str, mode: int = _FILE_MODE) -> None:
    """Write a file as a whole, in UTF-8: after a kill, a full disk or a power cut it is the one before or the new one.

    A reader finds one of them as well, and nothing can wait at the name of the draft. Errors: OSError.
    """
    # Slow to import, and few commands write such a file.
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = path.parent / name
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        when_not_in_use(lambda: draft.replace(path))
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


@contextlib.contextmanager
def private_umask() -> Iterator[None]:
    """Make every file private that is made inside the block; a database makes its files by itself."""
    if os.name != "posix":
        yield
        return
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
