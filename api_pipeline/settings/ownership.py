"""Check who owns a file. On POSIX a file that decides where records go must belong to this account (or root) alone.

Windows keeps such rights in access lists, which file modes do not show. There nothing is checked.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def foreign_hands(path: Path) -> str:
    """Return why another account could have written `path`, "" where none could or where it is unknown.

    A folder in which only owners may rename (with the sticky bit, as /tmp) counts as this account's.
    """
    if os.name != "posix":
        return ""
    try:
        status = path.stat()
    except OSError:
        return ""
    if status.st_uid not in (os.geteuid(), 0):
        return "belongs to another account"
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and not _is_group_of_one(status.st_gid)):
        return "may be changed by others"
    return ""


def is_readable_by_others(path: Path) -> bool:
    """Return whether others than the owner may read or change a file. Errors: OSError."""
    return os.name == "posix" and bool(path.stat().st_mode & _OTHERS)


def is_private(path: Path) -> bool:
    """Return whether `path` belongs to this account and nobody else may read or change it."""
    if os.name != "posix":
        return False
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS


def _is_group_of_one(group_id: int) -> bool:
    """Return whether a group is the private one that Linux gives an account (its own name, nobody else in it)."""
    import grp
    import pwd

    try:
        group = grp.getgrgid(group_id)
        account = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == account and set(group.gr_mem) <= {account}
